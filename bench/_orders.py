"""What every server process understands: orders on stdin, numbers back on stdout."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable

from attrs import frozen

__all__ = ["Say", "Work", "answer", "read_line"]

Say = Callable[[str], Awaitable[None]]
"""Tell everyone in the room, and wait as long as the system wants its emitters to."""


def answer(**numbers: float) -> None:
    """Answer an order."""
    print(json.dumps(numbers), flush=True)


@frozen
class Work:
    """The orders, carried out with one system's own means; no event loop is named here."""

    say: Say
    read_line: Callable[[], Awaitable[str]]
    sleep: Callable[[float], Awaitable[None]]

    async def until_told_to_stop(self) -> None:
        """Carry out one order after the other, until stdin ends."""
        while line := await self.read_line():
            order = json.loads(line)
            match order:
                case {"do": "flood", "first": first, "seconds": seconds, "limit": limit}:
                    await self._flood(int(first), seconds, int(limit), int(order["size"]))
                case {"do": "pace", "first": first, "seconds": seconds, "rate": rate}:
                    await self._pace(int(first), seconds, rate, int(order["size"]))
                case {"do": "tidy"}:
                    answer(collected=gc.collect())
                case _:
                    sys.exit(f"unknown order {order}")

    async def _flood(self, first: int, seconds: float, limit: int, size: int) -> None:
        """Emit numbered messages as fast as it goes, for a time or up to a number of them."""
        say, clock = self.say, time.monotonic
        started, count = clock(), 0
        while count < limit and clock() - started < seconds:
            await say(f"#{first + count}".ljust(size, "."))
            count += 1
        answer(count=count, started=started)

    async def _pace(self, first: int, seconds: float, rate: float, size: int) -> None:
        """Emit so many numbered messages a second, each with the time at which it was said."""
        started = time.monotonic()
        total = int(seconds * rate)
        for index in range(total):
            await self.sleep(max(0.0, started + index / rate - time.monotonic()))
            await self.say(f"#{first + index}@{time.monotonic_ns()}.".ljust(size, "."))
        answer(count=total, started=started)


def read_line() -> str:
    """Read the next order, "" at the end. Blocks: call it in a thread."""
    return sys.stdin.readline()
