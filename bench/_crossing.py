"""How long an event takes from pod to pod while nothing else goes on."""

from __future__ import annotations

from typing import Final

import trio
from _ears import Ear
from _pair import Pair, pair
from _report import percentile, verdict

__all__ = ["PROMISED", "idle_latency"]

PROMISED: Final = {"nats": 1.0, "redis": 2.0, "rabbitmq": 5.0}
"""Milliseconds, the median on one machine."""
EVENTS: Final = 1000
WARM_UP: Final = 50
PAUSE: Final = 0.004
"""Seconds between two events: the pods have nothing else to do."""


async def idle_latency(kind: str, broker: dict[str, object]) -> bool:
    """A client of A emits, one client hears, one event at a time; print and judge.

    Nobody else is in the room: who hears it too would be served first.
    """
    async with pair(broker) as both:
        across = await _measure(both, both.far, "across")
        local = await _measure(both, both.near, "local")
    median, promised = percentile(across, 50) * 1e3, PROMISED[kind]
    print(
        f"\n  idle latency of {len(across)} events, client to client: "
        f"across p50 {median:.2f} ms, p99 {percentile(across, 99) * 1e3:.2f} "
        f"(on one pod p50 {percentile(local, 50) * 1e3:.2f}); "
        f"promised p50 {promised:g}: {verdict(median < promised)}"
    )
    return median < promised


async def _measure(both: Pair, ear: Ear, room: str) -> list[float]:
    await ear.join(room)
    taken = []
    for number in range(WARM_UP + EVENTS):
        ear.heard.clear()
        sent = trio.current_time()
        await both.emitter.send("emit", room=room, event="e", data=number)
        await ear.until(lambda: bool(ear.heard))
        taken.append(ear.heard[0][3] - sent)
        await trio.sleep(PAUSE)
    return sorted(taken[WARM_UP:])
