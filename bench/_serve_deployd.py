"""The server process of deployd: a pod with nothing lifted but the message rate limit.

Its one argument is a JSON object of settings by dotted path, laid over those below.
"""

from __future__ import annotations

import json
import sys

import trio
from _dialects import EVENT, ROOM
from _orders import Work, answer, read_line

from deployd.actors import Scope
from deployd.config import Config, LoggingSettings, Secrets, configure_logging, load
from deployd.supervisors import open_pod

KEYS = Secrets(master_key="a-master-key-for-benches", jwt_secret="a-secret-for-benches-of-32-bytes")

SETTINGS = {
    "server.port": 0,
    "server.apiEnabled": False,
    "access.rules": {ROOM: {"emit": "anyone"}},  # who floods does not hear it
    "limits.maxConnections": 20_000,
    "limits.addressShare": 1.0,
    "limits.acceptRate": 0.0,
    "limits.messageRateLimit": 0.0,
    "limits.byteRateLimit": 0.0,
    "limits.pingInterval": 3600.0,  # all members must get the same bytes: no ping in between
    "drain.window": 0.0,
    "drain.deadline": 5.0,
}


async def serve(config: Config) -> None:
    """Run a pod until stdin ends."""
    async with open_pod(config, keys=KEYS) as pod:

        async def say(text: str) -> None:
            while pod.hub.emit_to_room(ROOM, EVENT, text).scope is Scope.REJECTED:
                await trio.lowlevel.checkpoint()  # the room's mailbox is full: its turn

        async def next_line() -> str:
            return await trio.to_thread.run_sync(read_line, abandon_on_cancel=True)

        answer(port=pod.port)
        await Work(say, next_line, trio.sleep).until_told_to_stop()


if __name__ == "__main__":
    configure_logging(LoggingSettings(format="json"), tty=False, stream=sys.stderr)
    trio.run(serve, load(None, environ={}, overrides=SETTINGS | json.loads(sys.argv[1])).config)
