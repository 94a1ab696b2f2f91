"""The rooms that are wanted, over all connections, and what the pod has to be asked for. Pure.

What is wanted and what the pod knows are brought together by one request a room at a time, and a
bounded number of them in all. Times are seconds of a clock that never goes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Final

from attrs import define, frozen

from ..transport.protocols import JSON, Problem
from .endings import ASKED_CAP, LASTED, backoff

__all__ = ["PASSING", "Pace", "Step", "StepOutcome", "WantedRooms"]

PASSING: Final = frozenset({"timeout", "busy", "room_busy", "room_crashed", "cut_off"})
"""What the pod may answer differently in a moment, without anything else having changed."""
AT_ONCE: Final = 16
"""Joins and leaves that may be without an answer."""
PAUSE: Final = 1.0
"""Seconds that are waited at least after a pod has said that this is too fast."""
MOMENT: Final = 1.0
"""Seconds in which a pod says why it has put a client out, after it has said that it did."""


class Stand(Enum):
    """What the pod knows of a room."""

    OUT = "out"
    JOINING = "joining"
    IN = "in"
    LEAVING = "leaving"
    PUT_OUT = "put out"
    """The pod has said that we are out; whether for a reason that passes it says next."""


class StepOutcome(Enum):
    """What an answer came to."""

    ENTERED = "entered"
    LEFT = "left"
    REFUSED = "refused"
    """It is wanted no longer; who waits is to be told."""
    LATER = "later"
    """It is asked for again."""


@frozen
class Step:
    """What the pod is to be asked for: to let us into a room, or out of it.

    `data` is what the room is told of a join, `resume` what it gave us to come back with.
    """

    joins: bool
    room: str
    data: JSON = None
    resume: str | None = None


@define
class Pace:
    """How many requests may be out, and from when on.

    Half as many, and after a pause, once the pod has said that this is too fast; one more when all
    of them were answered.
    """

    at_once: float = AT_ONCE
    out: int = 0
    since: float = 0.0

    @property
    def free(self) -> int:
        """How many more may be asked for."""
        return max(0, int(self.at_once) - self.out)

    def answered(self) -> None:
        """Note an answer, whatever it was."""
        self.out -= 1
        self.at_once = min(AT_ONCE, self.at_once + 1 / self.at_once)

    def too_fast(self, now: float, retry_after: float | None) -> None:
        """Slow down: the pod has dropped something."""
        if now >= self.since:
            self.at_once = max(1.0, self.at_once / 2)
        self.since = max(self.since, now + min(max(retry_after or 0.0, PAUSE), ASKED_CAP))


@define
class WantedRoom:
    """One room. `data` is what it is told of the wish.

    `known` is whether we have been in it; `since` when we came in the last time.

    `failures` in a row, and `not_before` when it is to be asked for again.
    """

    name: str
    data: JSON = None
    stand: Stand = Stand.OUT
    wanted: bool = True
    known: bool = False
    since: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    resume: str | None = None
    """What brings us back to our place there, where the room keeps it."""
    reason: str = ""
    """Why the pod has put us out, as far as it has said."""
    gone: bool = False
    """The pod had put us out before it heard that we leave, or ended the room."""

    def fail(self, now: float, wait: float, retry_after: float | None) -> None:
        """Ask again no sooner than after this wait."""
        self.failures += 1
        asked = min(retry_after or 0.0, ASKED_CAP)
        self.stand, self.not_before = Stand.OUT, now + max(wait, asked)


class WantedRooms:
    """All of them, by name. `random` gives numbers in [0, 1)."""

    def __init__(self, random: Callable[[], float]) -> None:
        self.pace = Pace()
        self._random = random
        self._rooms: dict[str, WantedRoom] = {}

    @property
    def wanted(self) -> frozenset[str]:
        """The rooms that somebody wants to be in."""
        return frozenset(name for name, room in self._rooms.items() if room.wanted)

    @property
    def settled(self) -> bool:
        """Whether the pod has let us into every room that we have been in."""
        rooms = self._rooms.values()
        return all(room.stand is Stand.IN for room in rooms if room.wanted and room.known)

    def is_in(self, name: str) -> bool:
        """Say whether we are in a room, as far as we know."""
        room = self._rooms.get(name)
        return room is not None and room.stand is Stand.IN

    def is_known(self, name: str) -> bool:
        """Say whether we have been in a room, and want to be again."""
        room = self._rooms.get(name)
        return room is not None and room.known

    def keeps_place(self, name: str) -> bool:
        """Say whether a room keeps our place while the connection is lost."""
        room = self._rooms.get(name)
        return room is not None and room.wanted and room.resume is not None

    def placed(self, name: str, resume: str | None) -> None:
        """Note what brings us back to a room that has let us in; None where nothing does."""
        room = self._rooms.get(name)
        if room is not None:
            room.resume = resume

    def holds(self, name: str) -> bool:
        """Say whether anything is still to be done about a room."""
        return name in self._rooms

    # What the caller wants ----------------------------------------------------------------------

    def want(self, name: str, data: JSON = None) -> None:
        """Want to be in a room, from now on and over reconnections."""
        room = self._rooms.setdefault(name, WantedRoom(name))
        room.wanted, room.data = True, data
        room.not_before = 0.0
        if room.stand is Stand.PUT_OUT:  # whoever asks again need not hear why
            room.stand = Stand.OUT

    def unwant(self, name: str) -> None:
        """Want it no longer."""
        room = self._rooms.get(name)
        if room is None:
            return
        room.wanted = room.known = False
        if room.stand in (Stand.OUT, Stand.PUT_OUT):
            del self._rooms[name]

    # What the pod is asked ----------------------------------------------------------------------

    def due(self, now: float) -> list[Step]:
        """Return what is to be asked for now; each has to be `answered`, or all are `lost`."""
        if now < self.pace.since:
            return []
        steps: list[Step] = []
        for room in self._rooms.values():
            if len(steps) == self.pace.free:
                break
            if room.stand is Stand.OUT and room.not_before <= now:
                room.stand = Stand.JOINING
                steps.append(Step(True, room.name, room.data, room.resume))
            elif room.stand is Stand.IN and not room.wanted and room.not_before <= now:
                room.stand, room.gone = Stand.LEAVING, False
                steps.append(Step(False, room.name))
        self.pace.out += len(steps)
        return steps

    def next_at(self) -> float:
        """Return when to look again though nothing came: infinity for never."""
        times = [
            max(room.not_before, self.pace.since)
            for room in self._rooms.values()
            if room.stand is Stand.OUT or (room.stand is Stand.IN and not room.wanted)
        ]
        put_out = [room.not_before for room in self._rooms.values() if room.stand is Stand.PUT_OUT]
        # Who waits for a free place waits for an answer, and not for a time.
        return min(put_out + (times if self.pace.free else []), default=math.inf)

    def answered(self, step: Step, problem: Problem | None, now: float) -> StepOutcome:
        """Take the answer to a step: a problem, or none."""
        self.pace.answered()
        room = self._rooms[step.room]
        if problem is not None and problem.code == "too_fast":
            self.pace.too_fast(now, problem.retry_after)
            room.stand = Stand.OUT if step.joins or room.gone else Stand.IN
            return self._again(room)
        return self._joined(room, problem, now) if step.joins else self._left(room, problem, now)

    def _joined(self, room: WantedRoom, problem: Problem | None, now: float) -> StepOutcome:
        if problem is None:
            room.stand, room.since, room.known = Stand.IN, now, room.wanted
            return StepOutcome.ENTERED
        if room.known and room.wanted and problem.code in PASSING:
            room.fail(now, backoff(room.failures, self._random), problem.retry_after)
            return StepOutcome.LATER
        del self._rooms[room.name]
        return StepOutcome.REFUSED

    def _left(self, room: WantedRoom, problem: Problem | None, now: float) -> StepOutcome:
        room.stand = Stand.OUT
        if problem is not None and not room.gone and problem.code in PASSING:
            room.fail(now, backoff(room.failures, self._random), problem.retry_after)
            room.stand = Stand.IN  # it was not heard
            return StepOutcome.LATER
        return self._again(room) if room.wanted else self._forget(room)

    def _again(self, room: WantedRoom) -> StepOutcome:
        """Ask for what is wanted by now, unless that is nothing."""
        if room.stand is Stand.OUT and not room.wanted:
            return self._forget(room)
        return StepOutcome.LATER

    def _forget(self, room: WantedRoom) -> StepOutcome:
        del self._rooms[room.name]
        return StepOutcome.LEFT

    # What the pod does by itself ------------------------------------------------------------------

    def lost(self) -> None:
        """Note that the connection has ended: the pod knows of no room any more."""
        self.pace = Pace()
        for room in list(self._rooms.values()):
            room.stand, room.failures, room.not_before = Stand.OUT, 0, 0.0
            if not room.wanted:
                del self._rooms[room.name]

    def entered_late(self, name: str) -> None:
        """Note that we were let into a room that nobody waited for any more: it is to be left."""
        self._rooms.setdefault(name, WantedRoom(name, stand=Stand.IN, wanted=False))

    def put_out(self, name: str, reason: str, now: float) -> None:
        """Note that the pod has put us out of a room; whether to come back it says in a moment."""
        room = self._rooms.get(name)
        if room is not None and room.stand is Stand.LEAVING:
            room.gone = True
        elif room is not None and room.stand is Stand.IN and room.wanted:
            room.stand, room.not_before, room.reason = Stand.PUT_OUT, now + MOMENT, reason
        elif room is not None and room.stand is Stand.IN:
            del self._rooms[name]  # as it was to be

    def told(self, problem: Problem, now: float) -> bool:
        """Take a problem that answers nothing; say whether a room is lost by it."""
        if problem.code == "too_fast":
            self.pace.too_fast(now, problem.retry_after)
        room = self._rooms.get(problem.room or "")
        if room is None:
            return False
        if room.stand is Stand.PUT_OUT:
            if problem.code not in PASSING:
                return self._lose(room)
            lasted = now - room.since >= LASTED
            room.failures = 0 if lasted else room.failures
            room.fail(now, backoff(room.failures, self._random), problem.retry_after)
        elif problem.code == "room_closed" and room.stand is Stand.LEAVING:
            room.gone = True
        elif problem.code == "room_closed" and room.stand is Stand.IN:
            return self._lose(room)
        return False

    def unexplained(self, now: float) -> list[Problem]:
        """Return of which rooms we were put out without a reason that passes: they are lost."""
        over = [
            room
            for room in self._rooms.values()
            if room.stand is Stand.PUT_OUT and room.not_before <= now
        ]
        for room in over:
            self._lose(room)
        return [Problem("taken_out", _taken_out(room), room.name) for room in over]

    def _lose(self, room: WantedRoom) -> bool:
        del self._rooms[room.name]
        return room.wanted


def _taken_out(room: WantedRoom) -> str:
    why = room.reason or "you may no longer be in it"
    return f"The pod took you out of the room '{room.name}': {why}."
