"""Ada and Ben chat. They know WebSockets and JSON, and nothing of this project's code.

Start a pod in this folder first, see README.md. A pod elsewhere: `python chat_client.py URL`.
"""

# ruff: noqa: T201 - printing is what this program is for

import json
import sys
from collections.abc import Iterator
from typing import Any

from websockets.sync.client import ClientConnection, connect

URL = "ws://localhost:2403/socket.io/"
ROOM = "chat-demo"
PATIENCE = 5.0
"""Seconds to wait for a message that should come at once."""


def send(client: ClientConnection, **message: object) -> None:
    """Send one message of the wire protocol."""
    client.send(json.dumps(message))


def receive(client: ClientConnection) -> dict[str, Any]:
    """Return the next message. Raises TimeoutError when there is none."""
    message: dict[str, Any] = json.loads(client.recv(timeout=PATIENCE))
    return message


def hear(client: ClientConnection, event: str) -> Any:
    """Return the data of the next such event; greetings and answers are passed over."""
    while True:
        message = receive(client)
        if message["type"] == "emit" and message["event"] == event:
            return message["data"]


def say(client: ClientConnection, text: str) -> None:
    """Say a line in the room."""
    send(client, type="emit", room=ROOM, event="say", data=text)


def conversation(url: str) -> Iterator[str]:
    """Chat for a moment and yield what happens, line by line."""
    with connect(url) as ada, connect(url) as ben:
        send(ada, type="join", room=ROOM)
        yield f"Ada joins; {len(hear(ada, 'history'))} lines were said before."
        for text in ("Hello?", "Is anyone here?"):
            say(ada, text)
            yield f"Ada says: {hear(ada, 'said')['text']}"
        send(ben, type="join", room=ROOM)
        latest = [line["text"] for line in hear(ben, "history")][-2:]
        yield f"Ben joins, and the history he gets ends in {latest}."
        say(ben, "I am!")
        yield f"Ada hears: {hear(ada, 'said')['text']}"
        for n in range(5):
            say(ada, f"Look, {n}")
        pause = hear(ada, "slow-down")["seconds"]
        yield f"Ada talks too fast; the room takes her next line in {pause} s."


if __name__ == "__main__":
    for line in conversation(sys.argv[1] if len(sys.argv) > 1 else URL):
        print(line)
