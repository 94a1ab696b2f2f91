"""One WebSocket to a pod, by trio-websocket's public interface, and how it ended.

Whatever goes wrong with it is an `Ending`; nothing of the library's own is seen elsewhere.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)
from wsproto.utilities import ProtocolError

from .address import PodAddress
from .endings import Ending

__all__ = ["Wire", "WireEnded", "run_wire"]

READ: Final = 64 * 1024
LARGEST: Final = 16 * 2**20
"""Bytes of a message that a pod may send."""
CLOSING: Final = 2.0
"""Seconds that the pod has for its half of the closing handshake."""
_FAULTS: Final = (
    *(OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError),
    *(HandshakeError, ConnectionClosed, ProtocolError),
)


class WireEnded(Exception):
    """The connection has ended, or is to end."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(str(ending))
        self.ending = ending


class Wire(Protocol):
    """A connection to a pod, as the client uses it."""

    async def send(self, text: str) -> None:
        """Send one message. Raises `WireEnded`. Not to be cancelled while the connection lives."""

    async def receive(self) -> str:
        """Return the next message. Raises `WireEnded`."""


class _LibraryWire:
    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        try:
            await self._socket.send_message(text)
        except ConnectionClosed as closed:
            raise WireEnded(_ending(closed)) from closed

    async def receive(self) -> str:
        try:
            message = await self._socket.get_message()
        except ConnectionClosed as closed:
            raise WireEnded(_ending(closed)) from closed
        if isinstance(message, bytes):
            raise WireEnded(Ending(1003, "the pod sent a binary message"))
        return message


async def run_wire(
    address: PodAddress,
    talk: Callable[[Wire], Awaitable[None]],
    *,
    timeout: float,
    tls: ssl.SSLContext | None = None,
) -> Ending:
    """Connect within `timeout` seconds, `talk` until that returns or the connection ends.

    Raises nothing of the network's: how it ended is what it returns. When `talk` returns the
    connection is closed with 1000.
    """
    ending = Ending(1000, "closed by this client")
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(timeout):
                stream = await _connected(address, tls)
                try:
                    socket = await _upgraded(nursery, stream, address)
                except BaseException:
                    await trio.aclose_forcefully(stream)
                    raise
            try:
                await talk(_LibraryWire(socket))
                with trio.move_on_after(CLOSING):
                    await socket.aclose()
            finally:
                await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()
    except* (WireEnded, *_FAULTS) as group:
        ending = _read(_leaves(group), timeout)
    return ending


async def _connected(address: PodAddress, tls: ssl.SSLContext | None) -> trio.abc.Stream:
    stream = await trio.open_tcp_stream(address.host, address.port)
    if not address.encrypted:
        return stream
    try:
        context = ssl.create_default_context() if tls is None else tls
        encrypted = trio.SSLStream(
            stream, context, server_hostname=address.host, https_compatible=True
        )
        await encrypted.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return encrypted


async def _upgraded(
    nursery: trio.Nursery, stream: trio.abc.Stream, address: PodAddress
) -> WebSocketConnection:
    watched = _WatchedStream(stream)
    # The library says that it wraps any stream; its annotations say less.
    socket = await wrap_client_stream(
        nursery,
        cast("trio.SocketStream", watched),
        address.header,
        address.resource,
        max_message_size=LARGEST,
        receive_buffer_size=READ,
    )
    watched.open = True
    return socket


class _WatchedStream(trio.abc.Stream):
    """A stream whose end before the handshake is told: the library would wait for an answer.

    It closes without waiting, too: what there is to say of the end has been said by then.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.open = False
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes)
        if not data and not self.open:
            raise WireEnded(Ending(1006, "the connection ended in the handshake"))
        return data

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _read(errors: list[BaseException], timeout: float) -> Ending:
    """Make an ending of all that went wrong: what the pod has said counts most."""
    for error in errors:
        if isinstance(error, ConnectionRejected):
            return _rejected(error)
    for error in errors:
        if isinstance(error, WireEnded):
            return error.ending
    error = errors[0]
    if isinstance(error, ConnectionClosed):
        return _ending(error)
    if isinstance(error, trio.TooSlowError):
        return Ending(1006, f"no connection in {timeout:g} s")
    return Ending(1006, _words(error))


def _ending(closed: ConnectionClosed) -> Ending:
    reason = closed.reason
    if reason is None:
        return Ending()
    return Ending(int(reason.code), reason.reason or "")


def _rejected(error: ConnectionRejected) -> Ending:
    after = next((value for name, value in error.headers or () if name == b"retry-after"), b"")
    seconds = after.decode("ascii", "replace").strip()
    body = (error.body or b"")[:200].decode("utf-8", "replace").strip()
    reason = body or f"HTTP {error.status_code}"
    wait = float(seconds) if seconds.isascii() and seconds.isdecimal() else None
    return Ending(1006, reason, error.status_code, wait)


def _words(error: BaseException) -> str:
    while error.__cause__ is not None:  # trio's errors have the system's below them
        error = error.__cause__
        if isinstance(error, BaseExceptionGroup):  # one for each address of a name
            error = _leaves(error)[0]
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
