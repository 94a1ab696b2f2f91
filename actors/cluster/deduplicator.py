"""What of the other pods' events is new here."""

from __future__ import annotations

from typing import Final

from ...transport import Event
from ...transport.brokers import Envelope

__all__ = ["Deduplicator"]

REMEMBERED_EVENTS: Final = 65_536
"""Events, at least, that are recognised when they come again: those in doubt when a link broke.
At most twice as many are kept."""


class Deduplicator:
    """Drops what comes again: pure, and bounded.

    An event comes again when it says the same: the same pod, number, id, name, data and time. Its
    id or number alone are no sign of that, for clients see the one and whoever hears the broker
    the other: who says the next ones first would silence what comes under them.

    What came is kept as hashes (64 bits, of a key that each process draws) in two sets, and the
    older is thrown away when the younger is full: that costs a third of an ordered table that
    forgets one for each that comes.
    """

    def __init__(self, pod_id: str) -> None:
        self._pod_id = pod_id
        self._young: set[int] = set()
        self._old: set[int] = set()
        self.own = self.duplicates = 0

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
        return fresh
