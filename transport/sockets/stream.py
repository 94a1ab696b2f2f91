"""A socket as trio-websocket's reader sees it: reads when there is room, writes to the outbox."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

import trio

from .outbox import Outbox, OutboxFailure

__all__ = ["MessageReceiver", "OutboxStream"]

_FIN_CLOSE = 0x88
_DISCARDED_BYTES = 65536


class MessageReceiver(Protocol):
    """Who gets the messages of one connection: its actor."""

    def put(self, text: str, nbytes: int) -> None:
        """Take a whole text message; `nbytes` is its size on the wire, without headers."""

    async def ready(self) -> None:
        """Return when there is room for more; nothing is read from the peer until then."""

    def outbox_failed(self, failure: OutboxFailure) -> None:
        """Learn that the peer does not read, or is gone; must neither wait nor raise."""


class OutboxStream(trio.abc.Stream):
    """The two directions of a connection: control frames go where the data frames go.

    `last_received` is when the last byte came (seconds of `clock`), `paused` whether reading
    waits for the receiver.
    """

    __slots__ = ("_clock", "_hangup", "_outbox", "_pause", "_receiver", "_sock", "last_received")

    def __init__(
        self,
        sock: socket.socket,
        outbox: Outbox,
        receiver: MessageReceiver,
        clock: Callable[[], float],
    ) -> None:
        self._sock = sock
        self._outbox = outbox
        self._receiver: MessageReceiver | None = receiver
        self._clock = clock
        self._pause: trio.CancelScope | None = None
        self._hangup = False
        self.last_received = clock()

    @property
    def paused(self) -> bool:
        """Whether reading waits for the receiver to have room."""
        return self._pause is not None

    def ignore_receiver(self) -> None:
        """Read on without asking: the connection is closing and nothing is delivered any more."""
        self._receiver = None
        if self._pause is not None:
            self._pause.cancel()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes once the receiver has room for them.

        Waiting for the socket before each read, not after a failed one, is what keeps a peer
        that never stops sending from keeping every other task from running.
        """
        await self._room()
        while not (self._hangup or self._outbox.closed):
            await trio.lowlevel.wait_readable(self._sock)
            try:
                data = self._sock.recv(max_bytes or 4096)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error
            self.last_received = self._clock()
            return data
        raise trio.ClosedResourceError("the WebSocket is over")

    async def _room(self) -> None:
        if self._receiver is not None:
            with trio.CancelScope() as self._pause:
                await self._receiver.ready()
            self._pause = None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Queue a control frame; a close frame is the last that goes out."""
        frame = bytes(data)
        if frame[0] == _FIN_CLOSE:
            self._outbox.end(frame)
        else:
            self._outbox.write(frame, 0)

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once: `send_all` never blocks."""

    async def aclose(self) -> None:
        """End reading; the socket stays open until the outbox has sent its last frame."""
        self._hangup = True

    async def linger(self) -> None:
        """After the last frame: send what waits, half-close, and read until the peer closes too.

        A socket that is closed with unread bytes resets the connection, and the peer may lose
        the close frame that tells it why (RFC 6455 section 7.1.1).
        """
        await self._outbox.flushed()
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
