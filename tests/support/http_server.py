"""An HTTP server with a small application, and how its answers are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deployd.transport import Listener, Refusal
from deployd.transport.http import HttpLimits, HttpServer, OnUpgrade

__all__ = [
    "CHUNK",
    "CHUNKED",
    "GET_DEAF",
    "SIZED",
    "UPGRADE",
    "answer_of",
    "crash",
    "deaf",
    "echo",
    "large",
    "pieces",
    "sample",
    "serving",
    "until",
]


@asynccontextmanager
async def serving(
    app: ASGIApp,
    limits: HttpLimits | None = None,
    on_upgrade: OnUpgrade = lambda _: Refusal(403, "Not here."),
    origins: Sequence[str] = (),
    **more: Any,
) -> AsyncIterator[Listener]:
    server = HttpServer(app, limits, on_upgrade=on_upgrade, origins=origins, **more)
    listener = Listener("localhost", 0, serve=server.serve)
    listener.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.run, lambda: None)
        yield listener
        nursery.cancel_scope.cancel()


async def answer_of(stream: trio.SocketStream) -> tuple[int, bytes]:
    """Read one response that has a Content-Length."""
    received = b""
    with trio.fail_after(60):
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some() or pytest.fail("the connection was closed")
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += await stream.receive_some() or pytest.fail("the connection was closed")
    return int(head.split(b" ", 2)[1]), body


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if condition():
            return
        await trio.lowlevel.checkpoint()
    pytest.fail("it never came to be")


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def deaf(request: Request) -> Response:
    return PlainTextResponse("never mind")


async def large(request: Request) -> Response:
    return PlainTextResponse(b"x" * 50_000_000)


async def crash(request: Request) -> Response:
    raise RuntimeError("bug")


def sample() -> Starlette:
    return Starlette(
        routes=[
            Route("/echo", echo, methods=["POST"]),
            Route("/deaf", deaf, methods=["POST", "GET"]),
            Route("/large", large),
            Route("/crash", crash),
        ]
    )


GET_DEAF = b"GET /deaf HTTP/1.1\r\nHost: localhost\r\n\r\n"


CHUNK = b"400\r\n" + b"x" * 1024 + b"\r\n"
CHUNKED = b"POST /%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def pieces(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})
