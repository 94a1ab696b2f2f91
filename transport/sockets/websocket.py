"""One accepted WebSocket (RFC 6455): messages in, frames out, and an honest end.

trio-websocket's reader task runs over a stream of our own and never holds a message: whole ones
go to the receiver as they are parsed, and all that is sent goes through one outbox. So there is one
task for each idle connection, and a room may write to the socket without asking anyone.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import trio
from attrs import frozen
from trio_websocket import WebSocketConnection

from ..protocols.close_codes import CloseCode
from .deflate import DeflateGuard, Deflater
from .frames import PING, binary_frame, text_frame
from .guard import Closure, FrameGuard, GuardedProtocol
from .handshake import Opening
from .outbox import Outbox, Spawn
from .stream import MessageReceiver, OutboxStream

__all__ = ["Closure", "MessageReceiver", "WebSocket", "WebSocketLimits"]

_library_log = logging.getLogger("trio-websocket")
if _library_log.level == logging.NOTSET:
    # At debug it formats several records a frame, the payloads of pings among them.
    _library_log.setLevel(logging.WARNING)

_no_sender, _no_receiver = trio.open_memory_channel[bytes | str](0)
_no_sender.close()
_no_receiver.close()
_nobody_waits = trio.Event()


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
        "_close_timeout",
        "_deflater",
        "_over",
        "_protocol",
        "_reader",
        "_running",
        "_stream",
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
        kind = FrameGuard if limits.deflater is None else DeflateGuard
        guard = kind(limits.max_message_bytes, limits.max_fragments, clock)
        self._protocol = GuardedProtocol(opening, guard, receiver.put, rest)
        self.outbox = Outbox(
            sock,
            max_messages=limits.max_buffer_messages,
            max_bytes=limits.max_buffer_bytes,
            stall_timeout=limits.stall_timeout,
            on_failure=receiver.outbox_failed,
            deflates=guard.deflates,
        )
        self._deflater = limits.deflater if guard.deflates else None
        self._stream = OutboxStream(sock, self.outbox, receiver, clock)
        self._reader = _reader(self._stream, self._protocol, limits.read_buffer_size)
        self._close_timeout = limits.close_timeout
        self._binary = opening.protocol.binary
        self._running = False
        self._over: trio.Event | None = None
        self.outbox.write(self._protocol.response, 0)

    @property
    def last_received(self) -> float:
        """When the last byte came from the peer (seconds of the clock)."""
        return self._stream.last_received

    @property
    def paused(self) -> bool:
        """Whether reading waits for the receiver to have room."""
        return self._stream.paused

    async def run(self, spawn: Spawn) -> Closure:
        """Read until the connection is over, close the socket, and return how it ended.

        Never raises for what a peer does. `spawn` starts the outbox's drain task. A run that is
        cancelled leaves the socket open, so that a close frame can still be sent.
        """
        self._running = True
        self.outbox.attach(spawn)
        try:
            await self._reader._reader_task()  # noqa: SLF001
            ended = await self._part()
            self.outbox.close()
            return ended
        finally:
            self._running = False
            self._protocol.stop_reading()
            if self._over is not None:
                self._over.set()

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
        when repeated. When cancelled, the socket is closed at once.
        """
        if not self.outbox.closed:
            self.outbox.end(self._protocol.close(code, reason))
            await self._leave()

    async def abandon(self, code: CloseCode, reason: str) -> None:
        """Like `close`, for a client that is slow or broken: what waits for it is forgotten."""
        if not self.outbox.closed:
            self.outbox.abandon(self._protocol.close(code, reason))
            await self._leave()

    def abort(self) -> None:
        """Close the socket now, whatever waits."""
        if self._protocol.ended is None:
            self._protocol.ended = Closure(1006, "aborted", by_peer=False)
        self.outbox.close()

    async def _leave(self) -> None:
        self._stream.ignore_receiver()
        try:
            with trio.move_on_after(self._close_timeout):
                await (self._run_over() if self._running else self.outbox.flushed())
        finally:
            self.outbox.close()

    async def _run_over(self) -> None:
        if self._over is None:
            self._over = trio.Event()
        await self._over.wait()

    async def _part(self) -> Closure:
        """After the last frame was read: send the close frame that the peer has earned."""
        ended = self._protocol.ended
        if ended is None:
            return Closure(1006, "connection lost", by_peer=True)
        self.outbox.end(self._protocol.close(ended.code, ended.reason))
        with trio.move_on_after(self._close_timeout):
            await self._stream.linger()
        return ended


def _reader(
    stream: OutboxStream, protocol: GuardedProtocol, read_buffer_size: int
) -> WebSocketConnection:
    """Return a connection of which only the reader task is used.

    Channels and events that serve its other methods make up a quarter of an idle WebSocket's
    memory, so all connections share one of each.
    """
    reader = WebSocketConnection(stream, protocol, receive_buffer_size=read_buffer_size)
    reader._send_channel, reader._recv_channel = _no_sender, _no_receiver  # noqa: SLF001
    reader._open_handshake = reader._close_handshake = _nobody_waits  # noqa: SLF001
    reader._for_testing_peer_closed_connection = _nobody_waits  # noqa: SLF001
    reader._connection_proposal = None  # noqa: SLF001
    return reader
