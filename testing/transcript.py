"""What was said in a room under test, a line each, with the seconds since the test began."""

from __future__ import annotations

from collections import deque
from typing import Final

import orjson
import trio

from ..client import JSON
from ..transport.protocols import ClientEvent, Failed, FromPod, Receipted

__all__ = ["Transcript", "shown"]

MOST_TOLD: Final = 200
"""Lines that are kept: the last."""


class Transcript:
    """Lines of a test. `str()` of it is all of them."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=MOST_TOLD)
        self.begun = trio.current_time()

    def note(self, line: str) -> None:
        """Write a line."""
        self.lines.append(f"{trio.current_time() - self.begun:8.3f}  {line}")

    def told(self, who: str, message: FromPod) -> None:
        """Write what a guest is told."""
        self.note(f"{who} is told {_line(message)}")

    def __str__(self) -> str:
        return "\n".join(["What was said in the room:", *self.lines])


def shown(data: JSON) -> str:
    """Return data as it is written in a line; nothing for None."""
    return "" if data is None else orjson.dumps(data).decode()


def _line(message: FromPod) -> str:
    if isinstance(message, ClientEvent):
        return f"{message.name} {shown(message.data)}"
    if isinstance(message, Failed):
        return f"error {message.problem.code}: {message.problem.message}"
    if isinstance(message, Receipted):
        return f"receipt {message.scope} {(message.answer or b'').decode()}"
    return type(message).__name__.lower()
