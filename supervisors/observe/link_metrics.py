"""The figures of a pod's link to the others, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ...actors import Link
from ...actors.cluster import BreakerState
from .families import counters as counters_of
from .families import gauge, gauges

__all__ = ["link_metrics"]


def link_metrics(of: Link) -> Iterator[Metric]:
    """Yield what a link to the other pods has done, and how it is."""
    counters, link = of.state.counters, of.figures.kind
    state = GaugeMetricFamily(
        "deployd_breaker_state", "1 for the state it is in.", labels=["link", "state"]
    )
    for known in BreakerState:
        state.add_metric([link, known.value], float(of.state.breaker.state is known))
    yield state
    if counters.round_trip is not None:
        yield gauges(
            "deployd_broker_canary_seconds",
            "The last canary's round trip.",
            "link",
            {link: counters.round_trip},
        )
    yield gauges(
        "deployd_broker_deaf_seconds",
        "Time since the link was last proven; 0 while the breaker is closed.",
        "link",
        {link: of.figures.seconds_deaf},
    )
    yield gauges(
        "deployd_broker_buffered",
        "Events that wait for the broker to come back.",
        "link",
        {link: len(of.state.buffer)},
    )
    peers = of.state.peers
    missing = 0 if peers.partition is None else peers.partition.missing
    yield gauge(
        "deployd_pods", "Pods that are taken to be there, this one included.", 1 + len(peers)
    )
    yield gauge("deployd_pods_missing", "Pods that are not heard: dead, or cut off.", missing)
    yield gauge("deployd_room_gaps", "Rooms that lack events and are looked into.", len(of.gaps))
    for name, about, count in (
        ("published", "Events the broker took.", counters.published),
        ("received", "Events of other pods.", counters.received),
        ("missed", "Events of other pods that never came.", of.sequences.missed),
        ("undelivered", "Events that a busy room had no place for.", counters.undelivered),
        ("replayed", "Buffered events sent after an outage.", counters.replayed),
        ("reconnects", "Connections after the first.", max(0, counters.connects - 1)),
        ("outages", "How often the breaker opened.", counters.trips),
    ):
        yield counters_of(f"deployd_broker_{name}", about, "link", {link: count})
    lost = CounterMetricFamily(
        "deployd_broker_lost",
        "Events that will never reach the other pods.",
        labels=["link", "reason"],
    )
    for reason, count in counters.lost_by_reason().items():
        lost.add_metric([link, reason], count)
    yield lost
    refused = CounterMetricFamily(
        "deployd_broker_refused",
        "Messages of the broker that were not let in.",
        labels=["link", "reason"],
    )
    for fault, count in counters.refused.items():
        refused.add_metric([link, fault.value], count)
    yield refused
