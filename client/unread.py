"""What waits to be read: bounded, with a policy for what nobody reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, Generic, TypeVar

import trio

from .errors import ClientError, FellBehind

__all__ = ["Unread", "UnreadQueue"]

T = TypeVar("T")

MOST_BYTES: Final = 16 * 2**20
"""Bytes, as they were on the wire, that wait for a reader at most; one message may be larger."""


class Unread(Enum):
    """What becomes of messages that nobody reads: the oldest give way to new ones, and then ….

    Reading never waits for a reader: answers come on the same connection, and the pod would close
    it in the end (4000).
    """

    FAIL = "fail"
    """… the next read raises `FellBehind` once, where the hole is; what follows is whole."""
    DROP_OLDEST = "drop_oldest"
    """… nothing else; `missed` counts them."""


class UnreadQueue(Generic[T]):
    """Messages for whoever iterates over it; each is read once, also where several read.

    `missed` counts what was dropped unread. The end is that of the room or the client; it raises
    where that was not wanted.
    """

    def __init__(self, most: int, policy: Unread, what: str) -> None:
        self.missed = 0
        self._most = most
        self._policy = policy
        self._what = what
        self._items: deque[tuple[T, int]] = deque()
        self._nbytes = 0
        self._untold = 0
        self._ended = False
        self._why: Callable[[], ClientError] | None = None
        self._readers = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes; what waits may still be read."""
        return self._ended

    def put(self, message: T, nbytes: int = 0) -> None:
        """Take a message of so many bytes; never waits."""
        if self._ended:
            return
        self._items.append((message, nbytes))
        self._nbytes += nbytes
        while len(self._items) > self._most or (self._nbytes > MOST_BYTES and len(self._items) > 1):
            self._pop()
            self.missed += 1
            self._untold += 1
        self._readers.unpark()

    def end(self, why: Callable[[], ClientError] | None = None) -> None:
        """Let nothing more in; `why` makes what is raised after the last message."""
        if not self._ended:
            self._ended, self._why = True, why
            self._readers.unpark_all()

    def __aiter__(self) -> UnreadQueue[T]:
        return self

    async def __anext__(self) -> T:
        """Return the next message. Raises `FellBehind`, and what the end is raised for."""
        await trio.lowlevel.checkpoint()
        while True:
            if self._untold and self._policy is Unread.FAIL:
                untold, self._untold = self._untold, 0
                raise FellBehind(untold, self._what)
            if self._items:
                return self._pop()
            if self._ended:
                raise StopAsyncIteration if self._why is None else self._why()
            await self._readers.park()

    def _pop(self) -> T:
        message, nbytes = self._items.popleft()
        self._nbytes -= nbytes
        return message
