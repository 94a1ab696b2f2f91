"""For the tests of those who write rooms: pods, clients, faults, a history, and the simulator.

pytest finds the fixtures by itself (`deployd.testing.plugin`): `pod`, `cluster`, `client`,
`faults` and `history`. Tests that use them are of pytest-trio (`trio_mode`, or the mark `trio`).
`open_room` runs a room, `simulate` is a decorator. Nothing here is imported before somebody
asks for it: pytest loads the plugin in every project where deployd is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .faults import Faults
    from .guest import RoomGuest
    from .history import History, RecordedClient
    from .opening import open_room
    from .room import RoomUnderTest
    from .simulation import SimulationFailed, simulate
    from .story import SimulatedClient, Story

_WHERE = {
    "Faults": "faults",
    "History": "history",
    "SimulatedClient": "story",
    "SimulationFailed": "simulation",
    "RecordedClient": "history",
    "RoomGuest": "guest",
    "RoomUnderTest": "room",
    "Story": "story",
    "open_room": "opening",
    "simulate": "simulation",
}

__all__ = [
    "Faults",
    "History",
    "RecordedClient",
    "RoomGuest",
    "RoomUnderTest",
    "SimulatedClient",
    "SimulationFailed",
    "Story",
    "open_room",
    "simulate",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"deployd.testing has no {name!r}.")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)
