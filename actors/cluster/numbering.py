"""The numbers of what a pod says in each room, and what of them the others have not been told."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

from attrs import define

from ...transport.brokers import Mark, may_be_said

__all__ = ["Numbering"]

NUMBERED_ROOMS: Final = 65_536
"""Rooms whose events are numbered; beyond it the ones silent for longest begin anew."""
MOST_ANSWERED: Final = 4096
"""Marks that a pod which missed beats is told: the last ones."""
MOST_TOLD: Final = 8192
"""Marks that are remembered for those who missed them."""


@define
class _Said:
    """A room's last number, and what the others know of it: as of the beat `told_in`.

    `first_at` is when the first of those was said that they do not know, in steady seconds.
    """

    last: int = 0
    told: int = 0
    told_in: int = 0
    first_at: float = 0.0
    last_at: float = 0.0


class _Record(NamedTuple):
    """What a beat told of a room: first and last number, and when (steady s) each was said."""

    beat: int
    room: str | None
    first: int
    last: int
    first_at: float
    last_at: float


class Numbering:
    """Numbers a pod's events in each room, those too that are lost here: receivers then know.

    `now` is in seconds of any steady clock. `beat` counts the beats that told of any.
    """

    __slots__ = ("_said", "_told", "_untold", "beat")

    def __init__(self) -> None:
        self._said: OrderedDict[str | None, _Said] = OrderedDict()
        self._untold: dict[str | None, None] = {}
        self._told: deque[_Record] = deque(maxlen=MOST_TOLD)
        self.beat = 0

    def next(self, room: str | None, now: float) -> int:
        """Return the number of the next event in a room, from 1 on."""
        said = self._said.get(room)
        if said is None:
            said = self._said[room] = _Said()
            if len(self._said) > NUMBERED_ROOMS:
                self._untold.pop(self._said.popitem(last=False)[0], None)
        else:
            self._said.move_to_end(room)
        number = said.last = said.last + 1
        said.last_at = now
        if number == said.told + 1:
            said.first_at = now
            self._untold[room] = None
        return number

    def last(self, room: str | None) -> int:
        """Return the last number that was given in a room; 0 for none."""
        said = self._said.get(room)
        return 0 if said is None else said.last

    def untold(self, now: float, held: Callable[[str | None], bool]) -> float:
        """Return for how many seconds something has been said that no beat has told of, or 0."""
        for room in self._untold:
            if not held(room):
                return max(0.0, now - self._said[room].first_at)
        return 0.0

    def marks(self, now: float, most: int, held: Callable[[str | None], bool]) -> tuple[Mark, ...]:
        """Return what the next beat tells of, `most` rooms, under a number of its own.

        What is said in a room that is `held` still waits here: who was told its number would take
        it for lost. Such a room is told of when it is held no more.
        """
        marks = []
        for room in [room for room in self._untold if not held(room)][:most]:
            del self._untold[room]
            said = self._said[room]
            if may_be_said(room, "created"):  # else it never leaves this pod
                ages = max(0.0, now - said.first_at), max(0.0, now - said.last_at)
                first = said.told + 1 if said.told < said.last else 0
                marks.append(Mark(room, first, said.last, *ages))
                times = said.first_at, said.last_at
                self._told.append(_Record(self.beat + 1, room, first, said.last, *times))
            said.told, said.told_in = said.last, self.beat + 1
        self.beat += 1
        return tuple(marks)

    def since(
        self, beat: int, now: float, held: Callable[[str | None], bool], *, until: int
    ) -> list[Mark]:
        """Return how far this pod has come in each room of which a later beat has told.

        Those after `until` have not been said yet. A beat that was lost with its connection may
        have told of what is `held` by now: that is told anew when it is not any more.
        """
        # Beat by beat: who has come into a room meanwhile must know what was said after that.
        marks, known = list[Mark](), set[str | None]()
        for told in reversed(self._told):
            if told.beat <= beat or len(marks) >= MOST_ANSWERED:
                break
            if told.beat > until:
                continue
            known.add(told.room)
            if not held(told.room):
                ages = max(0.0, now - told.first_at), max(0.0, now - told.last_at)
                marks.append(Mark(told.room, told.first, told.last, *ages))
        marks.reverse()
        for room, said in reversed(self._said.items()):
            if said.told_in <= beat:
                continue
            if held(room):
                self._untold[room] = None
            elif said.told_in > until or room in known or len(marks) >= MOST_ANSWERED:
                continue
            elif may_be_said(room, "created"):
                age = max(0.0, now - said.last_at)
                marks.append(Mark(room, 0, said.told, age, age))
        return marks
