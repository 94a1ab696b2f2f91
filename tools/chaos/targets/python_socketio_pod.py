"""A pod of python-socketio, as its documentation has it: rooms, and Redis by its manager.

It is a program of its own: `python python_socketio_pod.py '{"url": …, "port": …}'`.
"""

from __future__ import annotations

import json
import sys

import socketio  # type: ignore[import-untyped] # it has no types
import uvicorn


def main(url: str, port: int) -> None:
    """Serve until told to end."""
    # By default what one client says is handled at once, in any order, also while all is well.
    sio = socketio.AsyncServer(
        async_mode="asgi", client_manager=socketio.AsyncRedisManager(url), async_handlers=False
    )

    async def join(sid: str, room: str) -> None:
        await sio.enter_room(sid, room)

    async def say(sid: str, room: str, word: object, everybody: bool) -> dict[str, str]:
        # Who is in a room cannot be asked for acknowledgements: `callback` is for single clients.
        del sid, everybody
        await sio.emit("said", (room, word), room=room)
        return {"scope": "taken"}

    sio.on("join", join)
    sio.on("say", say)
    uvicorn.run(socketio.ASGIApp(sio), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
