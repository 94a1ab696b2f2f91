"""Many broker restarts, and what they leave in the pods' processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import trio
from _brokers import BrokerServer
from _ears import Ear
from _pair import Pair, Resources, pair, resources
from _report import verdict

__all__ = ["many_restarts"]

WARM_UP: Final = 5
"""Restarts before the first look: what is made once is made by then."""
MARGIN_DESCRIPTORS: Final = 4
MARGIN_THREADS: Final = 3
MARGIN_RSS: Final = 8 * 2**20
"""What processes may have more than before: what is under way, and what Python keeps."""
PATIENCE: Final = 30.0


async def many_restarts(server: BrokerServer, broker: dict[str, object], count: int) -> bool:
    """Kill and start the broker so often, each time until both pods were back; print and judge."""
    async with pair(broker) as both:
        pids = (both.a.pid, both.b.pid)
        for _ in range(WARM_UP):
            await _restart(server, both)
        before = [await _least(pid) for pid in pids]
        began = time.monotonic()
        for _ in range(count):
            await _restart(server, both)
        seconds = time.monotonic() - began
        after = [await _least(pid) for pid in pids]
        print(
            f"\n  {count} restarts (after {WARM_UP}) in {seconds:.0f} s, each healed on both pods"
        )
        flat = [_show(*pod) for pod in zip("AB", before, after, strict=True)]
        print(f"    clients disconnected {both.disconnected}: {verdict(not both.disconnected)}")
        return all(flat) and not both.disconnected


async def _restart(server: BrokerServer, both: Pair) -> None:
    ears = (both.near, both.far)
    before = [_count(ear, "system:healed") for ear in ears]
    server.kill()
    for ear, healings in zip(ears, before, strict=True):
        await ear.until(_told(ear, "system:degraded", healings), PATIENCE)
    await trio.to_thread.run_sync(server.start)
    for ear, healings in zip(ears, before, strict=True):
        await ear.until(_told(ear, "system:healed", healings), PATIENCE)


def _count(ear: Ear, event: str) -> int:
    return sum(name == event for name, _, _ in ear.notices)


def _told(ear: Ear, event: str, before: int) -> Callable[[], bool]:
    return lambda: ear.closed or _count(ear, event) > before


async def _least(pid: int) -> Resources:
    """Look for two seconds: threads that are ending tell nobody when they have."""
    seen = []
    for _ in range(10):
        seen.append(resources(pid))
        await trio.sleep(0.2)
    return Resources(
        min(look.descriptors for look in seen),
        min(look.threads for look in seen),
        min(look.rss for look in seen),
    )


def _show(name: str, before: Resources, after: Resources) -> bool:
    flat = (
        after.descriptors <= before.descriptors + MARGIN_DESCRIPTORS
        and after.threads <= before.threads + MARGIN_THREADS
        and after.rss <= before.rss + MARGIN_RSS
    )
    print(
        f"    pod {name}: descriptors {before.descriptors} → {after.descriptors}, "
        f"threads {before.threads} → {after.threads}, "
        f"RSS {before.rss / 1e6:.1f} → {after.rss / 1e6:.1f} MB: "
        f"{'flat' if flat else 'NOT FLAT'}"
    )
    return flat
