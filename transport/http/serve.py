"""Ordinary HTTP on a connection that the listener has already read from.

Hypercorn speaks HTTP, the application answers. What is bounded here and not there: the time to
send, the time to read a body, and the life of a connection whose client has gone.
"""

import logging
import math
from itertools import chain
from typing import Any, cast

import h11
import trio
from attrs import frozen
from hypercorn.config import Config
from hypercorn.events import Event, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, LifespanState
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from ...config import LogSampler
from ..forwarded import Networks
from .gate import Gate, error_body, error_headers

__all__ = ["HttpLimits", "HttpServer", "ReplayStream"]


@frozen
class HttpLimits:
    """What one HTTP client may take: bytes and seconds; and whose word on addresses counts."""

    max_head_bytes: int = 16 * 1024
    max_body_bytes: int = 1024 * 1024
    body_timeout: float = 10.0
    send_timeout: float = 10.0
    keep_alive_timeout: float = 5.0
    trusted: Networks = ()


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
        self._limits = limits = limits or HttpLimits()
        bounded = Gate(app, limits.max_body_bytes, limits.body_timeout, limits.trusted)
        self._app = wrap_app(cast("ASGIFramework", bounded), 0, "asgi")
        self._config = _hypercorn_config(self._limits)

    async def serve(self, sock: trio.socket.SocketType, head: bytes, stopping: trio.Event) -> None:
        """Answer requests until the client goes, falls silent, or `stopping` is set.

        Takes the socket over and closes it. `head` is what was read from it already. A request
        under way is answered also after `stopping`; cancelling cuts it off.
        """
        stream = ReplayStream(sock, head, self._limits.send_timeout)
        connection = _Connection(self._app, self._config, _context(stopping), stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, connection.patience, stream, stopping)
            try:
                await connection.run()
            finally:
                connection.let_go()
            nursery.cancel_scope.cancel()


class _Http1(H11Protocol):
    """Hypercorn's HTTP/1.1 that stays it, and says in a sentence what it cannot read."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Change to no HTTP/2, whatever the client asks for: nobody bounds that here."""

    async def _send_error_response(self, status_code: int) -> None:
        body = error_body("The request breaks off, or its body is not what its head says.")
        headers = chain(error_headers(body), self.config.response_headers("h11"))
        await self._send_h11_event(h11.Response(status_code=status_code, headers=list(headers)))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class _Patience:
    """How long a connection may be silent between requests.

    In the place of Hypercorn's `idle_task`, which ends a task before each request and starts one
    after it, for a quarter of what a request costs there (docs/performance.md). Here the one task
    that reads waits inside `scope`, whose deadline moves.
    """

    def __init__(self, seconds: float) -> None:
        self.scope = trio.CancelScope()
        self._seconds = seconds
        self._idle = False

    async def restart(self, *_: object) -> None:
        """Begin to wait for the next request."""
        self._idle = True
        self.scope.deadline = trio.current_time() + self._seconds

    async def stop(self) -> None:
        """Wait no more: a request is there."""
        self._idle = False
        self.scope.deadline = math.inf

    def hurry(self) -> None:
        """End the wait, if there is one; after an answer Hypercorn begins no other."""
        if self._idle:
            self.scope.cancel()


class _Connection(TCPServer):
    """Hypercorn's connection, with other ways to wait for a request and to write an answer."""

    def __init__(
        self, app: AppWrapper, config: Config, context: WorkerContext, stream: ReplayStream
    ) -> None:
        state = LifespanState({"hold": self.hold})
        super().__init__(app, config, context, state, cast("Any", stream))
        self.patience = _Patience(config.keep_alive_timeout)
        self.idle_task = cast("Any", self.patience)
        self._holds = False
        self._held = b""

    def hold(self) -> None:
        """Keep what is sent next until something more is, so that both go in one piece."""
        self._holds = True

    async def protocol_send(self, event: Event) -> None:
        """Send, or do what else Hypercorn's protocol wants."""
        if isinstance(event, RawData):
            data, self._held = self._held + event.data, b""
            if self._holds:
                self._holds, self._held = False, data
            elif data:  # h11 has nothing to say at the end of most messages
                await super().protocol_send(RawData(data))
        else:
            await super().protocol_send(event)

    def let_go(self) -> None:
        """Hold nothing any more: Hypercorn's objects hold each other, and only by way of this."""
        vars(self).clear()

    async def _read_data(self) -> None:
        self.protocol.protocol.__class__ = _Http1  # which nothing lets us pass in
        with self.patience.scope:
            await super()._read_data()


async def _watch(patience: _Patience, stream: ReplayStream, stopping: trio.Event) -> None:
    """Wait for no other request once `stopping` is set; it may be when the connection has ended."""
    try:
        await stopping.wait()
        patience.hurry()
        await trio.sleep_forever()
    finally:
        # Hypercorn sends under a shield, so a cancelled exchange would outlive its deadline.
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
    config.errorlog = _error_log()
    config.include_server_header = False
    config.h11_max_incomplete_size = limits.max_head_bytes
    config.h2_max_concurrent_streams = 10
    config.keep_alive_timeout = limits.keep_alive_timeout
    config.max_app_queue_size = 1  # TCP holds the rest of a body back
    return config


class _Sampled(logging.Filter):
    """Lets a storm of lines through at a limited rate: each request may fail on the same bug."""

    def __init__(self) -> None:
        super().__init__()
        self._sampler = LogSampler()

    def filter(self, record: logging.LogRecord) -> bool:
        suppressed = self._sampler.admit(str(record.msg))
        if suppressed:
            record.msg = f"{record.msg} ({suppressed} such lines were left out before this one)"
        return suppressed is not None


def _error_log() -> logging.Logger:
    """Make a logger of the server's own, below Hypercorn's, that no other server's lines limit."""
    log = logging.Logger("hypercorn.error")
    log.parent = logging.getLogger("hypercorn.error")
    log.addFilter(_Sampled())
    return log
