"""What was asked and is not answered: requests by their ids. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import trio

from .errors import ClientError, TooMuchUnanswered

__all__ = ["Outstanding", "Promise"]

T = TypeVar("T")

MOST: Final = 10_000
"""Requests that may be without an answer."""


class Promise(Generic[T]):
    """One answer that somebody waits for, or why there is none; the first that comes counts.

    An error is made where it is raised: several may wait for the same end.
    """

    __slots__ = ("_error", "_over", "_value")

    def __init__(self) -> None:
        self._over = trio.Event()
        self._value: T | None = None
        self._error: Callable[[], ClientError] | None = None

    @property
    def over(self) -> bool:
        """Whether there is an answer."""
        return self._over.is_set()

    def keep(self, value: T) -> None:
        """Give the answer."""
        if not self.over:
            self._value = value
            self._over.set()

    def fail(self, error: Callable[[], ClientError]) -> None:
        """Say that there will be none."""
        if not self.over:
            self._error = error
            self._over.set()

    async def wait(self) -> T:
        """Return the answer. Raises what it failed with."""
        await self._over.wait()
        if self._error is not None:
            raise self._error()
        return self._value  # type: ignore[return-value]


class Outstanding(Generic[T]):
    """Requests by their ids, which count up for as long as the client lives.

    So what is late is never taken for the answer to something else.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._last = 0
        self._promises: dict[int, tuple[str, Promise[T]]] = {}
        self._rooms: dict[int, str] = {}
        self._kept: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._promises)

    def ask(self, what: str, room: str | None = None) -> tuple[int, Promise[T]]:
        """Return the id of a new request and the promise of its answer; `what` names it.

        What is asked in a `room` may be answered there when the connection was lost meanwhile.
        Raises `TooMuchUnanswered`.
        """
        if len(self._promises) >= self._most:
            raise TooMuchUnanswered(f"{self._most} requests are unanswered: wait for receipts.")
        self._last += 1
        promise: Promise[T] = Promise()
        self._promises[self._last] = what, promise
        if room is not None:
            self._rooms[self._last] = room
        return self._last, promise

    def take(self, request: object) -> Promise[T] | None:
        """Return the promise of a request that is answered; None for one that nobody waits for."""
        if type(request) is not int:
            return None
        self._rooms.pop(request, None)
        return self._promises.pop(request, (None, None))[1]

    def forget(self, request: int) -> None:
        """Wait for its answer no longer."""
        self._promises.pop(request, None)
        self._rooms.pop(request, None)

    def fail_all(
        self,
        error: Callable[[str], ClientError],
        kept: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Tell all who wait that there will be no answer; `error` is given what was asked.

        But those who wait for one of a room that is `kept`: that may still come.
        """
        for request in list(self._promises):
            room = self._rooms.get(request)
            if room is not None and kept(room):
                self._kept.setdefault(room, []).append(request)
            else:
                self._fail(request, error)

    def fail_kept(self, room: str, error: Callable[[str], ClientError]) -> None:
        """Tell those who still wait for answers of a room that was lost that none will come."""
        for request in self._kept.pop(room, ()):
            if request in self._promises:
                self._fail(request, error)

    def hope(self, room: str) -> None:
        """Note that a room is to answer all that was asked before its connection was lost."""
        self._kept.pop(room, None)

    def _fail(self, request: int, error: Callable[[str], ClientError]) -> None:
        what, promise = self._promises.pop(request)
        self._rooms.pop(request, None)
        promise.fail(lambda: error(what))
