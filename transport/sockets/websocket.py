"""One accepted WebSocket (RFC 6455): messages in, frames out, and an honest end.

It never holds a message: whole ones go to the receiver as they are read, and all that is sent goes
through one outbox. It has no task: whoever owns it listens, and is called away by a function.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Final, Protocol

import trio
from attrs import frozen

from ..errors import FrameViolation
from ..protocols.close_codes import CloseCode
from .client_frames import ClientFrames
from .deflate import Deflater
from .frames import PING, binary_frame, close_frame, pong_frame, text_frame
from .handshake import Opening, answer_opening
from .outbox import Outbox, OutboxFailure, Spawn

__all__ = ["Closure", "MessageReceiver", "WebSocket", "WebSocketLimits"]

_VANISHED: Final = 1006
"""The code of an end without a close frame (section 7.4.1)."""
_DISCARDED_BYTES: Final = 65536


@frozen
class Closure:
    """How a connection ended; `by_peer` when the peer began it, or simply vanished (1006)."""

    code: int
    reason: str
    by_peer: bool


class MessageReceiver(Protocol):
    """Who gets the messages of one connection: its actor."""

    @property
    def full(self) -> bool:
        """Whether there is no room for more: nothing is read until `listen` is called anew."""

    def put(self, message: str | bytes, nbytes: int) -> None:
        """Take a whole message; `nbytes` is its size on the wire, without headers."""

    def ended(self, closure: Closure) -> None:
        """Learn that the connection is over and its socket closed, by no doing of the owner's."""

    def outbox_failed(self, failure: OutboxFailure) -> None:
        """Learn that the peer does not read, or is gone; must neither wait nor raise."""


@frozen
class WebSocketLimits:
    """What one connection may cost.

    `max_message_bytes` (UTF-8, without headers) and `max_fragments` bound a received message,
    `max_buffer_messages` and `max_buffer_bytes` what waits to be sent. A peer that takes nothing
    for `stall_timeout` seconds has stalled. At most `read_buffer_size` bytes are read at a time,
    and their messages delivered, before the receiver is asked for room again. Closing takes at most
    `close_timeout` seconds. With a `deflater` compression is offered.
    """

    max_message_bytes: int
    max_fragments: int
    max_buffer_messages: int
    max_buffer_bytes: int
    stall_timeout: float
    read_buffer_size: int
    close_timeout: float = 2.0
    deflater: Deflater | None = None


class WebSocket:
    """The server's end of one connection; `sock` is non-blocking, and ours once this returns.

    `opening` is the client's half of the handshake, which has been judged, `rest` what it sent
    right behind that. The 101 response is sent at once. Whoever makes a WebSocket must see to it
    that `close`, `abandon` or `abort` is called.
    """

    __slots__ = (
        "_binary",
        "_clock",
        "_close_timeout",
        "_deflater",
        "_ended",
        "_frames",
        "_listened",
        "_part_by",
        "_read_buffer_size",
        "_reading",
        "_recalled",
        "_receiver",
        "_rest",
        "_sock",
        "_waits",
        "last_received",
        "outbox",
    )

    def __init__(
        self,
        sock: socket.socket,
        opening: Opening,
        limits: WebSocketLimits,
        receiver: MessageReceiver,
        clock: Callable[[], float] = trio.current_time,
        *,
        rest: bytes = b"",
    ) -> None:
        response, deflates = answer_opening(opening, deflates=limits.deflater is not None)
        self._binary = opening.protocol.binary
        self._frames = ClientFrames(
            limits.max_message_bytes,
            limits.max_fragments,
            clock,
            binary=self._binary,
            deflates=deflates,
        )
        self.outbox = Outbox(
            sock,
            max_messages=limits.max_buffer_messages,
            max_bytes=limits.max_buffer_bytes,
            stall_timeout=limits.stall_timeout,
            on_failure=receiver.outbox_failed,
            deflates=deflates,
        )
        self._deflater = limits.deflater if deflates else None
        self._sock = sock
        self._receiver: MessageReceiver | None = receiver
        self._clock = clock
        self._rest = rest
        self._read_buffer_size = limits.read_buffer_size
        self._close_timeout = limits.close_timeout
        self._ended: Closure | None = None  # as soon as somebody has begun to close
        self._listened = False
        self._reading = True  # until there is nothing more to learn from the peer
        self._part_by: float | None = None
        self._waits = False
        self._recalled: trio.Event | None = None  # while reading waits for room
        self.last_received = clock()
        """When the last byte came from the peer (seconds of the clock)."""
        self.outbox.write(response, 0)

    def attach(self, spawn: Spawn) -> None:
        """Say where the outbox's drain task may run."""
        self.outbox.attach(spawn)

    async def listen(self) -> None:
        """Read once; or, when the connection is over, close the socket and tell the receiver.

        Never raises for what a peer does. It returns sooner when it is called away, and may be
        cancelled at any time: called again it has lost nothing. Meanwhile the socket stays open.
        """
        self._listened = True
        if self._rest:
            rest, self._rest = self._rest, b""
            self._reading = self._take(rest)
        elif self._reading and self._receiver is not None and self._receiver.full:
            await self._pause()
        elif self._reading:
            self._reading = await self._read_some()
        if not self._reading:
            await self._part()

    def call_away(self) -> None:
        """Let `listen` return in the next turn, unless the connection is just ending."""
        if self._waits:
            # As if it were closed: a cancel scope for each connection would take 600 bytes of it.
            trio.lowlevel.notify_closing(self._sock)
        elif self._recalled is not None:
            self._recalled.set()

    def say(self, payload: bytes) -> None:
        """Send a message, or queue it; does nothing once a close frame was queued."""
        frame = binary_frame(payload) if self._binary else text_frame(payload)
        if self._deflater is not None and len(payload) >= self._deflater.threshold:
            frame = self._deflater.pack((frame,))
        self.outbox.write(frame)

    def write(self, frames: bytes, messages: int = 1) -> None:
        """Send whole data frames, or queue them; does nothing once a close frame was queued."""
        self.outbox.write(frames, messages)

    def ping(self) -> None:
        """Send a ping; any byte that comes back shows in `last_received`."""
        self.outbox.write(PING, 0)

    async def close(self, code: CloseCode, reason: str = "") -> None:
        """Say goodbye behind what waits, hear the peer's, and close the socket.

        Takes `close_timeout` seconds at most, also with a peer that does not listen. Harmless
        when repeated. When cancelled, the socket is closed at once. Not while `listen` runs.
        """
        if not self.outbox.closed:
            self._end(Closure(code, reason, by_peer=False))
            self.outbox.end(close_frame(code, reason))
            await self._leave()

    async def abandon(self, code: CloseCode, reason: str) -> None:
        """Like `close`, for a client that is slow or broken: what waits for it is forgotten."""
        if not self.outbox.closed:
            self._end(Closure(code, reason, by_peer=False))
            self.outbox.abandon(close_frame(code, reason))
            await self._leave()

    def abort(self) -> None:
        """Close the socket now, whatever waits."""
        self._end(Closure(_VANISHED, "aborted", by_peer=False))
        self.outbox.close()

    # What the peer's frames say (`FrameListener`) --------------------------------------------

    def said(self, message: str | bytes, nbytes: int) -> None:
        """Hand a message on, as long as nobody has begun to close."""
        if self._ended is None and self._receiver is not None:
            self._receiver.put(message, nbytes)

    def pinged(self, payload: bytes) -> None:
        """Answer a ping, behind what was written before."""
        if self._ended is None:
            self.outbox.write(pong_frame(payload), 0)

    def closed(self, code: int, reason: str) -> None:
        """Note that the peer closes, or agrees to."""
        self._end(Closure(code, reason, by_peer=True))

    # Reading ------------------------------------------------------------------------------------

    async def _read_some(self) -> bool:
        """Read once, and return whether there may be more.

        Waiting for the socket before each read, not after a failed one, is what keeps a peer
        that never stops sending from keeping every other task from running.
        """
        if self.outbox.closed:
            return False
        self._waits = True
        try:
            await trio.lowlevel.wait_readable(self._sock)
            data = self._sock.recv(self._read_buffer_size)
        except BlockingIOError:
            return True
        except trio.ClosedResourceError:
            return not self.outbox.closed
        except OSError:
            return False
        finally:
            self._waits = False
        self.last_received = self._clock()
        return bool(data) and self._take(data)

    async def _pause(self) -> None:
        """Wait to be called away: whoever makes room does that."""
        self._recalled = trio.Event()
        try:
            await self._recalled.wait()
        finally:
            self._recalled = None

    @property
    def paused(self) -> bool:
        """Whether reading waits for the receiver to have room."""
        return self._recalled is not None

    def _take(self, data: bytes) -> bool:
        try:
            self._frames.receive(data, self)
        except FrameViolation as violation:
            self._end(Closure(violation.code, violation.sentence, by_peer=False))
            return False
        return not self._frames.over

    # Ending -------------------------------------------------------------------------------------

    @property
    def ended(self) -> Closure | None:
        """How it ended, as soon as somebody has begun to close."""
        return self._ended

    def _end(self, closure: Closure) -> None:
        """Note how it ends; who began counts."""
        if self._ended is None:
            self._ended = closure

    async def _leave(self) -> None:
        """Hear the peer's goodbye, if it has ever been listened to, and close the socket."""
        if self._receiver is None:
            return  # somebody is at it
        self._receiver = None  # nothing is delivered any more, so nobody is asked for room
        try:
            with trio.move_on_after(self._close_timeout):
                while self._listened and self._reading:
                    self._reading = await self._read_some()
                await (self._linger() if self._listened else self.outbox.flushed())
        finally:
            self.outbox.close()

    async def _part(self) -> None:
        """After the last frame was read: send the close frame that the peer has earned."""
        ended = self._ended or Closure(_VANISHED, "connection lost", by_peer=True)
        if self._ended is not None:
            self.outbox.end(close_frame(ended.code, ended.reason))
            if self._part_by is None:
                self._part_by = trio.current_time() + self._close_timeout
            with trio.move_on_at(self._part_by):
                await self._linger()
        self.outbox.close()
        if self._receiver is not None:
            self._receiver.ended(ended)

    async def _linger(self) -> None:
        """After the last frame: send what waits, half-close, and read until the peer closes too.

        A socket that is closed with unread bytes resets the connection, and the peer may lose
        the close frame that tells it why (RFC 6455 section 7.1.1).
        """
        await self.outbox.flushed()
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            self._sock.shutdown(socket.SHUT_WR)
            while not await self._is_at_end():
                pass

    async def _is_at_end(self) -> bool:
        await trio.lowlevel.wait_readable(self._sock)
        try:
            return not self._sock.recv(_DISCARDED_BYTES)
        except BlockingIOError:
            return False
