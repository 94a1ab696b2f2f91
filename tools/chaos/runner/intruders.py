"""Clients that do what no client should: they never read, or write what is no frame of ours."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import orjson
import trio
import trio_websocket

__all__ = ["rubbish", "stall"]

RECEIVED: Final = 4096
"""Bytes that the system keeps for who does not read: few, so that it is noticed."""
PAUSE: Final = 0.05
"""Seconds between two pieces of rubbish."""
RUBBISH: Final = (
    '{"type":',
    "[" * 200 + "]" * 200,
    '{"type":"emit","room":["plain"],"data":1e999}',
    '{"type":"join","room":"\\ud800"}',
    '{"type":"nonsense"}',
    "\x00" * 100,
)
"""What is no message; some of it is no JSON."""


async def stall(url: str, rooms: Sequence[str]) -> None:
    """Join rooms and read nothing, until cancelled; who is cut off for it stays away."""
    host, port = url.removeprefix("http://").split(":")
    with suppress(OSError, trio.BrokenResourceError, trio_websocket.ConnectionClosed):
        stream = await trio.open_tcp_stream(host, int(port))
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, RECEIVED)
        async with trio.open_nursery() as nursery:
            socket = await trio_websocket.wrap_client_stream(
                nursery, stream, f"{host}:{port}", "/socket.io/", message_queue_size=0
            )
            for room in rooms:
                await socket.send_message(orjson.dumps({"type": "join", "room": room}).decode())
            await trio.sleep_forever()


async def rubbish(url: str, seed: int) -> None:
    """Write rubbish, and come again whenever that is the end, until cancelled."""
    draw = random.Random(seed)  # noqa: S311 - chance, not secrecy
    address = url.replace("http://", "ws://") + "/socket.io/"
    while True:
        with suppress(OSError, trio_websocket.ConnectionClosed, trio_websocket.HandshakeError):
            async with trio_websocket.open_websocket_url(address) as socket:
                while True:
                    await socket.send_message(draw.choice(RUBBISH))
                    with trio.move_on_after(PAUSE):
                        await socket.get_message()
        await trio.sleep(PAUSE)
