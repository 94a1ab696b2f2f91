"""The server process of the `websockets` library: its broadcast, on uvloop."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import uvloop
from _orders import Work, answer, read_line
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as listen


async def serve() -> None:
    """Serve rooms, each of who has connected to its path, until stdin ends; orders are for `/`."""
    rooms = defaultdict[str, set[ServerConnection]](set)

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        connections = rooms[connection.request.path]
        await connection.send("joined")
        connections.add(connection)
        try:
            async for message in connection:
                broadcast(connections, message)
        finally:
            connections.discard(connection)

    async def say(text: str) -> None:
        broadcast(rooms["/"], text)
        await asyncio.sleep(0)

    async def next_line() -> str:
        return await asyncio.to_thread(read_line)

    async with listen(
        handler, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1
    ) as server:
        answer(port=next(iter(server.sockets)).getsockname()[1])
        await Work(say, next_line, asyncio.sleep).until_told_to_stop()


if __name__ == "__main__":
    uvloop.run(serve())
