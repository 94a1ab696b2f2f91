"""A pod at a glance: what `/_dashboard/api/metrics/…` answers, put together when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...actors import Member
from ...transport import JSON, CloseCode, Histogram, Meters, close_label
from .census import every_room, mailboxes, restarts, rooms_at_a_glance
from .process import read_process
from .samples import Samples, summary
from .watched import Watched

__all__ = ["counts_of", "detailed", "histograms_of", "realtime", "slow_closed"]

MOST_SLOW: Final = 20
CPU_WINDOW: Final = 10
"""Seconds that the share of a processor is told for."""


def counts_of(pod: Watched) -> dict[str, int]:
    """Return the counts whose rates are shown; of what is sent, the sockets know the rest."""
    meters, written = pod.meters, [member.sink.written for member in pod.members.values()]
    return {
        "messages_received": meters.messages_received,
        "messages_sent": meters.messages_sent + sum(messages for messages, _ in written),
        "bytes_received": meters.bytes_received,
        "bytes_sent": meters.bytes_sent + sum(nbytes for _, nbytes in written),
    }


def slow_closed(meters: Meters) -> int:
    """Return how many clients were closed because they did not read."""
    return meters.closed[CloseCode.SLOW_CONSUMER] + meters.closed[CloseCode.DEAD_CLIENT]


def histograms_of(meters: Meters) -> dict[str, Histogram]:
    """Return all histograms by the name they are shown under."""
    return {
        "fan_out": meters.fan_out,
        "local_latency": meters.local_latency,
        "cross_pod_latency": meters.cross_pod_latency,
        "loop_lag": meters.loop_lag,
    }


def realtime(pod: Watched, samples: Samples, now: float) -> dict[str, JSON]:
    """Return how the pod is at `now` (unix seconds). Times are in seconds, sizes in bytes.

    Counts are those since the start; quantiles, of the last 60 seconds.
    """
    return _overview(pod, samples, now, rooms_at_a_glance(pod))


def detailed(pod: Watched, samples: Samples, now: float) -> dict[str, JSON]:
    """Return the same and more: every histogram since the start, and the 1000 largest rooms."""
    histograms: JSON = {
        name: {"bounds": list(one.bounds), "counts": list(one.counts), "sum": one.sum}
        for name, one in histograms_of(pod.meters).items()
    }
    rooms: JSON = {**rooms_at_a_glance(pod), "all": every_room(pod)}
    return {**_overview(pod, samples, now, rooms), "histograms": histograms}


def _overview(pod: Watched, samples: Samples, now: float, rooms: JSON) -> dict[str, JSON]:
    meters, counts, reason = pod.meters, counts_of(pod), pod.unready()

    def moved(what: str) -> JSON:
        return {
            way: {"total": counts[f"{what}_{way}"], "per_second": samples.rates(f"{what}_{way}")}
            for way in ("received", "sent")
        }

    def recent(name: str, histogram: Histogram) -> dict[str, JSON]:
        counted = samples.observed(name) or [0] * len(histogram.counts)
        return dict(summary(histogram.bounds, counted))

    return {
        "pod": pod.pod_id,
        "name": pod.name,
        "version": pod.version,
        "at": now,
        "uptime": round(max(0.0, now - pod.started_at), 3),
        "ready": reason is None,
        "not_ready_because": reason,
        "connections": _connections(pod),
        "messages": moved("messages"),
        "bytes": moved("bytes"),
        "latency": {
            "local": recent("local_latency", meters.local_latency),
            "cross_pod": recent("cross_pod_latency", meters.cross_pod_latency),
        },
        "rooms": rooms,
        "links": [dict(link) for link in pod.links()],
        "actors": {
            "restarts": dict(restarts(pod.root())),
            "dead_letters": dict(pod.dead_letters.statistics().by_reason),
            "mailboxes": {kind: dict(figures) for kind, figures in mailboxes(pod.root()).items()},
        },
        "loop": {"lag": recent("loop_lag", meters.loop_lag), "stalls": pod.watchdog.stalls},
        "process": _process(samples),
        "rate_limited": {"messages": 0, **meters.rate_limited},
        "slow_clients": _slow_clients(pod.members.values()),
        "chaos": _chaos(pod),
    }


def _chaos(pod: Watched) -> JSON:
    """Tell of the faults that are active; None is for a pod that takes none."""
    return None if pod.chaos is None else pod.chaos.shown()["faults"]


def _connections(pod: Watched) -> JSON:
    closed = pod.meters.closed
    by_code: JSON = {close_label(code): count for code, count in sorted(closed.items())}
    return {
        "open": len(pod.members),
        "max": pod.config.limits.max_connections,
        "opened": pod.meters.opened,
        "closed": closed.total(),
        "slow_closed": slow_closed(pod.meters),
        "closed_by_code": by_code,
        "refused": dict(pod.refused()),
    }


def _slow_clients(members: Iterable[Member]) -> list[JSON]:
    """Name those for whom most waits."""
    waiting = ((member, *member.sink.waiting) for member in members)
    slow = [(member, messages, nbytes) for member, messages, nbytes in waiting if nbytes]
    slow.sort(key=lambda one: one[2], reverse=True)
    return [
        {
            "client": member.client_id,
            "address": member.address,
            "user": member.user_id,
            "waiting_messages": messages,
            "waiting_bytes": nbytes,
        }
        for member, messages, nbytes in slow[:MOST_SLOW]
    ]


def _process(samples: Samples) -> JSON:
    """Show what the system knows of this process; null for what it does not tell."""
    process = read_process()
    return {
        "memory_bytes": process.resident_bytes,
        "open_files": process.open_files,
        "max_files": process.max_files,
        "cpu_seconds": process.cpu_seconds,
        "cpu_percent": round(100 * samples.rate("cpu_seconds", CPU_WINDOW), 1),
    }
