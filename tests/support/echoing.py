"""A server that answers with what it is sent, and what its clients see through a fault proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from deployd.tools.chaos.proxy import FaultProxy

__all__ = [
    "PATIENCE",
    "EchoServer",
    "client_of",
    "echoing",
    "ends",
    "heard",
    "hears_nothing",
    "is_reset",
    "said",
]

PATIENCE = 20.0
"""Seconds after which something that should have come has not."""

SHORT = 0.1
"""Seconds in which nothing is to come."""


class EchoServer:
    """`streams` are all that came, `ends` how they ended: "end" or "broken"."""

    def __init__(self) -> None:
        self.port = 0
        self.streams: list[trio.SocketStream] = []
        self.ends: list[str] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        self.streams.append(stream)
        try:
            while data := await stream.receive_some():
                await stream.send_all(data)
            self.ends.append("end")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ends.append("broken")
        finally:
            stream.socket.close()


@asynccontextmanager
async def echoing() -> AsyncIterator[EchoServer]:
    """Serve on a free port of 127.0.0.1 for the length of the block."""
    server = EchoServer()
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
        server.port = listener.socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()


async def client_of(proxy: FaultProxy) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", proxy.port)


async def said(stream: trio.SocketStream, data: bytes = b"hello") -> bytes:
    """Say something, and hear it."""
    await stream.send_all(data)
    return await heard(stream, len(data))


async def heard(stream: trio.SocketStream, nbytes: int) -> bytes:
    got = b""
    with trio.fail_after(PATIENCE):
        while len(got) < nbytes and (data := await stream.receive_some()):
            got += data
    return got


async def hears_nothing(stream: trio.SocketStream) -> bool:
    with trio.move_on_after(SHORT):
        await stream.receive_some()
        return False
    return True


async def is_reset(stream: trio.SocketStream) -> bool:
    with trio.fail_after(PATIENCE):
        try:
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError as error:
            return isinstance(error.__cause__, ConnectionResetError)
    return False


async def ends(stream: trio.SocketStream) -> bytes:
    got = b""
    with trio.fail_after(PATIENCE):
        while data := await stream.receive_some():
            got += data
    return got
