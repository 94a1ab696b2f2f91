"""Who works next where few can at once: the addresses take turns, and not their requests."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from ..errors import TransportError
from .shares import Asker, Grant, Shares

__all__ = ["FairQueue", "TooManyWaiting"]


class TooManyWaiting(TransportError):
    """No place to wait for a turn: `grant` says whether it is the asker's own share that is taken.

    Come again later, `seconds` from now.
    """

    seconds = 2

    def __init__(self, grant: Grant) -> None:
        own = grant is Grant.OVER_SHARE
        super().__init__(
            "Too many of your requests wait already; send fewer at a time."
            if own
            else "Too many requests of this kind wait at this moment; try again."
        )
        self.grant = grant


class FairQueue:
    """Lets some work at a time, and others wait: in turns, one of each address after the other.

    `working` are those who work, `present` all of them with those who wait; each with a share for
    every address and user. So whoever sends a thousand requests waits for itself: somebody else
    who comes then is next. Who has its share of those who work waits also where there is room.

    The pod itself and root come first. Those whom a trusted proxy does not name take turns as one.
    """

    def __init__(self, working: Shares, present: Shares) -> None:
        self._working = working
        self._present = present
        self._queues: OrderedDict[str, deque[tuple[Asker, trio.Event]]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many work or wait."""
        return len(self._present)

    @asynccontextmanager
    async def turn(self, asker: Asker) -> AsyncIterator[None]:
        """Wait for a turn, which lasts for the block. Raises `TooManyWaiting`."""
        with self._present.holding(asker) as grant:
            if not grant:
                raise TooManyWaiting(grant)
            await self._begin(asker)
            try:
                yield
            finally:
                self._working.release(asker)
                self._call_next()

    async def _begin(self, asker: Asker) -> None:
        key = _queue_of(asker)
        if key not in self._queues and self._working.take(asker):
            return
        called = trio.Event()
        self._queues.setdefault(key, deque()).append((asker, called))
        if asker.privileged:
            self._queues.move_to_end(key, last=False)
        try:
            await called.wait()
        except trio.Cancelled:
            self._withdraw(key, asker, called)
            raise

    def _withdraw(self, key: str, asker: Asker, called: trio.Event) -> None:
        if called.is_set():  # the turn came in the moment in which nobody wanted it any more
            self._working.release(asker)
            self._call_next()
            return
        queue = self._queues[key]
        queue.remove((asker, called))
        if not queue:
            del self._queues[key]

    def _call_next(self) -> None:
        """Call the first of each address, in turns, as long as somebody may work."""
        for key in list(self._queues):
            queue = self._queues[key]
            asker, called = queue[0]
            if not self._working.take(asker):
                continue
            queue.popleft()
            called.set()
            if queue:
                self._queues.move_to_end(key)
            else:
                del self._queues[key]


def _queue_of(asker: Asker) -> str:
    return "root" if asker.privileged else asker.network
