"""How long an event takes from pod to pod while nothing else goes on."""

from __future__ import annotations

from typing import Final

import trio
from _pair import OPEN, Pair, pair
from _report import percentile, verdict

__all__ = ["PROMISED", "idle_latency"]

PROMISED: Final = {"nats": 1.0, "redis": 2.0, "rabbitmq": 5.0}
"""Milliseconds, the median on one machine."""
EVENTS: Final = 1000
WARM_UP: Final = 50
PAUSE: Final = 0.004
"""Seconds between two events: the pods have nothing else to do."""


async def idle_latency(kind: str, broker: dict[str, object]) -> bool:
    """A client of A emits, one of B hears, one event at a time; print and judge."""
    async with pair(broker) as both:
        await _measure(both, WARM_UP)
        across, local = await _measure(both, EVENTS)
    median, promised = percentile(across, 50) * 1e3, PROMISED[kind]
    print(
        f"\n  idle latency of {len(across)} events, client to client: "
        f"across p50 {median:.2f} ms, p99 {percentile(across, 99) * 1e3:.2f} "
        f"(on one pod p50 {percentile(local, 50) * 1e3:.2f}); "
        f"promised p50 {promised:g}: {verdict(median < promised)}"
    )
    return median < promised


async def _measure(both: Pair, count: int) -> tuple[list[float], list[float]]:
    across, local = [], []
    for number in range(count):
        for ear in (both.near, both.far):
            ear.heard.clear()
        sent = trio.current_time()
        await both.emitter.send("emit", room=OPEN[0], event="e", data=number)
        await both.far.until(lambda: bool(both.far.heard))
        await both.near.until(lambda: bool(both.near.heard))
        across.append(both.far.heard[0][3] - sent)
        local.append(both.near.heard[0][3] - sent)
        await trio.sleep(PAUSE)
    return sorted(across), sorted(local)
