"""Ada and Ben count until the round is over, and see the clock tick meanwhile.

Start a pod in this folder first, see README.md. A pod elsewhere: `python counter_client.py URL`.
"""

# ruff: noqa: T201 - printing is what this program is for

import json
import sys
from collections.abc import Iterator
from typing import Any

from websockets.sync.client import ClientConnection, connect

URL = "ws://localhost:2403/socket.io/"
ROOM = "counter-demo"
PATIENCE = 5.0
"""Seconds to wait for a message; the clock ticks every second."""


def send(client: ClientConnection, **message: object) -> None:
    """Send one message of the wire protocol."""
    client.send(json.dumps(message))


def receive(client: ClientConnection) -> dict[str, Any]:
    """Return the next message. Raises TimeoutError when there is none."""
    message: dict[str, Any] = json.loads(client.recv(timeout=PATIENCE))
    return message


def enter(client: ClientConnection) -> str:
    """Join the room and return the client's own id."""
    client_id: str = receive(client)["data"]["client_id"]
    send(client, type="join", room=ROOM)
    receive(client)
    return client_id


def hear(client: ClientConnection, event: str) -> Any:
    """Return the data of the next such event; everything else is passed over."""
    while True:
        message = receive(client)
        if message["type"] == "emit" and message["event"] == event:
            return message["data"]


def count(client: ClientConnection) -> int:
    """Count once and return the score that the room tells this client alone."""
    send(client, type="emit", room=ROOM, event="count")
    score: int = hear(client, "score")
    return score


def game(url: str) -> Iterator[str]:
    """Play until a round is over and yield what happens, line by line."""
    with connect(url) as ada, connect(url) as ben:
        names = {enter(ada): "Ada", enter(ben): "Ben"}
        for name, client, times in (("Ada", ada, 2), ("Ben", ben, 3)):
            scores = [count(client) for _ in range(times)]
            yield f"{name} counts and is told: {scores}."
        message = receive(ada)
        while message["event"] == "tick":
            yield f"{message['data']} s are left."
            message = receive(ada)
        yield f"It is over, and the winner is {names.get(message['data']['winner'], 'nobody')}."


if __name__ == "__main__":
    for line in game(sys.argv[1] if len(sys.argv) > 1 else URL):
        print(line)
