"""What comes from the broker: the border between it and this pod's rooms.

Whoever reaches the broker may have sent it. It is proven (where there is a secret), measured, read,
and then asked whether it belongs where it came, in this order; what fails is counted by its fault
and changes nothing else here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from ...config import get_logger
from ...transport import EnvelopeError, EnvelopeFault, Event
from ...transport.brokers import (
    ENVELOPE_BYTES,
    SIGNATURE_BYTES,
    Acks,
    AskEcho,
    AskRooms,
    AskSince,
    Beat,
    Envelope,
    ForLink,
    RoomAnswer,
    RoomEntry,
    RoomQuery,
    Signer,
    unpack,
)
from ...transport.brokers.contract import EVERYONE, Channel, pod_channel, room_channel
from ...transport.protocols import Degraded, Gap, Healed
from .counters import Counters
from .deduplicator import Deduplicator
from .packing import MOST_BYTES
from .publication import CHARACTER, weight
from .sequences import Hole, Sequences

__all__ = ["Inbound", "Listeners"]

NAMES: Final = 2 * CHARACTER * 1024
"""Bytes that the names of a room and an event take at most."""
OVERHEAD: Final = ENVELOPE_BYTES + NAMES + SIGNATURE_BYTES
"""Bytes of a message that are not its events' data, but for a little with each event."""

_TOO_LARGE: Final = EnvelopeFault.TOO_LARGE
_REMEDIES: Final = {
    EnvelopeFault.UNSIGNED: "set broker.secret on every pod, and keep others off the broker",
    EnvelopeFault.FORGED: "set the same broker.secret on every pod, and keep others off the broker",
    EnvelopeFault.REPLAYED: "keep others off the broker",
    EnvelopeFault.STALE: "set the pods' clocks (NTP), or raise broker.replayWindow",
    EnvelopeFault.TOO_LARGE: "say less at a time, or raise limits.maxBufferBytes on every pod",
}

_log = get_logger("realtime")


class Listeners(Protocol):
    """Who is told: the pod's rooms and clients. Nothing here may raise."""

    def deliver(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        """Hand another pod's events to a room; return how many of the last find no place there."""

    async def deliver_in_turn(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        """Hand over the first, or all at once, when there is place; return how many are left."""

    def missed(self, room: str | None, count: int, since: float = math.inf) -> None:
        """Tell a room that so many events of other pods were not let in, said since then (unix)."""

    def gap(self, gap: Gap) -> None:
        """Tell a room of events that have not come, or that it hears everything again."""

    def rooms_of(self, query: RoomQuery) -> tuple[Sequence[RoomEntry], bool]:
        """Return which rooms of this pod are listed, and whether there are more."""

    def pods(self, counted: frozenset[str]) -> None:
        """Tell which other pods are taken to be there, whenever they are others."""

    def degraded(self, outage: Degraded) -> None:
        """Tell that the pods are cut off."""

    def healed(self, outage: Healed) -> None:
        """Tell that they are not any more."""


class Inner(Protocol):
    """Where what was let in goes. Nothing here may wait or raise."""

    def deliver(self, room: str | None, events: Sequence[Event], nbytes: int) -> object:
        """Hand another pod's events to a room."""

    def missed(self, room: str | None, count: int) -> None:
        """Tell a room that so many events of other pods were not let in."""


Wanted: TypeAlias = Callable[[Envelope, Sequence[Event]], None]


def _nothing_of_it(envelope: Envelope, fresh: Sequence[Event]) -> None:
    """Do nothing: nobody is told who has heard what."""


class Inbound:
    """Lets in what is good and new. Never waits, never raises.

    `rooms` says which room each channel is heard for: who is told of what is too large to be read.
    `wanted` learns of events of which their pod wants to know who has heard them.
    `largest` is what a client's buffer takes (bytes): one event above it would close every client
    that it went to. `seal` proves messages; without one everybody on the broker is believed.
    """

    def __init__(
        self,
        pod_id: str,
        inner: Inner,
        counters: Counters,
        deduplicator: Deduplicator,
        sequences: Sequences,
        wall: Callable[[], float],
        rooms: Mapping[Channel, str | None],
        largest: int,
        seal: Signer | None = None,
        wanted: Wanted = _nothing_of_it,
    ) -> None:
        self._inner = inner
        self._counters = counters
        self._deduplicator = deduplicator
        self._sequences = sequences
        self._wall = wall
        self.holes: list[Hole] = []
        """What was found to be missing, for the link to tell."""
        self._rooms = rooms
        self._largest = largest
        self._wanted = wanted
        self._seal = seal
        self._own_channel = pod_channel(pod_id)

    def receive(self, channel: Channel, payload: bytes) -> ForLink | None:
        """Take what came on a channel; return what is for the link itself, and for no room."""
        try:
            if self._seal is not None:
                self._seal.verify(channel, payload)
            self._measure(channel, len(payload))
            return self._take(channel, unpack(payload), len(payload))
        except EnvelopeError as error:
            self.refuse(channel, error)
        return None

    def refuse(self, channel: Channel, error: EnvelopeError) -> None:
        """Count a message that is not let in, and say so: the first of its kind, then ever less."""
        refused = self._counters.refused
        refused[error.fault] += 1
        if refused[error.fault].bit_count() == 1:  # the first, and each time the number doubles
            _log.warning(
                "dropped what is not a pod's message",
                fault=error.fault.value,
                reason=str(error),
                channel=channel,
                dropped=refused[error.fault],
                remedy=_REMEDIES.get(error.fault, "keep others off the broker's prefix"),
            )

    def _measure(self, channel: Channel, nbytes: int) -> None:
        """Refuse what would not even be read; how many events it holds is not known."""
        if nbytes > max(self._largest, MOST_BYTES) + OVERHEAD:
            self._declare(channel, 1)
            raise EnvelopeError("it is larger than all messages of pods", _TOO_LARGE)

    def _take(
        self,
        channel: Channel,
        message: Envelope | ForLink,
        nbytes: int,
    ) -> ForLink | None:
        if isinstance(message, Envelope):
            self._admit(channel, message, nbytes)
            return None
        if isinstance(message, Beat) and channel not in (EVERYONE, self._own_channel):
            raise EnvelopeError("it is a greeting where events belong", EnvelopeFault.MISPLACED)
        if isinstance(message, AskRooms) and channel != EVERYONE:
            raise EnvelopeError("it asks all pods, and came to one", EnvelopeFault.MISPLACED)
        for_one = isinstance(message, AskSince | AskEcho | Acks | RoomAnswer)
        if for_one and channel != self._own_channel:
            raise EnvelopeError("it is for one pod, and came to many", EnvelopeFault.MISPLACED)
        return message

    def _admit(self, channel: Channel, envelope: Envelope, nbytes: int) -> None:
        room, events = envelope.room, envelope.events
        if channel != room_channel(room):
            raise EnvelopeError("it is for another room than it came to", EnvelopeFault.MISPLACED)
        if len(events) > 1 and nbytes > MOST_BYTES + OVERHEAD:
            self._declare(channel, len(events))
            raise EnvelopeError("it joins more than pods join in a message", _TOO_LARGE)
        fresh = self._deduplicator.admit(envelope)
        if fresh:
            fresh = self._sequences.in_order(envelope, fresh)
        if fresh:
            hole = self._sequences.follow(envelope, fresh, self._wall())
            if hole is not None:
                self.holes.append(hole)
        if nbytes > self._largest - NAMES:
            fresh = self._without_large(channel, room, fresh)
        if fresh:
            self._counters.received += len(fresh)
            if envelope.wants:
                self._wanted(envelope, fresh)
            self._inner.deliver(room, fresh, nbytes)

    def _without_large(
        self, channel: Channel, room: str | None, events: list[Event]
    ) -> list[Event]:
        """Leave out what no client's buffer takes. One event alone may come close to that."""
        spare = self._largest - CHARACTER * len(room or "")
        fit = [event for event in events if weight(event.name, event.encoded) <= spare]
        if len(fit) < len(events):
            self._declare(channel, len(events) - len(fit))
            self.refuse(channel, EnvelopeError("an event of it is too large", _TOO_LARGE))
        return fit

    def _declare(self, channel: Channel, count: int) -> None:
        if channel in self._rooms:
            self._counters.undelivered += count
            self._inner.missed(self._rooms[channel], count)
