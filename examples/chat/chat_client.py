"""Ada and Ben chat, by the Python client.

Start a pod in this folder first, see README.md. A pod elsewhere: `python chat_client.py URL`.
"""

# ruff: noqa: T201 - printing is what this program is for

import sys
from collections.abc import Iterator
from typing import Any

from deployd.client import Refused
from deployd.client.sync import BlockingClient, connect

URL = "http://localhost:2403"
ROOM = "chat-demo"
PATIENCE = 5.0
"""Seconds to wait for a message that should come at once."""


def hear(client: BlockingClient, event: str) -> Any:
    """Return the data of the next such event; others are passed over."""
    for heard in client.events(ROOM, timeout=PATIENCE):
        if heard.name == event:
            return heard.data
    raise AssertionError("the room was left")


def say(client: BlockingClient, text: str) -> None:
    """Say a line in the room. Raises `Refused` when it comes too fast."""
    client.emit(ROOM, "say", text)


def conversation(url: str) -> Iterator[str]:
    """Chat for a moment and yield what happens, line by line."""
    with connect(url) as ada, connect(url) as ben:
        ada.join(ROOM)
        yield f"Ada joins; {len(hear(ada, 'history'))} lines were said before."
        for text in ("Hello?", "Is anyone here?"):
            say(ada, text)
            yield f"Ada says: {hear(ada, 'said')['text']}"
        ben.join(ROOM)
        latest = [line["text"] for line in hear(ben, "history")][-2:]
        yield f"Ben joins, and the history he gets ends in {latest}."
        say(ben, "I am!")
        yield f"Ada hears: {hear(ada, 'said')['text']}"
        try:
            for n in range(5):
                say(ada, f"Look, {n}")
        except Refused:
            pause = hear(ada, "slow-down")["seconds"]
            yield f"Ada talks too fast; the room takes her next line in {pause} s."


if __name__ == "__main__":
    for line in conversation(sys.argv[1] if len(sys.argv) > 1 else URL):
        print(line)
