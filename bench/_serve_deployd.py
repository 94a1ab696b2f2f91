"""The server process of deployd: a pod with nothing lifted but the message rate limit."""

from __future__ import annotations

import sys

import trio
from _dialects import EVENT, ROOM
from _orders import Work, answer, read_line

from deployd.actors import Scope
from deployd.config import Config, Drain, Limits, Logging, Secrets, Server, configure_logging
from deployd.supervisors import open_pod

KEYS = Secrets(master_key="a-master-key-for-benches", jwt_secret="a-secret-for-benches-of-32-bytes")

CONFIG = Config(
    server=Server(port=0),
    # No ping may come in between: every member must get the same bytes.
    limits=Limits(max_connections=20_000, message_rate_limit=0.0, ping_interval=3600.0),
    drain=Drain(window=0.0, deadline=5.0),
)


async def serve() -> None:
    """Run a pod until stdin ends."""
    async with open_pod(CONFIG, keys=KEYS) as pod:

        async def say(text: str) -> None:
            while pod.hub.emit_to_room(ROOM, EVENT, text).scope is Scope.REJECTED:
                await trio.lowlevel.checkpoint()  # the room's mailbox is full: its turn

        async def next_line() -> str:
            return await trio.to_thread.run_sync(read_line, abandon_on_cancel=True)

        answer(port=pod.port)
        await Work(say, next_line, trio.sleep).until_told_to_stop()


if __name__ == "__main__":
    configure_logging(Logging(format="json"), tty=False, stream=sys.stderr)
    trio.run(serve)
