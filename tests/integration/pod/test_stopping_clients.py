"""A client that stops at any byte, of what it sends or of what it reads, is closed in time."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest
import trio
import trio.testing

from deployd.supervisors import Pod
from support import pod_config, running_pod
from support.frames import frame, saying

UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n\r\n"
)
"""As short as it can be: each byte is a connection."""
FIRST = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
SCRIPT = (
    FIRST
    + UPGRADE
    + saying("join", room="tea", id=1)
    + frame(9, b"ping")
    + frame(1, b'{"type":"emit","room":"tea",', fin=False)
    + frame(0, b'"event":"said","data":1,"id":2}')
    + frame(8, (1000).to_bytes(2))
)
PING, PONG, STALL = 50.0, 10.0, 30.0
CLOSING = 5.0
"""Seconds that the ends of a connection may take, all together."""


async def connect(pod: Pod, stack: ExitStack, what: bytes) -> socket.socket:
    sock = stack.enter_context(socket.create_connection(("127.0.0.1", pod.port)))
    sock.setblocking(False)
    sock.send(what)
    return sock


async def until_nobody_is_there(pod: Pod) -> None:
    for _ in range(1000):
        await trio.sleep(0.5)
        waiting = pod.parts.tree.listener.statistics().open_connections
        if not (waiting or pod.connections() or len(pod.parts.watched.clients)):
            return
    pytest.fail("somebody is still there")


async def test_a_client_that_stops_sending_at_any_byte_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = pod_config(ping_interval=PING, pong_timeout=PONG, max_http_connections=5000)
    async with running_pod(config) as pod:
        with ExitStack() as stack:
            start = trio.current_time()
            for cut in range(len(SCRIPT) + 1):
                await connect(pod, stack, SCRIPT[:cut])
                await trio.testing.wait_all_tasks_blocked()
            await until_nobody_is_there(pod)
            assert pod.meters.opened > 100
            assert trio.current_time() - start <= PING + PONG + CLOSING


@pytest.mark.parametrize("step", [1, 7])
async def test_a_client_that_stops_reading_at_any_byte_is_closed(
    step: int, autojump_clock: trio.testing.MockClock
) -> None:
    """The answer and the greeting byte by byte, and then what is said in a room."""
    config = pod_config(dead_client_timeout=STALL, ping_interval=PING, pong_timeout=PONG)
    join = saying("join", room="tea", id=1)
    async with running_pod(config) as pod:
        with ExitStack() as stack:
            socks = [await connect(pod, stack, UPGRADE + join) for _ in range(300)]
            for sock in socks:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            await trio.testing.wait_all_tasks_blocked()
            start = trio.current_time()
            for stop, sock in enumerate(socks):
                sock.recv(1 + stop * step)
            pod.hub.emit_to_room("tea", "said", "x" * 60_000)
            await until_nobody_is_there(pod)
            assert trio.current_time() - start <= PING + PONG + STALL + CLOSING
