"""One outage under load, measured from its beginning to the healing, and judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from _brokers import BrokerServer
from _pair import Pair, pair
from _report import percentile, verdict
from _traffic import Traffic
from attrs import frozen

from support.crossing import Verdict

__all__ = ["Outage", "freeze", "kill", "show", "told"]

BEFORE: Final = 4.0
"""Seconds of load before the broker is hurt."""
HEAL: Final = 60.0
"""Seconds for the pods to notice an outage, or to come back."""


@frozen
class Outage:
    """What was seen. Times in seconds; latencies are of local deliveries, sorted."""

    name: str
    detected: float
    healed: float
    before: list[float]
    during: list[float]
    undelivered: int
    disconnected: int
    outages: int
    scopes: Counter[str | None]
    verdict: Verdict
    notice: str


Step = Callable[[], Awaitable[None]]


async def kill(server: BrokerServer, broker: dict[str, object], away: float = 5.0) -> Outage:
    """`kill -9`, and a new start after so many seconds."""

    async def hurt() -> None:
        server.kill()

    async def cure() -> None:
        await trio.to_thread.run_sync(server.start)

    async with pair(broker) as both:
        return await _outage(f"kill -9, restart after {away:g} s", both, hurt, cure, away)


async def freeze(server: BrokerServer, broker: dict[str, object], away: float = 20.0) -> Outage:
    """SIGSTOP, and SIGCONT after so many seconds."""

    async def hurt() -> None:
        server.freeze()

    async def cure() -> None:
        server.thaw()

    async with pair(broker) as both:
        return await _outage(f"SIGSTOP for {away:g} s", both, hurt, cure, away)


async def _outage(name: str, both: Pair, hurt: Step, cure: Step, away: float) -> Outage:
    traffic = Traffic(both)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await trio.sleep(BEFORE)
        began = trio.current_time()
        await hurt()
        detected = await told(both, "system:degraded") - began
        await trio.sleep_until(began + away)
        await cure()
        back = trio.current_time()
        healed = await told(both, "system:healed") - back
        ended = trio.current_time()
        await trio.sleep(1.0)
        await traffic.settle()
        nursery.cancel_scope.cancel()
    near = both.near.heard
    return Outage(
        name,
        detected,
        healed,
        traffic.latencies(began - BEFORE + 1, began, both.near),
        traffic.latencies(began, ended, both.near),
        len(traffic.said) - len({data["n"] for _, data, _, _ in near}),
        both.disconnected,
        sum(event == "system:degraded" for event, _, _ in both.far.notices),
        Counter(said.scope for said in traffic.history()),
        traffic.judge(),
        _reason(both),
    )


async def told(both: Pair, event: str) -> float:
    """Return when the clients of both pods have been told."""
    with trio.fail_after(HEAL):
        for ear in (both.near, both.far):
            await ear.until(lambda ear=ear: bool(ear.notices) and ear.notices[-1][0] == event, HEAL)  # type: ignore[misc]
    return trio.current_time()


def _reason(both: Pair) -> str:
    reasons = [data["reason"] for event, data, _ in both.near.notices if "reason" in data]
    return str(reasons[0]) if reasons else ""


def show(outage: Outage, promised: float) -> bool:
    """Print one; return whether all promises were kept."""
    print(f"\n  {outage.name}: {outage.notice}")
    checks = [
        _figure("noticed by both pods after", outage.detected, promised),
        _figure("healed after its return", outage.healed, 3.0),
        _latency(outage),
        _zero("local deliveries missing", outage.undelivered),
        _zero("clients disconnected", outage.disconnected),
    ]
    found = outage.verdict
    checks += [
        _zero("false `cluster` receipts", len(found.false_cluster)),
        _zero("undeclared losses", len(found.undeclared)),
        _zero("buffered: missing", len(found.missing)),
        _zero("duplicates", len(found.duplicate)),
        _zero("disorder", len(found.disordered)),
        _zero("invented", len(found.invented)),
    ]
    scopes = ", ".join(f"{count} {scope}" for scope, count in outage.scopes.most_common())
    print(f"    receipts: {scopes}; outages declared by B: {outage.outages}")
    print(
        f"    not heard on B: {len(found.admitted)} that the receipt admits, "
        f"{len(found.in_gap)} `cluster` in B's declared gap"
    )
    return all(checks)


def _latency(outage: Outage) -> bool:
    before, during = outage.before, outage.during
    if not before or not during:
        print("    no local deliveries: FALLS SHORT")
        return False
    worst = percentile(during, 99) / percentile(before, 99)
    print(
        f"    local delivery before p50 {percentile(before, 50) * 1e3:.2f} ms, "
        f"p99 {percentile(before, 99) * 1e3:.2f}; during p50 {percentile(during, 50) * 1e3:.2f}, "
        f"p99 {percentile(during, 99) * 1e3:.2f}, max {during[-1] * 1e3:.1f}: "
        f"{worst:.2f} × (promised 2): {verdict(worst <= 2)}"
    )
    return worst <= 2


def _figure(name: str, seconds: float, promised: float) -> bool:
    print(f"    {name:30}{seconds:8.3f} s (promised {promised:g}): {verdict(seconds <= promised)}")
    return seconds <= promised


def _zero(name: str, count: int) -> bool:
    print(f"    {name:30}{count:8}: {verdict(count == 0)}")
    return count == 0
