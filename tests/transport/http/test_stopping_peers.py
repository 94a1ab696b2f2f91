"""A peer that stops at any byte, of what it sends or of what it reads, is given up in time.

The clock is fake: a wait without a deadline would be a jump to the end of the test's patience.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from itertools import chain

import pytest
import trio
import trio.testing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from deployd.transport import ConnectionSlots, UpgradeRequest
from deployd.transport.http import HttpLimits, HttpServer

LIMITS = HttpLimits(head_timeout=10, body_timeout=20, send_timeout=40, keep_alive_timeout=80)
LINGER = 1.0
LARGE = 64 * 1024
GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
SIZED = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKED = (
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
)
EXPECTING = SIZED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SAID = {
    "a GET": GET,
    "a GET of HTTP/1.0": GET.replace(b"1.1", b"1.0"),
    "the last GET": GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    "a body": SIZED,
    "a body in chunks": CHUNKED,
    "a body that waits for a continue": EXPECTING,
    "one after the other": GET + SIZED + CHUNKED + GET,
    "a WebSocket": UPGRADE,
    "a WebSocket after others": GET + CHUNKED + UPGRADE,
    "an empty line, and again": b"\r\n" + GET + b"\r\n" + GET,
    "what is refused": UPGRADE.replace(b"13", b"12"),
    "nonsense": b"\x16\x03\x01 nonsense\r\n\r\n",
}
LONGEST = LIMITS.head_timeout + LIMITS.body_timeout + LIMITS.keep_alive_timeout + LINGER
"""Seconds that a connection may take at most whose peer is silent and takes every answer."""


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body() or b"nothing")


async def large(request: Request) -> Response:
    return PlainTextResponse(b"x" * LARGE)


async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    for _ in range(LARGE // 1024):
        await send({"type": "http.response.body", "body": b"x" * 1024, "more_body": True})
    await send({"type": "http.response.body"})


APP = Starlette(
    routes=[
        Route("/echo", echo, methods=["GET", "POST"]),
        Route("/large", large),
        Mount("/streamed", streamed),
    ]
)


class Peers:
    """Connections to one server, each served at once, and how long each of them took."""

    def __init__(self, nursery: trio.Nursery, stack: ExitStack) -> None:
        self._nursery = nursery
        self._stack = stack
        self._slots = ConnectionSlots(10_000, 0, 0, 0)
        self._server = HttpServer(APP, LIMITS, on_upgrade=self._take)
        self._start = trio.current_time()
        self.taken: dict[str, float] = {}

    def connect(self, name: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            self._stack.enter_context(sock)
            sock.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self._nursery.start_soon(self._serve, name, ours)
        return theirs

    async def _serve(self, name: str, sock: socket.socket) -> None:
        slot = self._slots.admit("", trio.current_time())
        assert slot is not None
        await self._server.serve(sock, ("192.0.2.1", 5000), slot)
        slot.leave()
        self.taken[name] = trio.current_time() - self._start

    def _take(self, request: UpgradeRequest) -> None:
        request.sock.close()


@pytest.mark.parametrize("said", SAID)
async def test_a_peer_that_stops_sending_at_any_byte_is_given_up(
    said: str, autojump_clock: trio.testing.MockClock
) -> None:
    with ExitStack() as stack, trio.fail_after(10_000):
        async with trio.open_nursery() as nursery:
            peers = Peers(nursery, stack)
            for cut in range(len(SAID[said]) + 1):
                peers.connect(f"after {cut} bytes").send(SAID[said][:cut])
    assert len(peers.taken) == len(SAID[said]) + 1
    assert {n: t for n, t in peers.taken.items() if t > LONGEST} == {}


@pytest.mark.parametrize("path", [b"large", b"streamed/"])
@pytest.mark.parametrize("ahead", [1, 50])
async def test_a_peer_that_stops_reading_at_any_byte_is_given_up(
    path: bytes, ahead: int, autojump_clock: trio.testing.MockClock
) -> None:
    """The head byte by byte, the rest in steps: of an answer, or of the first of many."""
    stops = list(chain(range(300), range(300, LARGE, 1999)))
    with ExitStack() as stack, trio.fail_after(10_000):
        async with trio.open_nursery() as nursery:
            peers = Peers(nursery, stack)
            for stop in stops:
                peer = peers.connect(f"after {stop} bytes")
                peer.send(GET.replace(b"echo", path) * ahead)
                nursery.start_soon(read, peer, stop)
    assert len(peers.taken) == len(stops)
    assert {n: t for n, t in peers.taken.items() if t > LIMITS.send_timeout} == {}


async def read(peer: socket.socket, count: int) -> None:
    while count:
        await trio.lowlevel.wait_readable(peer)
        count -= len(peer.recv(count))


async def test_a_peer_that_takes_a_little_at_a_time_gets_it_all(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with ExitStack() as stack, trio.fail_after(10_000):
        async with trio.open_nursery() as nursery:
            peers = Peers(nursery, stack)
            peer = peers.connect("slow")
            last = GET.replace(b"echo", b"large").replace(
                b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
            )
            peer.send(last)
            received = b""
            while not received.endswith(b"x" * LARGE):
                await trio.sleep(LIMITS.send_timeout / 5)
                received += peer.recv(4096)
    assert peers.taken["slow"] > LIMITS.send_timeout
