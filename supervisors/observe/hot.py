"""Which rooms are hot: what each said and what it took, over the last minute. Bounded and cheap.

Messages and bytes are differences of what rooms count anyway, looked at every ten seconds. The
processor's time is sampled by the watchdog's thread, four times a second: rooms pay nothing for it,
and one that takes a twentieth of a core shows within the minute.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import Any, Final, TypeAlias

from attrs import frozen

from ...actors import Roster
from ...transport import JSON

__all__ = ["HotRoom", "HotRooms"]

SHOWN: Final = 10
NOTED: Final = 100
"""Rooms that are noted at a look: those with the most bytes."""
LOOKS: Final = 6
"""Looks that are kept: with one each ten seconds, a minute."""

_PREFIX: Final = "pod/rooms/"
_Counts: TypeAlias = tuple[int, int, int]
_NOTHING: Final[_Counts] = (0, 0, 0)


@frozen
class HotRoom:
    """A room, and what it did a second: events said, deliveries, their bytes.

    `processor` is the share of a core, 0 to 1, or None where nothing was sampled.
    """

    name: str
    events: float
    deliveries: float
    nbytes: float
    processor: float | None

    def to_json(self) -> JSON:
        """Return what root is shown."""
        return {
            "name": self.name,
            "events_per_second": round(self.events, 2),
            "deliveries_per_second": round(self.deliveries, 1),
            "bytes_per_second": round(self.nbytes),
            "processor": None if self.processor is None else round(self.processor, 3),
        }


@frozen
class _Stretch:
    """What happened since the look before, in so many seconds."""

    seconds: float
    grown: Mapping[str, _Counts]
    samples: int
    busy: Mapping[str, int]


class HotRooms:
    """Adds up what rooms did in the last looks: pure, the clock passed in (seconds)."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._counts: dict[str, _Counts] = {}
        self._looks: deque[_Stretch] = deque(maxlen=LOOKS)

    def look(
        self,
        rosters: Iterable[tuple[str, Roster[Any]]],
        samples: int,
        busy: Mapping[str, int],
        now: float,
    ) -> None:
        """Take how far each room has come, and which actors' paths so many samples found busy."""
        counts = {
            name: (roster.sequence, roster.deliveries, roster.delivered_bytes)
            for name, roster in rosters
        }
        before, self._counts = self._counts, counts
        at, self._at = self._at, now
        if at is None:
            return
        changed = (
            (name, _grown(count, before.get(name, _NOTHING)))
            for name, count in counts.items()
            if count != before.get(name, _NOTHING)
        )
        most = nlargest(NOTED, changed, key=lambda one: one[1][2])
        self._looks.append(_Stretch(now - at, dict(most), samples, busy))

    def hottest(self) -> list[HotRoom]:
        """Return those that did something, by the processor's time and the bytes, at most ten."""
        seconds = sum(look.seconds for look in self._looks)
        samples = sum(look.samples for look in self._looks)
        busy: Counter[str] = Counter()
        grown: dict[str, _Counts] = {}
        for look in self._looks:
            busy.update(look.busy)
            for name, more in look.grown.items():
                was = grown.get(name, _NOTHING)
                grown[name] = was[0] + more[0], was[1] + more[1], was[2] + more[2]
        working = {path.removeprefix(_PREFIX) for path in busy if path.startswith(_PREFIX)}
        rooms = []
        for name in grown.keys() | working:
            events, deliveries, nbytes = (
                count / seconds if seconds else 0.0 for count in grown.get(name, _NOTHING)
            )
            share = busy[_PREFIX + name] / samples if samples else None
            rooms.append(HotRoom(name, events, deliveries, nbytes, share))
        return nlargest(SHOWN, rooms, key=lambda one: (one.processor or 0.0, one.nbytes))


def _grown(now: _Counts, was: _Counts) -> _Counts:
    """Return the difference; a room that ended and began again counts from 0."""
    if now[0] < was[0] or now[1] < was[1]:
        return now
    return now[0] - was[0], now[1] - was[1], now[2] - was[2]
