"""A broker that freezes at many moments of a link's life, and one that only pauses."""

from __future__ import annotations

from typing import Final

import trio
from _brokers import BrokerServer
from _outages import told
from _pair import Pair, pair
from _report import verdict
from _traffic import Traffic

__all__ = ["phases"]

FROZEN: Final = 4.0
"""Seconds of SIGSTOP that every link must notice."""
PAUSED: Final = 1.0
"""Seconds of SIGSTOP that none must."""
QUIET: Final = 2.0
"""Seconds, and the phase, between one freeze and the next; and after a pause."""
PROMISED: Final = 1.5


async def phases(server: BrokerServer, broker: dict[str, object], count: int, load: bool) -> bool:
    """Freeze and pause so often, each time at another moment; print, and judge."""
    async with pair(broker) as both, trio.open_nursery() as nursery:
        if load:
            nursery.start_soon(Traffic(both).run)
        noticed = [await _freeze(server, both, number / count) for number in range(count)]
        outages = sum([await _pause(server, both, number / count) for number in range(count)])
        nursery.cancel_scope.cancel()
    noticed.sort()
    worst = noticed[-1]
    print(f"\n  {'under load' if load else 'idle'}, {count} phases of a second each")
    print(
        f"    frozen: noticed by both pods after {noticed[0]:.3f} to {worst:.3f} s, "
        f"median {noticed[count // 2]:.3f} (promised {PROMISED:g}): {verdict(worst <= PROMISED)}"
    )
    print(f"    paused for {PAUSED:g} s: {outages} outages: {verdict(outages == 0)}")
    return worst <= PROMISED and outages == 0


async def _freeze(server: BrokerServer, both: Pair, phase: float) -> float:
    await trio.sleep(QUIET + phase)
    began = trio.current_time()
    server.freeze()
    try:
        noticed = await told(both, "system:degraded") - began
        await trio.sleep_until(began + FROZEN)
    finally:
        server.thaw()
    await told(both, "system:healed")
    return noticed


async def _pause(server: BrokerServer, both: Pair, phase: float) -> int:
    await trio.sleep(phase)
    before = _outages(both)
    server.freeze()
    await trio.sleep(PAUSED)
    server.thaw()
    await trio.sleep(QUIET)
    return _outages(both) - before


def _outages(both: Pair) -> int:
    return sum(
        event == "system:degraded" for ear in (both.near, both.far) for event, _, _ in ear.notices
    )
