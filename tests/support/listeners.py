"""Listeners to talk to, and clients that have begun to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from deployd.transport import (
    Listener,
    Refusal,
    UpgradeRequest,
)
from deployd.transport.http import HttpLimits, HttpServer, OnUpgrade
from deployd.transport.sockets.listener import (
    ListenerLimits,
    Serve,
)

from .raw import connect

__all__ = [
    "GET",
    "HEALTH",
    "HELLO",
    "OPEN",
    "POST",
    "UPGRADE",
    "asks_for_health",
    "begins",
    "busy",
    "hello",
    "listener_of",
    "listening",
    "nobody",
    "status",
    "until",
    "works",
]


UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost:2403\r\nUser-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
OPEN = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HELLO = b"hello to GET"


def nobody(_: UpgradeRequest) -> Refusal | None:
    return Refusal(403, "Not today.")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"hello to {scope['method']}")(scope, receive, send)


def asks_for_health(scope: Scope) -> bool:
    return bool(scope["path"] == "/health")


def listener_of(
    on_upgrade: OnUpgrade = nobody,
    app: ASGIApp = hello,
    limits: ListenerLimits | None = None,
    http: HttpLimits | None = None,
    serve: Serve | None = None,
) -> Listener:
    server = HttpServer(app, http, on_upgrade=on_upgrade, privileged=asks_for_health)
    return Listener("localhost", 0, serve=serve or server.serve, limits=limits)


@asynccontextmanager
async def listening(
    on_upgrade: OnUpgrade = nobody,
    app: ASGIApp = hello,
    limits: ListenerLimits | None = None,
    http: HttpLimits | None = None,
    serve: Serve | None = None,
) -> AsyncIterator[Listener]:
    listener = listener_of(on_upgrade, app, limits, http, serve)
    async with trio.open_nursery() as nursery:
        up = trio.Event()
        nursery.start_soon(listener.run, up.set)
        await up.wait()
        yield listener
        nursery.cancel_scope.cancel()


def status(response: bytes) -> int:
    assert b"\r\nConnection: close\r\n" in response
    return int(response.split(b" ", 2)[1])


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if condition():
            return
        await trio.lowlevel.checkpoint()
    pytest.fail("it never came to be")


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer who asks for health, and nobody else before the client goes."""
    if not asks_for_health(scope):
        await receive()
        await receive()
    await hello(scope, receive, send)


async def begins(
    listener: Listener, stack: AsyncExitStack, what: bytes = b"G"
) -> trio.SocketStream:
    """Connect, and send a part of a request."""
    stream = await stack.enter_async_context(await connect(listener))
    await stream.send_all(what)
    await trio.testing.wait_all_tasks_blocked()
    return stream


async def works(listener: Listener, stack: AsyncExitStack) -> trio.SocketStream:
    """Connect, and have the application busy with a request."""
    return await begins(listener, stack, OPEN)


POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
