"""How far the other pods have come in each room, as heard and as they say: what is missing here."""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from attrs import define, evolve, frozen

from ...transport import Event
from ...transport.brokers import Beat, Envelope

__all__ = ["Hole", "Sequences"]

REMEMBERED_ROOMS: Final = 65_536
REMEMBERED_ORIGINS: Final = 1024
REMEMBERED_ORDERS: Final = 262_144
"""Rooms, pods in each, and pods in all rooms together, whose order is followed."""
LONGEST_GAP: Final = 999_999
"""Events that one hole counts as at most: a number that somebody made up must not stand above all
that a pod really missed."""
MOST_SUSPECTED: Final = 16_384
"""Holes that may be waited for; beyond it the oldest are taken for what they seem."""
GRACE: Final = 1.0
"""Seconds that an event may be on its way longer than the beat that tells of it, for it may have
a way of its own: so one that was said a second before the beat is not awaited any more."""
LATEST: Final = 30.0
"""Seconds that an event may be late at most: a clock that was set back proves nothing."""
SLACK: Final = 0.25
"""Seconds, at least, before what is known: an event was said before it, or word of it, came."""

_Origin: TypeAlias = tuple[str, int]


@frozen
class Hole:
    """So many events of a room were said by another pod and have not come. `since` is unix s."""

    room: str | None
    missed: int
    since: float


@define
class _Progress:
    """The first and last number of a pod in a room since that is followed; when that was said.

    `time` is that by the pod's own clock.
    """

    first: int
    last: int
    at: float
    time: float = -math.inf


@define
class _Voice:
    """How far the clock of a pod is behind this one's, and how late its last beat was (s)."""

    behind: float = math.inf
    late: float = 0.0


@frozen
class _Suspicion:
    room: str | None
    origin: _Origin
    first: int
    last: int
    since: float
    began: float


class Sequences:
    """Counts what should have come: pure, and bounded.

    An origin numbers all it says in a room, whether the broker took it or not. So the first event
    after a hole tells how many this pod has missed, whoever lost them; and where nothing comes
    after it, the origin's next beat does. `now` is steady seconds, `wall` unix seconds.
    """

    def __init__(self, way: Callable[[], float] = lambda: 0.0) -> None:
        """Follow nothing yet; `way` says how long (s) what this pod says to itself is under way."""
        self._way = way
        self._orders: OrderedDict[str | None, dict[_Origin, _Progress]] = OrderedDict()
        self._count = 0
        self._voices: OrderedDict[_Origin, _Voice] = OrderedDict()
        self._entered: dict[str | None, float] = {}
        self._suspected: list[tuple[float, int, _Suspicion]] = []  # a heap, by when they are due
        self._suspicions = 0
        self.missed = 0

    def entered(self, room: str | None, now: float) -> None:
        """Follow a room: from now on whatever is said there is owed to this pod."""
        self._entered.setdefault(room, now)

    def forget(self, room: str | None) -> None:
        """Follow a room no longer: nobody here listens, so nothing can be missed."""
        self._entered.pop(room, None)
        self._count -= len(self._orders.pop(room, ()))

    def doubts(self, room: str | None) -> bool:
        """Whether something of a room is awaited that may be lost."""
        return any(suspicion.room == room for _, _, suspicion in self._suspected)

    def in_order(self, envelope: Envelope, events: list[Event]) -> list[Event]:
        """Return what others have not overtaken: the rest is told to be missed, or will be.

        What a frozen server did not give up may come when its pod has said more elsewhere. A lower
        number alone is no sign of that, for others may make up a high one: it was said sooner, too.
        """
        order = self._orders.get(envelope.room, {}).get((envelope.origin, envelope.epoch))
        if order is None or events[0].sequence > order.last:
            return events
        return [one for one in events if one.sequence > order.last or one.time > order.time]

    def follow(self, envelope: Envelope, fresh: Sequence[Event], wall: float) -> Hole | None:
        """Note events that have come; return what is missing before or among them."""
        room, origin = envelope.room, (envelope.origin, envelope.epoch)
        order = self._progress(room, origin, fresh[0].sequence, wall)
        last, missed, since = order.last, 0, order.at
        if fresh[-1].sequence > last:
            order.time = fresh[-1].time
        for event in fresh:
            gap = event.sequence - last - 1
            if gap >= 0:
                last = event.sequence
            if gap > 0:
                missed += min(gap, LONGEST_GAP)
        order.last, order.at = last, self._said(origin, fresh[-1].time, wall)
        if not missed:
            return None
        self.missed += missed
        return Hole(room, missed, since - self._slack())

    def marked(self, beat: Beat, now: float, wall: float, late: float) -> list[str | None]:
        """Take what a beat tells of the rooms that are followed; return those that lack something.

        What lacks is not a hole yet: an event may be on its way still. `late` is how many seconds
        longer than others this beat was on its way.
        """
        lacking = []
        origin, then = (beat.origin, beat.epoch), now - late
        self._voice(origin).late = late
        for room, first, last, first_age, last_age in beat.marks:
            entered = self._entered.get(room)
            if entered is None:
                continue
            order = self._orders.get(room, {}).get(origin)
            if order is not None and order.last >= last and (first >= order.first or not first):
                continue
            if then - last_age <= entered:
                continue  # all of it was said before anybody here was to hear it
            begins = first if first and then - first_age > entered else last
            if order is None or begins < order.first:
                owed = begins
            elif order.last < last:
                owed = order.last + 1
            else:
                continue
            since = wall - late - first_age
            if order is not None and owed < first:  # a beat was missed that told of these
                since = min(since, order.at)
            whole = _Suspicion(room, origin, owed, last, since - self._slack(), now)
            if owed < last:  # the oldest of them is due first, and shows that there is a hole
                self._suspect(evolve(whole, last=owed), now + GRACE - first_age)
            self._suspect(whole, now + GRACE - last_age)
            lacking.append(room)
        return lacking

    def due(self, now: float) -> list[Hole]:
        """Return what was awaited long enough: it is missed."""
        holes = []
        suspected = self._suspected
        while suspected and (suspected[0][0] <= now or len(suspected) > MOST_SUSPECTED):
            _, _, suspicion = heapq.heappop(suspected)
            entered = self._entered.get(suspicion.room)
            if entered is None or entered > suspicion.began:
                continue  # who was to hear it has left
            hole = self._judge(suspicion)
            if hole is not None:
                holes.append(hole)
        return holes

    # Inside ----------------------------------------------------------------------------------

    def _slack(self) -> float:
        return max(SLACK, self._way())

    def _said(self, origin: _Origin, time: float, wall: float) -> float:
        """Return when (unix s, here) something was said at a time of its origin's clock.

        What came fastest shows how far the clocks are apart; other things were longer on the way.
        What comes behind a beat that is late is as late, or a beat's interval less.
        """
        voice = self._voice(origin)
        voice.behind = min(voice.behind, wall - voice.late - time)
        return max(wall - LATEST, time + voice.behind)

    def _voice(self, origin: _Origin) -> _Voice:
        voice = self._voices.get(origin)
        if voice is None:
            voice = self._voices[origin] = _Voice()
            if len(self._voices) > REMEMBERED_ORIGINS:
                self._voices.popitem(last=False)
        return voice

    def _suspect(self, suspicion: _Suspicion, due: float) -> None:
        self._suspicions += 1
        heapq.heappush(self._suspected, (due, self._suspicions, suspicion))

    def _judge(self, suspicion: _Suspicion) -> Hole | None:
        room, first, since = suspicion.room, suspicion.first, suspicion.since
        order = self._progress(room, suspicion.origin, first, since)
        before = max(0, order.first - first)
        missed = before + max(0, suspicion.last - order.last)
        order.first = min(order.first, first)
        order.last = max(order.last, suspicion.last)
        missed = min(missed, LONGEST_GAP)
        self.missed += missed
        return Hole(room, missed, since) if missed else None

    def _progress(self, room: str | None, origin: _Origin, first: int, at: float) -> _Progress:
        """Return how far a pod has come in a room, begun at a number where it is new here."""
        orders = self._orders.setdefault(room, {})
        self._orders.move_to_end(room)
        order = orders.pop(origin, None)
        if order is None:
            self._count += 1
            order = _Progress(first, first - 1, at)
        orders[origin] = order
        if len(orders) > REMEMBERED_ORIGINS:
            del orders[next(iter(orders))]
            self._count -= 1
        while len(self._orders) > REMEMBERED_ROOMS or self._count > REMEMBERED_ORDERS:
            self._count -= len(self._orders.popitem(last=False)[1])
        return order
