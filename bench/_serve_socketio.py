"""The server process of python-socketio: an `AsyncServer` under uvicorn, on uvloop.

Its one argument is a JSON object: with `redis`, the URL of a server, it is joined to others by it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import socketio  # type: ignore[import-untyped] # it has no types
import uvicorn
import uvloop
from _dialects import EVENT, ROOM
from _orders import Work, answer, read_line

SILENCE = 3600
"""Seconds between two pings of engine.io: all members must get the same bytes."""


async def serve(redis: str | None) -> None:
    """Serve rooms until stdin ends."""
    manager = socketio.AsyncRedisManager(redis) if redis else None
    sio = socketio.AsyncServer(async_mode="asgi", ping_interval=SILENCE, client_manager=manager)

    async def join(sid: str, room: str) -> None:
        await sio.enter_room(sid, room)

    async def say(text: str) -> None:
        await sio.emit(EVENT, text, room=ROOM)

    async def said(sid: str, text: str) -> None:
        await say(text)

    async def next_line() -> str:
        return await asyncio.to_thread(read_line)

    sio.on("join", join)
    sio.on("say", said)
    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    app = socketio.ASGIApp(sio)
    config = uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=1,
        ws_ping_interval=None,  # uvicorn's own pings; the clients here answer none
        ws_ping_timeout=None,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    answer(port=sock.getsockname()[1])
    await Work(say, next_line, asyncio.sleep).until_told_to_stop()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(serve(json.loads(sys.argv[1]).get("redis")))
