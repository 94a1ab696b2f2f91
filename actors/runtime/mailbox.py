"""A bounded queue with one reader: by count, by bytes, and with a named policy when it is full."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from threading import get_ident
from typing import Any, Final, Generic, TypeVar

import trio

from .affinity import refuse_thread, this_thread
from .messages import DEFAULT_SIZE, Delivery
from .overflow import Conflate, MailboxStatistics, Overflow

__all__ = ["Mailbox"]

M = TypeVar("M")

DEFAULT_MAX_BYTES = 1024 * 1024
SIGNAL: Final = -1
"""Stands where the size stands: the entry does not count against the bounds."""


_EMPTY: Final[deque[Any]] = deque()
"""Stands in for the queue of every idle mailbox, for an empty deque takes 600 bytes."""


class _Waiter(Generic[M]):
    """A `put` that waits its turn, and what became of it."""

    __slots__ = ("delivery", "message", "size")

    def __init__(self, message: M, size: int) -> None:
        self.message = message
        self.size = size
        self.delivery = Delivery.DEAD


class Mailbox(Generic[M]):
    """A queue of at most `max_messages` messages and `max_bytes` bytes, for one reading task.

    Order is kept among all messages, the signals included. Signals (`put_signal`) are never
    dropped and do not count: their senders bound them. A message larger than `max_bytes` is lost.

    It belongs to the thread that makes it: whoever writes from another one gets `WrongThread`.

    `on_drop(message, reason)` is called for each message lost here. It must not raise.
    """

    __slots__ = (
        "_accepted",
        "_bytes",
        "_closed",
        "_count",
        "_dropped",
        "_high_water",
        "_high_water_bytes",
        "_overflow",
        "_queue",
        "_reader",
        "_removed",
        "_replaced",
        "_slots",
        "_thread",
        "_waiters",
        "_woken",
        "max_bytes",
        "max_messages",
        "on_drop",
        "overflowed",
    )

    def __init__(
        self,
        *,
        max_messages: int = 1000,
        max_bytes: int = DEFAULT_MAX_BYTES,
        overflow: Overflow | Conflate[M] = Overflow.FAIL,
        on_drop: Callable[[M, str], None] | None = None,
    ) -> None:
        if max_messages < 1 or max_bytes < 1:
            raise ValueError("a mailbox needs room for at least one message of one byte")
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.on_drop = on_drop
        self.overflowed = False
        self._overflow = overflow
        self._queue: deque[tuple[M, int, Hashable]] = _EMPTY
        self._count = self._bytes = 0
        self._high_water = self._high_water_bytes = 0
        self._accepted = self._dropped = self._replaced = 0
        self._removed = 0
        self._slots: dict[Hashable, int] | None = None
        self._waiters: OrderedDict[trio.lowlevel.Task, _Waiter[M]] | None = None
        self._reader: trio.lowlevel.Task | Callable[[], None] | None = None
        self._woken = False
        self._closed = False
        self._thread = this_thread()

    def check_thread(self, what: str) -> None:
        """Raise `WrongThread` when this is not the thread that the mailbox was made in."""
        if get_ident() != self._thread:
            refuse_thread(what)

    @property
    def bounds(self) -> str:
        """The bounds in words, for error messages."""
        return f"at most {self.max_messages} messages and {self.max_bytes} bytes"

    # Writing -------------------------------------------------------------------------------

    def put_nowait(self, message: M, size: int = DEFAULT_SIZE, *, keyed: bool = True) -> Delivery:
        """Take a message of `size` bytes or say why not. Not `keyed`: it is never conflated."""
        if get_ident() != self._thread:
            refuse_thread("Mailbox.put_nowait")
        if self._closed:
            return Delivery.DEAD
        key: Hashable = None
        if keyed and isinstance(self._overflow, Conflate):
            try:
                key = (self._overflow.key(message),)  # in a tuple, for None may be a key
                hash(key)
            except BaseException as error:  # noqa: BLE001 - the fault of who reads, not of who sends
                self._lose(message, f"its key raised {type(error).__name__}")
                return Delivery.DROPPED
            if self._replace(message, size, key):
                return Delivery.ACCEPTED
        if self._fits(size) and not self._waiters:
            self._append(message, size, key)
            return Delivery.ACCEPTED
        return self._turn_away(message, size)

    async def put(self, message: M, size: int = DEFAULT_SIZE, *, keyed: bool = True) -> Delivery:
        """Take a message; under `BLOCK` wait for room, in turn. Cancelled, nothing is left behind.

        A checkpoint, but for one case that rooms are fed by: `BLOCK` with room takes the message
        at once. That cannot starve the other tasks, for the room ends.
        """
        if get_ident() != self._thread:
            refuse_thread("Mailbox.put")
        if self._overflow is Overflow.BLOCK and not self._closed and size <= self.max_bytes:
            if self._fits(size) and not self._waiters:
                self._append(message, size, None)
                return Delivery.ACCEPTED
            return await self._wait_for_room(message, size)
        await trio.lowlevel.checkpoint()
        return self.put_nowait(message, size, keyed=keyed)

    def put_signal(self, message: M) -> Delivery:
        """Take a message that must not get lost. It keeps its place in the order."""
        if get_ident() != self._thread:
            refuse_thread("Mailbox.put_signal")
        if self._closed:
            return Delivery.DEAD
        self._enqueue((message, SIGNAL, None))
        return Delivery.ACCEPTED

    # Reading -------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many messages wait, the signals included."""
        return len(self._queue)

    def pop(self) -> M:
        """Return the oldest message. Raises IndexError when there is none."""
        message, size, key = self._queue.popleft()
        self._removed += 1
        if key is not None and self._slots is not None:
            del self._slots[key]
        if size >= 0:
            self._count -= 1
            self._bytes -= size
        if self._waiters:
            self._admit_waiters()
        return message

    async def wait(self) -> None:
        """Return when something waits, the mailbox is closed, or `wake` was called since.

        For one task at a time: raises trio.BusyResourceError for a second. Not a checkpoint when
        there is nothing to wait for.
        """
        if not (self._queue or self._closed or self._woken):
            if self._reader is not None:
                raise trio.BusyResourceError("another task reads this mailbox")
            self._queue = _EMPTY
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abandon_wait)
        self._woken = False

    def leave(self, call_away: Callable[[], None]) -> bool:
        """Let the reader wait elsewhere, to be called away from there when `wait` would return.

        Returns False when there is nothing to wait for; else `come_back` has to be called.
        """
        if self._queue or self._closed or self._woken:
            self._woken = False
            return False
        self._queue, self._reader = _EMPTY, call_away
        return True

    def come_back(self) -> None:
        """Call the reader no more: it is about to look for itself."""
        self._reader, self._woken = None, False

    def wake(self) -> None:
        """Let the reader return from `wait`, now or when it next calls it."""
        self.check_thread("Mailbox.wake")
        self._woken = True
        self._wake_reader()

    def close(self) -> list[M]:
        """Take nothing any more and return what waited, oldest first. Waiting `put`s get `DEAD`.

        Signals are news for the reader alone and not returned.
        """
        self._closed = True
        self.on_drop = None  # nothing is lost any more, and it holds whoever holds this mailbox
        rest = [message for message, size, _ in self._queue if size != SIGNAL]
        self._queue = _EMPTY
        self._slots = None
        self._count = self._bytes = 0
        waiters, self._waiters = self._waiters, None
        for task in waiters or ():
            trio.lowlevel.reschedule(task)
        self._wake_reader()
        return rest

    @property
    def level(self) -> tuple[int, int]:
        """Messages that wait, and the most that ever did: of `statistics` what all are asked."""
        return self._count, self._high_water

    def statistics(self) -> MailboxStatistics:
        """Return the figures; signals are not among them."""
        return MailboxStatistics(
            waiting=self._count,
            bytes=self._bytes,
            high_water=self._high_water,
            high_water_bytes=self._high_water_bytes,
            accepted=self._accepted,
            dropped=self._dropped,
            replaced=self._replaced,
            max_messages=self.max_messages,
            max_bytes=self.max_bytes,
            overflow=self._overflow.value,
        )

    # Inside --------------------------------------------------------------------------------

    def _fits(self, size: int) -> bool:
        return self._count < self.max_messages and self._bytes + size <= self.max_bytes

    def _append(self, message: M, size: int, key: Hashable) -> None:
        if key is not None:
            self._slots = self._slots if self._slots is not None else {}
            self._slots[key] = self._removed + len(self._queue)
        # Every message passes here: in one piece, for calls would cost as much as what they do.
        self._accepted += 1
        self._count += 1
        if self._count > self._high_water:
            self._high_water = self._count
        self._bytes += size
        if self._bytes > self._high_water_bytes:
            self._high_water_bytes = self._bytes
        if self._queue is _EMPTY or self._reader is not None:
            self._enqueue((message, size, key))
        else:
            self._queue.append((message, size, key))

    def _enqueue(self, entry: tuple[M, int, Hashable]) -> None:
        if self._queue is _EMPTY:
            self._queue = deque()
        self._queue.append(entry)
        if self._reader is not None:
            self._wake_reader()

    def _replace(self, message: M, size: int, key: Hashable) -> bool:
        if self._slots is None or (place := self._slots.get(key)) is None:
            return False
        _, old_size, _ = self._queue[place - self._removed]
        if self._bytes - old_size + size > self.max_bytes:
            return False
        self._queue[place - self._removed] = (message, size, key)
        self._bytes += size - old_size
        self._high_water_bytes = max(self._high_water_bytes, self._bytes)
        self._accepted += 1
        self._replaced += 1
        return True

    def _turn_away(self, message: M, size: int) -> Delivery:
        if size > self.max_bytes:
            self._lose(message, "too large")
        elif self._overflow in (Overflow.FAIL, Overflow.BLOCK):
            self._dropped += 1
        elif self._overflow is Overflow.DROP_OLDEST:
            while not self._fits(size):
                self._lose(self._remove_oldest(), "mailbox full")
            self._append(message, size, None)
            return Delivery.ACCEPTED
        else:
            self.overflowed = self.overflowed or self._overflow is Overflow.DISCONNECT
            self._lose(message, "mailbox full")
        return Delivery.DROPPED

    def _remove_oldest(self) -> M:
        place = next(i for i, (_, size, _) in enumerate(self._queue) if size != SIGNAL)
        message, size, _ = self._queue[place]
        del self._queue[place]
        self._count -= 1
        self._bytes -= size
        return message

    def _lose(self, message: M, reason: str) -> None:
        self._dropped += 1
        if self.on_drop is not None:
            self.on_drop(message, reason)

    async def _wait_for_room(self, message: M, size: int) -> Delivery:
        if self._waiters is None:
            self._waiters = OrderedDict()
        task = trio.lowlevel.current_task()
        waiter = self._waiters[task] = _Waiter(message, size)

        def give_up(_: object) -> trio.lowlevel.Abort:
            if self._waiters is not None:
                del self._waiters[task]
                # It may have been the one too large for the room there was.
                self._admit_waiters()
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(give_up)
        return waiter.delivery

    def _admit_waiters(self) -> None:
        # The message is put in for the waiter before it runs: nobody can overtake it, and from
        # here on its task cannot be cancelled out of `put` any more.
        while self._waiters:
            task, waiter = next(iter(self._waiters.items()))
            if not self._fits(waiter.size):
                return
            del self._waiters[task]
            self._append(waiter.message, waiter.size, None)
            waiter.delivery = Delivery.ACCEPTED
            trio.lowlevel.reschedule(task)

    def _wake_reader(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            if isinstance(reader, trio.lowlevel.Task):
                trio.lowlevel.reschedule(reader)
            else:
                reader()

    def _abandon_wait(self, _: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED
