"""How long an event takes from pod to pod while nothing else goes on."""

from __future__ import annotations

from typing import Final

import trio
from _ears import Ear
from _joined import joined_pods
from _pair import Pair, pair
from _report import percentile, verdict
from _server import ServerFailed

__all__ = ["PROMISED", "idle_latency"]

PROMISED: Final = {"nats": 1.0, "redis": 2.0, "rabbitmq": 5.0}
"""Milliseconds, the median on one machine, from one pod's code to the other's frames."""
STAMPED: Final = "stamped"
EVENTS: Final = 1000
WARM_UP: Final = 50
PAUSE: Final = 0.004
"""Seconds between two events: the pods have nothing else to do."""


async def idle_latency(kind: str, broker: dict[str, object]) -> bool:
    """Emit one event at a time, from pod to pod and from client to client; print and judge.

    What is promised is the crossing itself: from the emit on A to the frames that B has written
    for its members. A client's own two hops, to its pod and from it, are shown beside it.
    """
    crossing = await trio.to_thread.run_sync(_from_pod_to_pod, broker)
    async with pair(broker) as both:
        # Nobody else is in these rooms: who hears it too would be served first.
        across = await _measure(both, both.far, "across")
        local = await _measure(both, both.near, "local")
    median, promised = percentile(crossing, 50) * 1e3, PROMISED[kind]
    print(
        f"\n  idle latency of {len(crossing)} events: pod to pod p50 {median:.2f} ms, "
        f"p99 {percentile(crossing, 99) * 1e3:.2f}; promised p50 {promised:g}: "
        f"{verdict(median < promised)}\n"
        f"    client to client p50 {percentile(across, 50) * 1e3:.2f} ms, "
        f"p99 {percentile(across, 99) * 1e3:.2f} (on one pod p50 {percentile(local, 50) * 1e3:.2f})"
    )
    return median < promised


def _from_pod_to_pod(broker: dict[str, object]) -> list[float]:
    """Let A's code emit the time, and ask B how long that took to be written for its member."""
    with joined_pods(broker, room=STAMPED) as (a, _, b):
        a.order("say the time", count=WARM_UP + EVENTS, pause=PAUSE)
        a.reply()
        b.order("taken")
        taken = list(b.reply().values())
    if len(taken) != WARM_UP + EVENTS:
        raise ServerFailed(f"{len(taken)} events of {WARM_UP + EVENTS} came across")
    return sorted(taken[WARM_UP:])


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
