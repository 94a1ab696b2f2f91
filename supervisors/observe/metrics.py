"""A pod's figures for Prometheus: read when asked, told in the names of docs/metrics.md."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import trio
from prometheus_client import CollectorRegistry, PlatformCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ...actors import DEAD_LETTER_REASONS
from ...config import Audited
from ...documents.store import KINDS as STORE_TROUBLES
from ...transport import FOREIGN, RATES, REFUSALS, REGISTERED, CloseCode, close_label
from ..chaos import PodFault
from .census import KINDS, SERVICE, mailboxes, restarts, rooms_by_pattern
from .families import born, counter, counters, gauge, gauges, histogram
from .link_metrics import link_metrics
from .overview import counts_of, slow_closed
from .process import read_process
from .watched import Watched

__all__ = ["Exporter"]

KEPT: Final = 1.0
"""Seconds for which an answer serves everybody who asks: a flood of scrapes costs what one does."""

MOST_CODES: Final = 64
"""Close codes that are told apart; the others are `other`, as those are that clients make up."""


_TEXT: Final = choose_encoder("")
_OPENMETRICS: Final = choose_encoder("application/openmetrics-text; version=1.0.0")


# What counters are born with: a rate over one that comes with its first event misses that event.
_AUDITED: Final = [what.name.lower() for what in Audited]
_CODES: Final = [close_label(code) for code in (*REGISTERED, *CloseCode, FOREIGN)]
_KINDS: Final = [*KINDS.values(), SERVICE]


class Exporter(Collector):
    """The metrics of one pod, in a registry of their own. `clock` returns seconds."""

    def __init__(self, pod: Watched, clock: Callable[[], float]) -> None:
        self._pod = pod
        self._clock = clock
        self._registry = CollectorRegistry(auto_describe=False)
        PlatformCollector(registry=self._registry)
        self._registry.register(self)
        self._answers: dict[str, tuple[float, bytes]] = {}

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics, and their content type, in OpenMetrics where that is accepted.

        There are two answers, and what a client writes in `Accept` makes no third.
        """
        encode, kind = _OPENMETRICS if "application/openmetrics-text" in accept.lower() else _TEXT
        now = self._clock()
        kept = self._answers.get(kind)
        if kept is None or now - kept[0] >= KEPT:
            kept = self._answers[kind] = now, encode(self._registry)
        return kept[1], kind

    def collect(self) -> Iterator[Metric]:
        """Look at the pod."""
        yield from self._clients()
        yield from self._traffic()
        yield from self._rooms()
        yield from self._actors()
        yield from self._chaos()
        yield from self._documents()
        yield self._certificates()
        yield from _process()
        if self._pod.link is not None:
            yield from link_metrics(self._pod.link)

    # What a pod is made of -------------------------------------------------------------------

    def _clients(self) -> Iterator[Metric]:
        pod, meters = self._pod, self._pod.meters
        closed: dict[str, float] = born(_CODES, {})
        for code, count in meters.closed.items():
            label = close_label(code) if len(closed) < MOST_CODES else "other"
            closed[label] = closed.get(label, 0) + count
        yield gauge(
            "websocket_connections_per_pod",
            "Open WebSocket connections; what the autoscaler reads.",
            len(pod.members),
        )
        about = GaugeMetricFamily("deployd_pod_info", "The pod.", labels=["pod", "name", "version"])
        about.add_metric([pod.pod_id, pod.name, pod.version], 1)
        yield about
        yield gauge("deployd_ready", "Whether /health/ready answers 200.", pod.unready() is None)
        yield gauge(
            "deployd_connections_max", "limits.maxConnections.", pod.config.limits.max_connections
        )
        yield counter("deployd_connections_opened", "Handshakes completed.", meters.opened)
        yield counters(
            "deployd_connections_closed", "Connections ended, by close code.", "code", closed
        )
        yield counters(
            "deployd_requests_refused",
            "Connections and upgrades turned away.",
            "reason",
            born(REFUSALS, pod.refused()),
        )
        yield counter(
            "deployd_slow_clients_closed",
            "Closure because they did not read.",
            slow_closed(meters),
        )

    def _documents(self) -> Iterator[Metric]:
        documents = self._pod.documents
        if documents is None:
            return
        trouble = documents.store_trouble
        yield gauge("deployd_store_up", "Whether documents can be written.", trouble is None)
        yield gauges(
            "deployd_store_trouble",
            "1 for why documents cannot be written.",
            "reason",
            {kind: float(trouble is not None and trouble.kind == kind) for kind in STORE_TROUBLES},
        )

    def _certificates(self) -> Metric:
        return gauges(
            "deployd_certificate_expires_timestamp_seconds",
            "When certificates that the pod shows end, unix seconds.",
            "setting",
            self._pod.certificates(),
        )

    def _traffic(self) -> Iterator[Metric]:
        meters = self._pod.meters
        counts = counts_of(self._pod)
        yield counter(
            "deployd_messages_received", "Messages of clients.", counts["messages_received"]
        )
        sent, sent_bytes = counts["messages_sent"], counts["bytes_sent"]
        yield counter("deployd_messages_sent", "Messages that clients' sockets took.", sent)
        yield counter("deployd_received_bytes", "Bytes of clients.", counts["bytes_received"])
        yield counter("deployd_sent_bytes", "Bytes that clients' sockets took.", sent_bytes)
        yield counters(
            "deployd_rate_limited",
            "Turned away by a rate.",
            "limit",
            born(RATES, meters.rate_limited),
        )
        yield counters(
            "deployd_audited",
            "Told in the log's channel audit.",
            "what",
            born(_AUDITED, meters.audited),
        )
        yield histogram("deployd_fanout_members", "Members that one event went to.", meters.fan_out)
        yield histogram(
            "deployd_local_latency_seconds",
            "From a client's message read to its frames handed to the members' sockets.",
            meters.local_latency,
        )
        yield histogram(
            "deployd_cross_pod_latency_seconds",
            "From the origin's clock to the members here.",
            meters.cross_pod_latency,
        )
        yield histogram(
            "deployd_loop_lag_seconds", "How long what is ready waits.", meters.loop_lag
        )
        yield gauge(
            "deployd_loop_tasks",
            "Tasks of the pod's loop.",
            trio.lowlevel.current_statistics().tasks_living,
        )
        yield gauge(
            "deployd_allocated_blocks",
            "Blocks of memory that Python has given out and not got back.",
            sys.getallocatedblocks(),
        )
        yield counter(
            "deployd_loop_stalls",
            "Times that the loop stood still for a second.",
            self._pod.watchdog.stalls,
        )

    def _rooms(self) -> Iterator[Metric]:
        counts = rooms_by_pattern(self._pod)
        for name, about, figure in (
            ("deployd_rooms", "Rooms that run.", "rooms"),
            ("deployd_room_members", "Members of all of them.", "members"),
            ("deployd_room_members_max", "Members of the largest.", "largest"),
            ("deployd_room_memory_max_bytes", "What the heaviest holds, estimated.", "heaviest"),
        ):
            values = {pattern: figures[figure] for pattern, figures in counts.items()}
            yield gauges(name, about, "pattern", values)

    def _actors(self) -> Iterator[Metric]:
        counts = mailboxes(self._pod.root())
        yield gauges(
            "deployd_mailbox_messages",
            "Messages that wait for actors.",
            "kind",
            {kind: count["waiting"] for kind, count in counts.items()},
        )
        yield gauges(
            "deployd_mailbox_high_water_messages",
            "The most that ever waited for one of those that live.",
            "kind",
            {kind: count["high_water"] for kind, count in counts.items()},
        )
        yield counters(
            "deployd_actor_restarts",
            "Restarts after an end.",
            "kind",
            born(_KINDS, restarts(self._pod.root())),
        )
        yield counters(
            "deployd_dead_letters",
            "Messages that no actor handled.",
            "reason",
            born(DEAD_LETTER_REASONS, self._pod.dead_letters.statistics().by_reason),
        )

    def _chaos(self) -> Iterator[Metric]:
        injector = self._pod.chaos
        yield gauge("deployd_chaos_allowed", "Whether chaos.enabled is.", injector is not None)
        active: dict[str, float] = {}
        struck: dict[str, float] = {}
        if injector is not None:
            counted = Counter(one.fault.kind for one in injector.active())
            active = {kind.value: counted[kind] for kind in PodFault}
            struck = {kind.value: injector.struck.get(kind, 0) for kind in PodFault}
        yield gauges("deployd_chaos_active", "Faults on purpose that are active.", "fault", active)
        yield counters(
            "deployd_chaos_struck", "How often faults on purpose have struck.", "fault", struck
        )


def _process() -> Iterator[Metric]:
    """Yield what prometheus-client's own collector would, under the names that it gives."""
    process = read_process()
    yield counter("process_cpu_seconds", "Total user and system CPU time.", process.cpu_seconds)
    for name, about, value in (
        ("process_max_fds", "Maximum number of open file descriptors.", process.max_files),
        ("process_open_fds", "Number of open file descriptors.", process.open_files),
        ("process_resident_memory_bytes", "Resident memory size.", process.resident_bytes),
        ("process_virtual_memory_bytes", "Virtual memory size.", process.virtual_bytes),
        ("process_start_time_seconds", "Start time, unix seconds.", process.started_at),
    ):
        if value is not None:
            yield gauge(name, about, value)
