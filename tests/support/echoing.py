"""A server that answers with what it is sent, and remembers how each connection ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

__all__ = ["EchoServer", "echoing"]


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
