"""What is wrong with a pod, the worst first, in sentences: read off what it counts, each second.

Each has the heading of its runbook in `web/runbooks.md`. The page's banner, its timeline and its
title say these, and nothing else decides what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...actors import Link
from ...transport.protocols import OutageCode
from ..base import BaseSupervisor
from ..crashes import CrashLoop
from .census import supervisors
from .overview import slow_closed
from .past import Ailment
from .process import read_process
from .samples import Samples, quantile
from .watched import Watched

__all__ = ["ailments", "counts_of_trouble", "crash_loops"]

MINUTE: Final = 60
NEARLY_FULL: Final = 0.85
"""Of the connections, or of the descriptors, that the pod may have."""
MANY_SLOW: Final = 5
"""Clients closed in a minute because they did not read."""
MANY_REFUSED: Final = 10
"""Sign-ins that failed in a minute."""
LAG: Final = 0.1
"""Seconds that what is ready waits for its turn (p99 of a minute)."""
MIB: Final = 2**20
HEAVY: Final = 256 * MIB
"""Bytes that one room may hold."""
DAY: Final = 86_400.0
EXPIRING: Final = 14.0
"""Days before its end at which a certificate should have been renewed."""
MOST_LOOPS: Final = 10


def counts_of_trouble(pod: Watched) -> dict[str, int]:
    """Return the counts, since the start, of which a minute's growth is looked at."""
    audited = pod.meters.audited
    failed = ("sign_in_failed", "wrong_master_key", "wrong_metrics_token")
    counts = {
        "sign_ins_failed": sum(audited.get(what, 0) for what in failed),
        "slow_closed": slow_closed(pod.meters),
        "stalls": pod.watchdog.stalls,
    }
    if pod.link is not None:
        counters = pod.link.state.counters
        counts |= {
            "lost": counters.lost,
            "missed": pod.link.sequences.missed,
            "undelivered": counters.undelivered,
        }
    return counts


def ailments(pod: Watched, samples: Samples, wall: float, now: float) -> Iterator[Ailment]:
    """Yield what is wrong, the worst first; `wall` is unix, `now` steady seconds."""
    if pod.link is not None:
        yield from _of_the_link(pod.link)
    trouble = None if pod.documents is None else pod.documents.store_trouble
    if trouble is not None:
        yield Ailment("store", "store-down", f"Documents cannot be written: {trouble}")
    because = pod.unready()
    if because is not None:
        yield Ailment("not-ready", "not-ready", f"Not ready: {because}")
    for loop in crash_loops(pod.root(), now)[:MOST_LOOPS]:
        yield _crashes(loop, wall - now)
    yield from _of_the_loop(pod, samples)
    if pod.link is not None:
        yield from _of_what_was_lost(pod.link, samples)
    yield from _of_limits(pod)
    yield from _of_certificates(pod, wall)
    yield from _of_clients(samples)


def crash_loops(tree: BaseSupervisor, now: float) -> list[CrashLoop]:
    """Return who crashes again and again in the whole tree, the worst first."""
    found = [loop for one in supervisors(tree) for loop in one.crashes.loops(now)]
    return sorted(found, key=lambda one: one.count, reverse=True)


def _of_the_link(link: Link) -> Iterator[Ailment]:
    state, holder = link.state, link.name.holder
    outage = state.history.current
    if outage is not None:
        lost, replayed, missed = state.counters.outage(link.sequences.missed)
        cost = {"lost": lost, "waiting": len(state.buffer), "replayed": replayed, "missed": missed}
        why = outage.last_reason or outage.reason
        if outage.code is OutageCode.PARTITIONED:
            partition = state.peers.partition
            missing = outage.missing if partition is None else partition.missing
            sentence = f"Not heard: {missing} of the other pods, dead or cut off."
            yield Ailment("partitioned", "pods-missing", sentence, outage.at, cost)
        else:
            now = state.breaker.state.value.replace("_", " ")
            sentence = (
                f"Degraded: the breaker of {link.figures.kind} is {now}. This pod is alone. {why}"
            )
            yield Ailment("cut-off", "breaker-open", sentence, outage.at, cost)
    if holder is not None:
        sentence = (
            f"Pod {holder.origin} has the name of this one, which is called {link.name.name}: "
            "give each its own."
        )
        yield Ailment("name-taken", "name-taken", sentence, cost={})


def _crashes(loop: CrashLoop, to_wall: float) -> Ailment:
    return Ailment(
        f"crashes {loop.path}",
        "restart-storm",
        f"{loop.path} crashes again and again: {loop.reason}",
        loop.since + to_wall,
        {"crashes": loop.count},
    )


def _of_the_loop(pod: Watched, samples: Samples) -> Iterator[Ailment]:
    cost, counters = _lately(samples, stalls="stalls")
    if cost["stalls"]:
        sentence = "The loop stood still for a second or more; the log names who held it up."
        yield Ailment("stalls", "loop-stalls", sentence, cost=cost, counters=counters)
        return
    bounds = pod.meters.loop_lag.bounds
    lag = quantile(bounds, samples.observed("loop_lag"), 0.99)
    if lag is not None and lag > LAG:
        sentence = f"What is ready waits {lag:.2f} s for its turn (p99 of a minute)."
        yield Ailment("lag", "loop-lag", sentence)


def _of_what_was_lost(link: Link, samples: Samples) -> Iterator[Ailment]:
    cost, counters = _lately(samples, lost="lost", missed="missed", undelivered="undelivered")
    if any(cost.values()):
        reasons = [why for why, count in link.state.counters.lost_by_reason().items() if count]
        why = f" ({', '.join(reasons)})" if cost["lost"] and reasons else ""
        sentence = f"Events between the pods were lost in the last minute{why}."
        yield Ailment("lost", "events-lost", sentence, cost=cost, counters=counters)


def _of_limits(pod: Watched) -> Iterator[Ailment]:
    held, most = len(pod.members), pod.config.limits.max_connections
    if held >= NEARLY_FULL * most:
        sentence = f"Nearly full: {held} of {most} connections."
        yield Ailment("full", "connections-near-max", sentence)
    heaviest = pod.weights.heaviest()
    if heaviest is not None and heaviest[1] >= HEAVY:
        sentence = f"Room {heaviest[0]} holds some {heaviest[1] / MIB:.0f} MB."
        yield Ailment("heavy", "room-memory", sentence)
    process = read_process()
    files, most_files = process.open_files, process.max_files
    if files is not None and most_files and files >= NEARLY_FULL * most_files:
        sentence = f"Files run out: {files} of {most_files} are open."
        yield Ailment("files", "files-near-max", sentence)


def _of_certificates(pod: Watched, wall: float) -> Iterator[Ailment]:
    for setting, end in pod.certificates().items():
        days = (end - wall) / DAY
        if days < EXPIRING:
            when = f"ends in {days:.1f} days" if days > 0 else "has ended"
            sentence = f"The certificate of {setting} {when}."
            yield Ailment(f"certificate {setting}", "certificate-expiring", sentence)


def _of_clients(samples: Samples) -> Iterator[Ailment]:
    cost, counters = _lately(samples, closed="slow_closed")
    if cost["closed"] >= MANY_SLOW:
        sentence = "Clients are closed because they do not read."
        yield Ailment("slow", "slow-clients", sentence, cost=cost, counters=counters)
    cost, counters = _lately(samples, refused="sign_ins_failed")
    if cost["refused"] >= MANY_REFUSED:
        sentence = "Somebody tries passwords or keys that are wrong."
        yield Ailment("sign-ins", "sign-ins-refused", sentence, cost=cost, counters=counters)


def _lately(samples: Samples, **counts: str) -> tuple[dict[str, int], dict[str, float]]:
    """Return, by the word for each count, by how much it grew in a minute, and what it is now."""
    grown = {word: samples.grown(name, MINUTE) for word, name in counts.items()}
    return grown, {word: samples.last(name) for word, name in counts.items()}
