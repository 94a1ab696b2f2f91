"""The outgoing bytes of one socket: at once when the kernel takes them, else in a bounded queue.

Writing is synchronous, so a room reaches all its members without switching tasks. Only what the
kernel did not take waits, and a task exists only while something does.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
from collections.abc import Awaitable, Callable

import trio
from attrs import frozen

from .send_queue import SendQueue

__all__ = ["Outbox", "OutboxFailure", "OutboxStatistics", "Spawn"]

Spawn = Callable[[Callable[[], Awaitable[None]]], object]
"""Starts a task, as `trio.Nursery.start_soon` does."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for 0 seconds


class OutboxFailure(enum.Enum):
    """Why an outbox takes nothing more."""

    OVERFLOW = "more waits than may wait"
    STALLED = "the peer takes nothing"
    BROKEN = "the socket is broken"


@frozen
class OutboxStatistics:
    """One outbox at one moment; what is written was handed to the kernel."""

    waiting_messages: int
    waiting_bytes: int
    high_water_messages: int
    high_water_bytes: int
    written_messages: int
    written_bytes: int
    partial_sends: int
    failure: OutboxFailure | None


class Outbox:
    """Takes whole frames for one non-blocking socket, and owns closing that socket.

    At most `max_messages` and `max_bytes` may wait; what counts is what really waits after the
    kernel has taken what it wants, also for joined frames written in one piece. When more waits
    (`OVERFLOW`), when nothing moves for `stall_timeout` seconds (`STALLED`) or when the socket
    fails (`BROKEN`), `on_failure` is called once, from within `write` or the drain task, so it
    must neither wait nor raise. From then on writes are ignored, and what had not begun to
    leave is forgotten; the owner has to `end`, `abandon` or `close`.
    """

    __slots__ = (
        "_draining",
        "_emptied",
        "_ended",
        "_failure",
        "_high_water_bytes",
        "_high_water_messages",
        "_max_bytes",
        "_max_messages",
        "_on_failure",
        "_partial_sends",
        "_sealed",
        "_sock",
        "_spawn",
        "_stall_timeout",
        "_unsent",
        "_written_bytes",
        "_written_messages",
        "deflates",
    )

    def __init__(
        self,
        sock: socket.socket,
        *,
        max_messages: int,
        max_bytes: int,
        stall_timeout: float,
        on_failure: Callable[[OutboxFailure], None],
        deflates: bool = False,
    ) -> None:
        self.deflates = deflates
        """Whether the peer takes compressed messages."""
        self._sock = sock
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._stall_timeout = stall_timeout
        self._on_failure = on_failure
        self._spawn: Spawn | None = None
        self._unsent: SendQueue | None = None  # there is one only while something waits
        self._draining = False
        self._sealed = False  # no more writes
        self._ended = False  # no last frame either
        self._failure: OutboxFailure | None = None
        self._emptied: trio.Event | None = None
        self._high_water_messages = self._high_water_bytes = 0
        self._written_messages = self._written_bytes = self._partial_sends = 0

    def attach(self, spawn: Spawn) -> None:
        """Say where the drain task may run; the nursery must outlive the outbox."""
        if not self.closed:
            self._spawn = spawn
            self._start_drain()

    def write(self, data: bytes, messages: int = 1) -> None:
        """Send whole frames, or queue them; never waits and never raises."""
        if not self._sealed:
            self._put(data, messages)

    def end(self, last: bytes) -> None:
        """Send `last` (a close frame) after what waits, and nothing after it."""
        if not self._ended:
            self._sealed = self._ended = True
            self._put(last, 0)

    def abandon(self, last: bytes) -> None:
        """Forget what waits, send `last` (a close frame), and nothing after it.

        The rest of a piece that has begun to leave still goes first, for frames must stay whole.
        A last frame that `end` was given and that has begun to leave is not sent twice.
        """
        if self._ended and (self._unsent is None or self._unsent.last_under_way):
            return
        self._forget()
        self._sealed = self._ended = True
        self._put(last, 0)

    async def flushed(self) -> None:
        """Return when nothing waits any more, or at the next failure, or when it is closed."""
        if self._unsent is not None:
            if self._emptied is None:
                self._emptied = trio.Event()
            await self._emptied.wait()

    def close(self) -> None:
        """Close the socket and wake whoever waits for it; harmless when repeated.

        Waiting bytes are given up with a reset, or the kernel would keep its own full buffer for
        a peer that does not read.
        """
        if self.closed:
            return
        if self._unsent is not None:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._sealed = self._ended = True
        self._spawn = None  # it holds the nursery, and that the task that ran the connection
        self._empty()
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._sock.fileno() < 0

    @property
    def lagging(self) -> bool:
        """Whether more than half of what may wait does."""
        return self._unsent is not None and (
            self._unsent.messages * 2 > self._max_messages
            or self._unsent.bytes * 2 > self._max_bytes
        )

    @property
    def written(self) -> tuple[int, int]:
        """Messages and bytes that the kernel has taken."""
        return self._written_messages, self._written_bytes

    @property
    def waiting(self) -> tuple[int, int]:
        """Messages and bytes that the kernel has not taken yet."""
        return (self._unsent.messages, self._unsent.bytes) if self._unsent else (0, 0)

    def statistics(self) -> OutboxStatistics:
        """Return what waits, what was written and what went wrong."""
        return OutboxStatistics(
            waiting_messages=self._unsent.messages if self._unsent else 0,
            waiting_bytes=self._unsent.bytes if self._unsent else 0,
            high_water_messages=self._high_water_messages,
            high_water_bytes=self._high_water_bytes,
            written_messages=self._written_messages,
            written_bytes=self._written_bytes,
            partial_sends=self._partial_sends,
            failure=self._failure,
        )

    def _put(self, data: bytes, messages: int) -> None:
        sent = 0
        if self._unsent is None:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self._fail(OutboxFailure.BROKEN)
                return
            self._written_bytes += sent
            if sent == len(data):
                self._written_messages += messages
                return
        self._queue(data, messages, sent)

    def _queue(self, data: bytes, messages: int, sent: int) -> None:
        if self._unsent is None:
            self._unsent = SendQueue()
            self._partial_sends += sent > 0
        unsent = self._unsent
        self._written_messages += messages - unsent.append(data, messages, sent)
        self._high_water_messages = max(self._high_water_messages, unsent.messages)
        self._high_water_bytes = max(self._high_water_bytes, unsent.bytes)
        full = unsent.messages > self._max_messages or unsent.bytes > self._max_bytes
        if full and not self._sealed:
            self._fail(OutboxFailure.OVERFLOW)
        self._start_drain()

    def _start_drain(self) -> None:
        if self._unsent is not None and self._spawn is not None and not self._draining:
            self._draining = True
            self._spawn(self._drain)

    async def _drain(self) -> None:
        """Send what waits, as fast as the peer takes it; lives only while something waits."""
        try:
            while self._unsent is not None:
                with trio.move_on_after(self._stall_timeout) as scope:
                    # Also raised when who reads from this socket is called away.
                    with contextlib.suppress(trio.ClosedResourceError):
                        await self._push()
                if scope.cancelled_caught:
                    self._fail(OutboxFailure.STALLED)
        finally:
            self._draining = False

    async def _push(self) -> None:
        """Return when the peer has taken something, or nothing waits any more."""
        while True:
            await trio.lowlevel.wait_writable(self._sock)
            unsent = self._unsent
            if unsent is None:  # given up while we waited
                return
            try:
                sent = self._sock.sendmsg(unsent.gather())
            except BlockingIOError:
                continue
            except OSError:
                self._fail(OutboxFailure.BROKEN)
                return
            self._written_bytes += sent
            self._written_messages += unsent.advance(sent)
            self._partial_sends += unsent.under_way
            if not unsent:
                self._empty()
            return

    def _fail(self, failure: OutboxFailure) -> None:
        self._sealed = True
        if failure is OutboxFailure.BROKEN:
            self._ended = True
            self._empty()
        else:
            self._forget()
            self._wake()
        if self._failure is None:
            self._failure = failure
            self._on_failure(failure)

    def _forget(self) -> None:
        if self._unsent is not None:
            self._unsent.forget()
            if not self._unsent:
                self._empty()

    def _empty(self) -> None:
        self._unsent = None
        self._wake()

    def _wake(self) -> None:
        if self._emptied is not None:
            self._emptied.set()
            self._emptied = None
