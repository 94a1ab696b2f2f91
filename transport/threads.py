"""Work in trio's threads, and what it is called when the system starts no more of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from .errors import NoThread

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(
    work: Callable[[], T],
    *,
    limiter: trio.CapacityLimiter | None = None,
    abandon: bool = False,
    name: str | None = None,
) -> T:
    """Run `work` in a thread and return what it returns, as `trio.to_thread.run_sync` does.

    Raises `NoThread` when the system would not start one: the work has not begun then. With
    `abandon` a cancellation leaves the thread to itself; else it waits for it.
    """
    begun = False

    def run() -> T:
        nonlocal begun
        begun = True
        return work()

    try:
        return await trio.to_thread.run_sync(
            run, limiter=limiter, abandon_on_cancel=abandon, thread_name=name
        )
    except RuntimeError as error:
        if begun:  # it is the work's own
            raise
        raise NoThread from error
