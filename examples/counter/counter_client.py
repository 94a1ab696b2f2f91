"""Ada and Ben count until the round is over, and see the clock tick meanwhile.

Start a pod in this folder first, see README.md. A pod elsewhere: `python counter_client.py URL`.
"""

# ruff: noqa: T201 - printing is what this program is for

import sys
from collections.abc import Iterator
from typing import Any

from deployd.client.sync import BlockingClient, connect

URL = "http://localhost:2403"
ROOM = "counter-demo"
PATIENCE = 5.0
"""Seconds to wait for a message; the clock ticks every second."""


def hear(client: BlockingClient, event: str) -> Any:
    """Return the data of the next such event; others are passed over."""
    for heard in client.events(ROOM, timeout=PATIENCE):
        if heard.name == event:
            return heard.data
    raise AssertionError("the room was left")


def count(client: BlockingClient) -> int:
    """Count once and return the score that the room tells this client alone."""
    client.emit(ROOM, "count")
    score: int = hear(client, "score")
    return score


def game(url: str) -> Iterator[str]:
    """Play until a round is over and yield what happens, line by line."""
    with connect(url) as ada, connect(url) as ben:
        names = {}
        for name, client in (("Ada", ada), ("Ben", ben)):
            client.join(ROOM)
            names[client.id] = name
        for name, client, times in (("Ada", ada, 2), ("Ben", ben, 3)):
            scores = [count(client) for _ in range(times)]
            yield f"{name} counts and is told: {scores}."
        for heard in ada.events(ROOM, timeout=PATIENCE):
            data: Any = heard.data
            if heard.name == "over":
                yield f"It is over, and the winner is {names.get(data['winner'], 'nobody')}."
                break
            yield f"{data} s are left."


if __name__ == "__main__":
    for line in game(sys.argv[1] if len(sys.argv) > 1 else URL):
        print(line)
