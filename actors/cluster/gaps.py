"""The holes that rooms have been told of, until they are known to hear everything again: pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve

from ...transport.protocols import Gap
from .sequences import Hole

__all__ = ["Gaps"]

MOST_OPEN: Final = 4096
"""Rooms whose end of a gap is told; of more only the beginning is."""


class Gaps:
    """Which rooms have a gap."""

    def __init__(self) -> None:
        self._open: dict[str | None, Gap] = {}

    def __len__(self) -> int:
        return len(self._open)

    def found(self, hole: Hole) -> Gap:
        """Take a hole; return what the room is told: all that it missed since this gap began."""
        before = self._open.get(hole.room)
        if before is None:
            gap = Gap(hole.room, hole.missed, hole.since)
        else:
            missed = before.missed + hole.missed
            gap = Gap(hole.room, missed, min(before.since, hole.since))
        if before is not None or len(self._open) < MOST_OPEN:
            self._open[hole.room] = gap
        return gap

    def forget(self, room: str | None) -> None:
        """Tell a room nothing more: nobody is in it."""
        self._open.pop(room, None)

    def whole(self, wall: float, is_whole: Callable[[str | None], bool]) -> list[Gap]:
        """Return the gaps that are over, by a function of their room; `wall` is unix seconds."""
        over = [room for room in self._open if is_whole(room)]
        return [evolve(self._open.pop(room), whole_at=wall) for room in over]
