"""Ordinary HTTP on a connection that the listener has already read from.

Hypercorn speaks HTTP, the application answers. What is bounded here and not there: the time to
send, the time to read a body, and the life of a connection whose client has gone.
"""

import logging
from itertools import chain
from typing import Any, cast

import h11
import orjson
import trio
from attrs import frozen
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState, LifespanState
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HttpLimits", "HttpServer", "ReplayStream"]


@frozen
class HttpLimits:
    """What one HTTP client may take: bytes and seconds."""

    max_head_bytes: int = 16 * 1024
    max_body_bytes: int = 1024 * 1024
    body_timeout: float = 10.0
    send_timeout: float = 10.0
    keep_alive_timeout: float = 5.0


class ReplayStream(trio.abc.HalfCloseableStream):
    """A TCP stream whose first bytes have been read already and are given out once more.

    A client that does not read what it asked for is given up after `send_timeout` seconds:
    Hypercorn shields its sending from cancellation, so nobody else could.
    """

    def __init__(self, sock: trio.socket.SocketType, head: bytes, send_timeout: float) -> None:
        self.socket = sock
        self._stream = trio.SocketStream(sock)
        self._head = head
        self._send_timeout = send_timeout

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what was read before, then what comes; nothing at the end."""
        if self._head:
            await trio.lowlevel.checkpoint()
            size = len(self._head) if max_bytes is None else max_bytes
            first, self._head = self._head[:size], self._head[size:]
            return first
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything; raise `trio.BrokenResourceError` when the client does not take it."""
        with trio.move_on_after(self._send_timeout):
            await self._stream.send_all(data)
            return
        self.abort()
        raise trio.BrokenResourceError("the client does not read its response")

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the socket takes more."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    def abort(self) -> None:
        """Close the connection now; whoever waits for it is woken."""
        self.socket.close()


class HttpServer:
    """Serves an ASGI application, one connection a call. It holds nothing between calls."""

    def __init__(self, app: ASGIApp, limits: HttpLimits | None = None) -> None:
        self._limits = limits or HttpLimits()
        bounded = _Gate(app, self._limits.max_body_bytes, self._limits.body_timeout)
        self._app = wrap_app(cast("ASGIFramework", bounded), 0, "asgi")
        self._config = _hypercorn_config(self._limits)

    async def serve(self, sock: trio.socket.SocketType, head: bytes, stopping: trio.Event) -> None:
        """Answer requests until the client goes, falls silent, or `stopping` is set.

        Takes the socket over and closes it. `head` is what was read from it already. A request
        under way is answered also after `stopping`; cancelling cuts it off.
        """
        stream = ReplayStream(sock, head, self._limits.send_timeout)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_abort_at_the_end, stream)
            await _Connection(
                self._app,
                self._config,
                _context(stopping),
                ConnectionState(LifespanState({})),
                cast("Any", stream),
            ).run()
            nursery.cancel_scope.cancel()


class _Http1(H11Protocol):
    """Hypercorn's HTTP/1.1 that stays it, and says in a sentence what it cannot read."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Change to no HTTP/2, whatever the client asks for: nobody bounds that here."""

    async def _send_error_response(self, status_code: int) -> None:
        body = _error_body("The request breaks off, or its body is not what its head says.")
        headers = [*_error_headers(body), (b"connection", b"close")]
        own = self.config.response_headers("h11")
        await self._send_h11_event(
            h11.Response(status_code=status_code, headers=list(chain(headers, own)))
        )
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class _Connection(TCPServer):
    """Hypercorn's connection, but nobody waits for another request when no more can come."""

    _over = False

    async def _read_data(self) -> None:
        self.protocol.protocol.__class__ = _Http1  # which nothing lets us pass in
        await super()._read_data()
        self._over = True
        await self.idle_task.stop()

    async def _idle_timeout(self) -> None:
        if not self._over:
            await super()._idle_timeout()


async def _abort_at_the_end(stream: ReplayStream) -> None:
    # Hypercorn sends under a shield, so a cancelled exchange would outlive its deadline.
    try:
        await trio.sleep_forever()
    finally:
        stream.abort()


class _Stopping:
    """Hypercorn's kind of event over one of trio's."""

    def __init__(self, event: trio.Event) -> None:
        self._event = event

    async def wait(self) -> None:
        await self._event.wait()

    async def set(self) -> None:
        self._event.set()

    async def clear(self) -> None:
        raise RuntimeError("a stopping listener does not start again")

    def is_set(self) -> bool:
        return self._event.is_set()


def _context(stopping: trio.Event) -> WorkerContext:
    context = WorkerContext(None)
    context.terminated = cast("Any", _Stopping(stopping))
    return context


def _hypercorn_config(limits: HttpLimits) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.h11_max_incomplete_size = limits.max_head_bytes
    config.h2_max_concurrent_streams = 10
    config.keep_alive_timeout = limits.keep_alive_timeout
    config.max_app_queue_size = 1  # TCP holds the rest of a body back
    return config


class _Gate:
    """ASGI middleware: reads the whole body first, within a size and a time, or refuses it.

    A WebSocket can only be the first request of a connection, which the listener sees, not this.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await _refuse(
                receive, send, 400, "Open a connection of its own for a WebSocket.", "websocket."
            )
            return
        if _has_two_lengths(scope):
            await _refuse(receive, send, 400, "Say how long the body is once, not in two ways.")
            return
        body: bytes | None = b""
        with trio.move_on_after(self._timeout) as patience:
            body = await self._read(scope, receive)
        if patience.cancelled_caught:
            await _refuse(receive, send, 408, f"Send the body within {self._timeout:g} seconds.")
        elif body is None:
            await _refuse(receive, send, 413, f"Send a body of at most {self._max_bytes} bytes.")
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        if _declared_length(scope) > self._max_bytes:
            return None
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                return None
        return bytes(body)


def _declared_length(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths else 0  # h11 has checked that it is a number


def _has_two_lengths(scope: Scope) -> bool:
    """Say whether a proxy may have seen another body than we do (RFC 9112 section 6.1)."""
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names and b"transfer-encoding" in names


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _refuse(
    receive: Receive, send: Send, status: int, sentence: str, extension: str = ""
) -> None:
    body = _error_body(sentence)
    headers = [*_error_headers(body), (b"connection", b"close")]
    async with trio.open_nursery() as nursery:
        # While the rest of the body fills its queue, Hypercorn cannot even close the connection.
        nursery.start_soon(_discard, receive)
        await send(
            {"type": f"{extension}http.response.start", "status": status, "headers": headers}
        )
        await send({"type": f"{extension}http.response.body", "body": body})
        nursery.cancel_scope.cancel()


def _error_body(sentence: str) -> bytes:
    return orjson.dumps({"error": sentence})


def _error_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


async def _discard(receive: Receive) -> None:
    while True:
        await receive()
