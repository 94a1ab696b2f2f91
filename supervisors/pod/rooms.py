"""The part of a pod's tree that holds the rooms: one actor a room, and that of everyone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ...actors import (
    ActorCell,
    DeadLetters,
    Member,
    Room,
    RoomEnvironment,
    RoomFactory,
    Rooms,
    Roster,
)
from ..backoff import Backoff
from ..child import ChildSpec
from ..dynamic import DynamicSupervisor
from ..restart import Intensity, Restart

__all__ = ["Everyone", "RoomTree"]

BACKOFF: Final = Backoff(base=0.01, cap=0.25, reset_after=5.0)
"""Short, for what crashed a room is gone with the message; members wait meanwhile."""

INTENSITY: Final = Intensity(restarts=60, period=10.0)
"""A room that fails on everything crashes some 80 times in 10 s at that backoff and is given up;
one that fails on a message in a hundred, at a thousand messages a second, some 45 times."""

SHUTDOWN: Final = 5.0
"""Seconds a room may take for its last message and its `on_stop`."""


class Everyone(Room):
    """The room of all connections, which `emit_to_all` speaks to. Nobody joins or leaves it."""

    keep_alive = True


class RoomTree:
    """Builds the rooms of a pod; its `children` are the root's.

    `bindings` say of which class a room is, by the pattern of its name. `members` are all
    connections by client id: `everyone` is their room, and its roster they.
    """

    def __init__(
        self,
        bindings: Mapping[str, RoomFactory],
        environment: RoomEnvironment,
        dead_letters: DeadLetters,
        members: dict[str, Member],
    ) -> None:
        self.supervisor = DynamicSupervisor("pod/rooms", intensity=INTENSITY)
        start = partial(_start, self.supervisor)
        self.directory = Rooms(bindings, environment, dead_letters, start)
        self.roster: Roster[None] = Roster(name=None, members=members)
        self._everyone = self.directory.cell("pod/everyone", Everyone, self.roster)
        self.everyone = self._everyone.ref

    def children(self) -> list[ChildSpec]:
        """Return the specifications of the rooms' supervisor, and of the room of everyone."""
        return [
            ChildSpec("rooms", lambda _: self.supervisor, shutdown=2 * SHUTDOWN),
            ChildSpec("everyone", lambda _: self._everyone, backoff=BACKOFF, tireless=True),
        ]


def _start(
    supervisor: DynamicSupervisor, name: str, make_cell: Callable[[str], ActorCell[Any]]
) -> None:
    supervisor.start_child(
        ChildSpec(name, make_cell, restart=Restart.TRANSIENT, shutdown=SHUTDOWN, backoff=BACKOFF)
    )
