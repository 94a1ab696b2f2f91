"""How `open_room` runs a room: `pytest --rooms=…` chooses. It imports nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

__all__ = ["CHOICE", "RoomsAt", "RoomsChoice"]


class RoomsAt(Enum):
    """Where the rooms of tests run."""

    ALONE = "alone"
    """In pods without a port, and nothing but the room and its guests."""
    POD = "pod"
    """In pods that listen on free ports, with clients on sockets."""
    SIMULATOR = "simulator"
    """As alone, once for each of many seeds: chance, and the order of tasks, follow the seed."""


class RoomsChoice:
    """The one that is chosen now, and how many rooms were opened so far."""

    def __init__(self) -> None:
        self.now = RoomsAt.ALONE
        self.opened = 0

    @contextmanager
    def chosen(self, venue: RoomsAt) -> Iterator[None]:
        """Run rooms there for the length of the block."""
        before, self.now = self.now, venue
        try:
            yield
        finally:
            self.now = before


CHOICE: Final = RoomsChoice()
"""Of this process."""
