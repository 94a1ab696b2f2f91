"""What of the other pods' events is new here, and how many are known to be missing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ...transport.brokers import Envelope, Event

__all__ = ["Deduplicator"]

REMEMBERED_EVENTS: Final = 65_536
"""Events, at least, that are recognised when they come again: those in doubt when a link broke.
At most twice as many are kept."""
REMEMBERED_ROOMS: Final = 65_536
REMEMBERED_ORIGINS: Final = 1024
REMEMBERED_ORDERS: Final = 262_144
"""Rooms, pods in each, and pods in all rooms together, whose order is followed."""
LONGEST_GAP: Final = 999_999
"""Events that one hole counts as at most: a number that somebody made up must not stand above all
that a pod really missed."""


class Deduplicator:
    """Drops what comes again, counts what should have come: pure, and bounded.

    An event comes again when it says the same: the same pod, number, id, name, data and time. Its
    id or number alone are no sign of that, for clients see the one and whoever hears the broker
    the other: who says the next ones first would silence what comes under them.

    What came is kept as hashes (64 bits, of a key that each process draws) in two sets, and the
    older is thrown away when the younger is full: that costs a third of an ordered table that
    forgets one for each that comes.

    An origin numbers all it says in a room, whether the broker took it or not. So the first event
    after a hole tells how many this pod has missed, whoever lost them.
    """

    def __init__(self, pod_id: str) -> None:
        self._pod_id = pod_id
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._last: OrderedDict[str | None, dict[tuple[str, int], int]] = OrderedDict()
        self._orders = 0
        self.own = self.duplicates = self.missed = 0

    def admit(self, envelope: Envelope) -> list[Event]:
        """Return the events that are new here, in order."""
        if envelope.origin == self._pod_id:
            self.own += len(envelope.events)
            return []
        young, old = self._young, self._old
        source = hash((envelope.origin, envelope.epoch, envelope.room))
        fresh = []
        for event in envelope.events:
            # Faster than a slice. What a replay or a bridge marks is no part of what is said.
            said = hash((source, event[1], event[2], event[3], event[4], event[5]))
            if said in young or said in old:
                self.duplicates += 1
                continue
            young.add(said)
            fresh.append(event)
        if len(young) >= REMEMBERED_EVENTS:
            self._old, self._young = young, set()
        if fresh:
            self._follow(envelope, fresh)
        return fresh

    def forget(self, room: str | None) -> None:
        """Follow a room no longer: nobody here listens, so nothing can be missed."""
        self._orders -= len(self._last.pop(room, ()))

    def _follow(self, envelope: Envelope, fresh: list[Event]) -> None:
        origins = self._last.setdefault(envelope.room, {})
        self._last.move_to_end(envelope.room)
        self._orders -= len(origins)
        origin = (envelope.origin, envelope.epoch)
        last = origins.pop(origin, fresh[0].sequence - 1)
        for event in fresh:
            gap = event.sequence - last - 1
            if gap >= 0:
                last = event.sequence
            if gap > 0:
                self.missed += min(gap, LONGEST_GAP)
        origins[origin] = last
        if len(origins) > REMEMBERED_ORIGINS:
            del origins[next(iter(origins))]
        self._orders += len(origins)
        while len(self._last) > REMEMBERED_ROOMS or self._orders > REMEMBERED_ORDERS:
            self._orders -= len(self._last.popitem(last=False)[1])
