"""What a driver hears, on its way from the loop's thread to trio's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from ...errors import BrokerError
from ..contract import Channel, Message

__all__ = ["MAX_WAITING_BYTES", "MAX_WAITING_MESSAGES", "ReceiveQueue"]

MAX_WAITING_MESSAGES: Final = 2048
"""Messages that may wait for trio's thread; the driver waits for room."""

MAX_WAITING_BYTES: Final = 4 * 2**20
"""Bytes that may wait for trio's thread, and one message more."""

_SLICE: Final = 256
"""Messages delivered in one go: between slices trio's other tasks get their turn."""


class LoopEvent(Protocol):
    """An event of the loop's thread, as `asyncio.Event`."""

    def set(self) -> None: ...

    def clear(self) -> None: ...

    def wait(self) -> Awaitable[object]: ...


class ReceiveQueue:
    """The `Feed` of one incarnation: a bounded queue with one wake-up per empty -> non-empty.

    `to_trio` and `to_loop` call a function soon on the other side's thread. `put` is for the
    loop's thread, `lost` and `unheard` for either, `report_loss` and `shut` for trio's. While the
    pod is `full` everything stays here, and what comes then with the driver, and the server.
    """

    def __init__(
        self,
        deliver: Callable[[Channel, bytes], None],
        full: Callable[[Callable[[], object]], bool],
        lose: Callable[[BrokerError], None],
        unheard: Callable[[Sequence[Channel]], None],
        has_room: LoopEvent,
        to_trio: Callable[[Callable[[], object]], object],
        to_loop: Callable[[Callable[[], object]], object],
    ) -> None:
        self._deliver = deliver
        self._full = full
        self._lose = lose
        self._unheard = unheard
        self._has_room = has_room
        self._to_trio = to_trio
        self._to_loop = to_loop
        self._lock = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._draining = False
        self._blocked = False
        self._open = True
        self._told = False

    async def put(self, channel: Channel, payload: bytes) -> None:
        """Take a message; wait while too much waits already."""
        while not self._append(channel, payload):
            await self._has_room.wait()

    def lost(self, error: BrokerError) -> None:
        """Have the loss told soon, once."""
        self._to_trio(lambda: self.report_loss(error))

    def report_loss(self, error: BrokerError) -> None:
        """Tell the loss now, once, unless shut."""
        if self._open and not self._told:
            self._told = True
            self._lose(error)

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Have it told soon that these are not heard any more."""
        self._to_trio(lambda: self._report_unheard(tuple(channels)))

    def shut(self) -> None:
        """Drop what waits and whatever comes."""
        with self._lock:
            self._open = False
            self._waiting.clear()
            self._bytes = 0
        self._to_loop(self._has_room.set)

    def _report_unheard(self, channels: Sequence[Channel]) -> None:
        if self._open and not self._told:
            self._unheard(channels)

    def _append(self, channel: Channel, payload: bytes) -> bool:
        with self._lock:
            if not self._open:
                return True
            if len(self._waiting) >= MAX_WAITING_MESSAGES or self._bytes >= MAX_WAITING_BYTES:
                self._blocked = True
                self._has_room.clear()
                return False
            self._waiting.append((channel, payload))
            self._bytes += len(payload)
            wake, self._draining = not self._draining, True
        if wake:
            self._to_trio(self._drain)
        return True

    def _take(self) -> list[Message]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(_SLICE, len(self._waiting)))]
            self._bytes -= sum(len(payload) for _, payload in batch)
        return batch

    def _drain(self) -> None:
        """Deliver a slice. Until all is delivered, also while the pod is full, nobody else does."""
        batch = self._take()
        for taken, (channel, payload) in enumerate(batch, 1):
            self._deliver(channel, payload)
            if self._full(self._drain):
                self._put_back(batch[taken:])
                return
        with self._lock:
            self._draining = again = bool(self._waiting)
            unblock, self._blocked = self._blocked, False
        if again:
            self._to_trio(self._drain)
        if unblock:
            self._to_loop(self._has_room.set)

    def _put_back(self, rest: Sequence[Message]) -> None:
        with self._lock:
            if self._open:
                self._waiting.extendleft(reversed(rest))
                self._bytes += sum(len(payload) for _, payload in rest)
