"""What of the other pods' events is new here, and how many are known to be missing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ...transport.brokers import Envelope, Remote

__all__ = ["Reception"]

REMEMBERED_IDS: Final = 65_536
"""Events, at least, that are recognised when they come again: those in doubt when a link broke.
At most twice as many are kept."""
REMEMBERED_ROOMS: Final = 65_536
REMEMBERED_ORIGINS: Final = 1024
"""Rooms, and pods in each, whose order is followed."""


class Reception:
    """Drops what comes again, counts what should have come: pure, and bounded.

    Ids are kept in two sets, and the older is thrown away when the younger is full: that costs a
    third of an ordered table that forgets one for each that comes.

    An origin numbers all it says in a room, whether the broker took it or not. So the first event
    after a hole tells how many this pod has missed, whoever lost them.
    """

    def __init__(self, pod_id: str) -> None:
        self._pod_id = pod_id
        self._young: set[str] = set()
        self._old: set[str] = set()
        self._last: OrderedDict[str | None, dict[tuple[str, int], int]] = OrderedDict()
        self.own = self.duplicates = self.missed = 0

    def admit(self, envelope: Envelope) -> list[Remote]:
        """Return the events that are new here, in order."""
        if envelope.origin == self._pod_id:
            self.own += len(envelope.events)
            return []
        young, old = self._young, self._old
        fresh = []
        for event in envelope.events:
            event_id = event.id
            if event_id in young or event_id in old:
                self.duplicates += 1
                continue
            young.add(event_id)
            fresh.append(event)
        if len(young) >= REMEMBERED_IDS:
            self._old, self._young = young, set()
        if fresh:
            self._follow(envelope, fresh)
        return fresh

    def forget(self, room: str | None) -> None:
        """Follow a room no longer: nobody here listens, so nothing can be missed."""
        self._last.pop(room, None)

    def _follow(self, envelope: Envelope, fresh: list[Remote]) -> None:
        origins = self._last.setdefault(envelope.room, {})
        self._last.move_to_end(envelope.room)
        if len(self._last) > REMEMBERED_ROOMS:
            self._last.popitem(last=False)
        origin = (envelope.origin, envelope.epoch)
        last = origins.pop(origin, fresh[0].sequence - 1)
        for event in fresh:
            if event.sequence > last:
                self.missed += event.sequence - last - 1
                last = event.sequence
        origins[origin] = last
        if len(origins) > REMEMBERED_ORIGINS:
            del origins[next(iter(origins))]
