"""Whose processor time it is: of many pods in one thread, which each stand for a process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context

import trio

__all__ = ["Attributed"]

_OWNER: ContextVar[int | None] = ContextVar("owner", default=None)


class Attributed(trio.abc.Instrument):
    """Keeps the processor seconds of each owner: of its tasks, and of what `on_account` does.

    What the loop itself takes, and tasks of nobody, is left out.
    """

    def __init__(self, owners: int) -> None:
        self.seconds = [0.0] * owners
        self._since = 0.0

    @staticmethod
    def own(owner: int, nursery: trio.Nursery, run: Callable[[], Awaitable[object]]) -> None:
        """Start a task of this owner; so are those that it starts."""
        context = copy_context()
        context.run(_OWNER.set, owner)
        context.run(lambda: nursery.start_soon(run))

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Begin to count."""
        self._since = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count it."""
        self._count(task.context.get(_OWNER))

    @contextmanager
    def on_account(self, owner: int) -> Iterator[None]:
        """Count what is done in the block as another owner's: it runs within a task's step."""
        self._count(_OWNER.get())
        try:
            yield
        finally:
            self._count(owner)

    def _count(self, owner: int | None) -> None:
        now = time.thread_time()
        if owner is not None:
            self.seconds[owner] += now - self._since
        self._since = now
