"""A client of a listener that sends what it is told, byte for byte; and what a pod reads of it."""

from __future__ import annotations

import trio

from deployd.transport import Listener, Opening
from deployd.transport.sockets.handshake import choose_route
from deployd.transport.sockets.request import HeadReader, RequestHead

__all__ = ["NEVER_READ", "ask", "connect", "everything", "opening"]

NEVER_READ = b"GET /dpd.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000
"""More answers than fit on the way: who does not read them keeps a pod at work for a while."""


async def connect(listener: Listener) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", listener.address[1])


async def everything(stream: trio.SocketStream) -> bytes:
    """Read until the other side closes."""
    received = b""
    with trio.fail_after(60):
        async for chunk in stream:
            received += chunk
    return received


async def ask(listener: Listener, request: bytes) -> bytes:
    """Send bytes on a connection of their own and return all that comes back."""
    async with await connect(listener) as stream:
        await stream.send_all(request)
        return await everything(stream)


def opening(request: bytes) -> tuple[Opening, bytes]:
    """Read a good opening handshake; return it with what was sent right behind it."""
    reader = HeadReader(16 * 1024)
    head = reader.feed(request)
    assert isinstance(head, RequestHead)
    good = choose_route(head)
    assert isinstance(good, Opening)
    return good, reader.http.trailing_data[0]
