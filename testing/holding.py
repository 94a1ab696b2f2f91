"""Blocks that are kept open by a task of their own: fixtures open them, tests ask for more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeVar

import trio

__all__ = ["Holder", "holding"]

T = TypeVar("T")

MOST: Final = 200
"""Blocks that one test may hold open."""


class Holder:
    """Keeps blocks open until its end; then it leaves them, the last first."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._held: list[tuple[trio.Event, trio.Event]] = []

    async def hold(self, block: AbstractAsyncContextManager[T]) -> T:
        """Enter a block and return what it gives. What it raises later ends the test."""
        if len(self._held) >= MOST:
            raise RuntimeError(f"A test may hold {MOST} pods and clients; it wants more.")
        entered: T = await self._nursery.start(self._keep, block)
        return entered

    async def _keep(
        self, block: AbstractAsyncContextManager[T], task_status: trio.TaskStatus[T]
    ) -> None:
        leave, left = trio.Event(), trio.Event()
        try:
            async with block as entered:
                self._held.append((leave, left))
                task_status.started(entered)
                await leave.wait()
        finally:
            left.set()

    async def close(self) -> None:
        """Leave all blocks."""
        while self._held:
            leave, left = self._held.pop()
            leave.set()
            await left.wait()


@asynccontextmanager
async def holding() -> AsyncIterator[Holder]:
    """Make a holder for the length of the block."""
    async with trio.open_nursery() as nursery:
        holder = Holder(nursery)
        try:
            yield holder
        finally:
            await holder.close()
