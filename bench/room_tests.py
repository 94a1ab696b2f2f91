"""What a room test costs: two guests join, one bids, both hear; two hundred times in a process.

python bench/room_tests.py
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Final

import trio
from trio.testing import MockClock

from deployd.testing import open_room

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples" / "auction"))

from auction_room import Auction

RUNS: Final = 200
EMITS: Final = 2_000


async def main() -> None:
    """Measure, and print."""
    for pods in (1, 2):
        await _test(pods)  # whatever is made once
        taken, busy = [], time.process_time()
        for _ in range(RUNS):
            began = time.perf_counter()
            await _test(pods)
            taken.append((time.perf_counter() - began) * 1e3)
        busy = (time.process_time() - busy) / RUNS * 1e3
        middle, slow = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
        print(
            f"a room test, {pods} pod(s): {middle:.1f} ms, 95% below {slow:.1f} ms, "
            f"{busy:.1f} ms of the processor"
        )
    print(f"an emit with its answer: {await _emit():.0f} µs")


async def _test(pods: int) -> None:
    async with open_room(Auction, pods=pods) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben", pod=pods - 1)
        await ann.emit("bid", 5)
        assert await ben.hear("leading") == {"user": "ann", "amount": 5}


async def _emit() -> float:
    async with open_room(Auction) as room:
        ann = await room.join(user="ann")
        began = time.perf_counter()
        for amount in range(EMITS):
            await ann.emit("bid", amount + 1)
        return (time.perf_counter() - began) / EMITS * 1e6


if __name__ == "__main__":
    trio.run(main, clock=MockClock(autojump_threshold=0.0))
