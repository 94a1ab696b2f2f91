"""Ada makes the room crash while Ben listens: see who notices, and what is lost.

Start a pod in this folder first, see README.md. A pod elsewhere: `python crash_client.py URL`.
"""

# ruff: noqa: T201 - printing is what this program is for

import json
import sys
from collections.abc import Iterator
from typing import Any

from websockets.sync.client import ClientConnection, connect

URL = "ws://localhost:2403/socket.io/"
ROOM = "crash-demo"
PATIENCE = 5.0
"""Seconds to wait for a message that should come at once."""


def send(client: ClientConnection, **message: object) -> None:
    """Send one message of the wire protocol."""
    client.send(json.dumps(message))


def receive(client: ClientConnection) -> dict[str, Any]:
    """Return the next message. Raises TimeoutError when there is none."""
    message: dict[str, Any] = json.loads(client.recv(timeout=PATIENCE))
    return message


def enter(client: ClientConnection) -> None:
    """Join the room."""
    send(client, type="join", room=ROOM)
    while receive(client)["type"] != "join":
        pass


def told(name: str, client: ClientConnection) -> str:
    """Return the next message as a sentence."""
    message = receive(client)
    if message["type"] == "error":
        return f"{name} is told: {message['error']}"
    heard = message["data"]
    return (
        f"{name} hears {heard['text']!r}, line {heard['lines']} of the room, "
        f"from its incarnation {heard['incarnation']}."
    )


def accident(url: str) -> Iterator[str]:
    """Say three things, the second of them fatal, and yield what everyone gets, line by line."""
    with connect(url) as ada, connect(url) as ben:
        enter(ada)
        enter(ben)
        for text in ("one", "boom", "two"):  # nobody waits for the restart: "two" waits for it
            send(ada, type="emit", room=ROOM, event="say", data=text)
        yield "Ada says 'one', 'boom' and 'two' in one breath."
        for _ in range(3):
            yield told("Ada", ada)
        for _ in range(2):
            yield told("Ben", ben)


if __name__ == "__main__":
    for line in accident(sys.argv[1] if len(sys.argv) > 1 else URL):
        print(line)
