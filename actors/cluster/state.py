"""What a link decides: pure. Events go in, effects come out, and what time it is is told.

    attempted ─► proven × 3 ─► replay … replay_confirmed ─► healed
        ▲                          │                           │ the road is open
        └─── tripped, stopped ◄────┴──────────◄────────────────┘

An event of a room is numbered, then admitted: it goes to the link's outbox, waits in the buffer, or
stays on this pod. It is counted once when its fate is known. What the link has taken out of the
outbox is in flight until the broker has confirmed it; what a link leaves is taken back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from attrs import frozen

from ...config import Broker as BrokerSettings
from ...config import FailurePolicy, PatternMap
from ...transport import Event, Problem, Scope
from ...transport.brokers import EVENT_BYTES
from ...transport.protocols import Degraded, Healed, OutageCode
from .breaker import Breaker
from .counters import Counters
from .membership import Peers
from .numbering import Numbering
from .outages import OutageHistory
from .publication import CHARACTER, Buffer, Publication, Settle, weight

__all__ = ["Effect", "LinkState", "Settled", "StillAway"]


@frozen
class Settled:
    """These events have got so far; whoever waits for that is to be told.

    `in_doubt` is whether other pods may have them all the same.
    """

    publications: Sequence[Publication]
    scope: Scope
    in_doubt: bool = False


@frozen
class StillAway:
    """An outage of which all know goes on for another reason: to be written down."""

    reason: str


Effect: TypeAlias = Settled | StillAway | Degraded | Healed


class LinkState:
    """Where a link stands, over all its incarnations.

    `now` is always seconds of a steady clock, `wall` unix seconds. `largest` are the bytes of one
    event that a client's buffer takes, `limit` those that one event's data may have on the broker,
    set when a connection knows it. `tried` is whether the first try is over.
    """

    def __init__(
        self,
        pod_id: str,
        settings: BrokerSettings,
        message_ttl: float,
        largest: int,
        now: float,
        wall: float,
    ) -> None:
        self.breaker = Breaker(auth_retry=settings.auth_retry)
        self.history = OutageHistory()
        self.counters = Counters()
        self.peers = Peers(pod_id)
        self.buffer = Buffer(settings.buffer_messages, settings.buffer_bytes, message_ttl)
        self.in_flight: list[Publication] = []
        self.replaying: list[Publication] = []
        self.limit: float = math.inf
        self.tried = False
        self.was_refused = False
        # Who comes before the first try is over must know that it may miss something.
        self.outage: Degraded | None = Degraded(OutageCode.STARTING, wall, self.breaker.reason)
        self.pod_id = pod_id
        self._largest = largest
        self._policy = settings.policy
        self._policies = PatternMap(settings.policies)
        self.numbering = Numbering()
        # Nothing is in the way: what most events meet, so they need ask nothing else. It is not so
        # while the breaker is open, nor while what is buffered must not be overtaken.
        self._open_road = False
        self._proven, self._proven_at = now, wall
        self._ended = False

    # What a room says ------------------------------------------------------------------------

    @property
    def degraded(self) -> Degraded | None:
        """What keeps this pod from hearing all others: an outage of the link, or of some of them.

        It is what a client that comes now is told.
        """
        return self.outage or self.peers.partition

    def held(self, room: str | None) -> bool:
        """Whether what is said in a room may wait here: its numbers are not for the others yet."""
        return not self._open_road and self.policy(room) is FailurePolicy.BUFFER

    def kept_for(self, now: float) -> float:
        """Return how long (seconds) the oldest event waits for a replay, or is being replayed."""
        replaying = [now - one.born for one in self.replaying[:1]]
        return max([0.0, self.buffer.age(now), *replaying])

    def policy(self, room: str | None) -> FailurePolicy:
        """Return what an outage means for a room."""
        if room is None:
            return self._policy
        return self._policies.match(room) or self._policy

    def refusal(self, room: str | None, nbytes: int) -> Problem | None:
        """Say why an emit must not be accepted at all, or None: asked before anybody hears it."""
        limit = min(self.limit, self._largest - EVENT_BYTES)
        if nbytes > limit:
            return Problem(
                "too_large",
                f"An event for other pods may have {limit} bytes and this one has more; "
                "send less at a time.",
            )
        if self._open_road or self.breaker.closed:
            return None
        if self.policy(room) is FailurePolicy.REJECT:
            return Problem(
                "cut_off",
                "The other pods cannot be reached and this room rejects what not all would hear; "
                "try again when 'system:healed' comes.",
            )
        return None

    def outlook(self, room: str | None) -> Scope:
        """Return how far an emit will have got at first, before the broker has confirmed it."""
        if self.breaker.closed or self.policy(room) is FailurePolicy.BUFFER:
            return Scope.QUEUED
        return Scope.LOCAL

    def number(self, said: Event, settle: Settle | None, now: float) -> Publication:
        """Give an event its number among this pod's in the room, whatever becomes of it."""
        room, name, encoded, event_id, _, time, *_ = said
        numbered = (
            *(room, name, encoded, event_id, self.numbering.next(room, now), time),
            *(self.pod_id, 0, 0),
        )
        # Past the generated constructors, which take as long again: each event that goes is two.
        event = tuple.__new__(Event, numbered)
        return tuple.__new__(Publication, (event, now, weight(name, encoded), settle))

    def admit(self, publication: Publication) -> Scope | None:
        """Decide on an event: None where it has to go to the outbox, else how far it has got."""
        event = publication.event
        room = event.room
        if len(event.encoded) > self.limit or (
            publication.nbytes + CHARACTER * len(room or "") > self._largest
        ):
            self.counters.too_large += 1
            return Scope.LOCAL
        if self._open_road:
            return None
        if self.policy(room) is FailurePolicy.BUFFER:
            return self._keep(publication, publication.born)
        if self.breaker.closed:
            return None
        self.counters.cut_off += 1
        return Scope.LOCAL

    def overflowed(self) -> Scope:
        """Count an event that was admitted and found the outbox full."""
        self.counters.overflowed += 1
        return Scope.LOCAL

    def unspeakable(self) -> int:
        """Count an event that no other pod would take; return how many those are."""
        self.counters.unspeakable += 1
        return self.counters.unspeakable

    # What a connection does ------------------------------------------------------------------

    def attempted(self, now: float) -> None:
        """Note that a new connection is being tried."""
        self.breaker = self.breaker.attempted(now)

    def proven(self, now: float, wall: float, round_trip: float) -> None:
        """Note that a canary came back after so many seconds.

        What the broker took after it was sent may still be on its way here.
        """
        self.counters.round_trip = round_trip
        self._proven, self._proven_at = now - round_trip, wall - round_trip
        was_closed = self.breaker.closed
        self.breaker = self.breaker.proven(now)
        if self.breaker.closed and not was_closed:
            self.tried = True
            self.counters.connects += 1
            self._open_road = not self.buffer
            self.peers.begin(now)

    def seconds_deaf(self, now: float) -> float:
        """Return the seconds since the link was last proven; 0 while the breaker is closed."""
        return 0.0 if self.breaker.closed else now - self._proven

    def taken(self, publications: Iterable[Publication]) -> None:
        """Note what has left the outbox: in flight until it is confirmed or taken back."""
        self.in_flight += publications

    def confirmed(
        self,
        publications: Sequence[Publication],
        too_large: Sequence[Publication],
        denied: Sequence[Publication] = (),
    ) -> list[Effect]:
        """Note what of that in flight the broker has taken, and what it never will: all of it."""
        self.in_flight = []
        # The broker has it; but where nobody who is known hears anything, that reaches no pod.
        alone = self.peers.partition is not None and not self.peers.heard
        if alone:
            self.counters.cut_off += len(publications)
        else:
            self.counters.published += len(publications)
        self.counters.too_large += len(too_large)
        self.counters.denied += len(denied)
        never = [*too_large, *denied]
        effects: list[Effect] = [Settled(never, Scope.LOCAL)] if never else []
        scope = Scope.LOCAL if alone else Scope.CLUSTER
        return [*effects, Settled(publications, scope, in_doubt=alone)]

    def replay(self, now: float, max_messages: int, max_bytes: int) -> Sequence[Publication]:
        """Take the oldest of what waited, to be said again; empty when nothing waits."""
        self._expire(now)
        self.replaying = self.buffer.take(max_messages, max_bytes)
        return self.replaying

    def replay_confirmed(
        self,
        publications: Sequence[Publication],
        too_large: Sequence[Publication],
        denied: Sequence[Publication] = (),
    ) -> None:
        """Note what of the replay the broker has taken: whoever waited was told `queued`."""
        self.replaying = []
        self.counters.published += len(publications)
        self.counters.replayed += len(publications)
        self.counters.too_large += len(too_large)
        self.counters.denied += len(denied)

    def healed(self, wall: float, missed: int, unheard: int = 0) -> list[Effect]:
        """End the outage: the link is proven and nothing waits, so events go straight on again.

        `missed` is what has not come from other pods since the pod started, `unheard` how many
        pods that were known were not back when what waited was replayed.
        """
        if not self.breaker.closed or self.buffer or self.replaying:
            return []
        self._open_road, self.was_refused = True, False
        outage, self.outage = self.outage, None
        if outage is None:
            return []
        seconds = max(0.0, wall - outage.since)
        figures = self.counters.outage(missed)
        healed = Healed(outage.since, seconds, *figures, code=outage.code, unheard=unheard)
        # It ends what was told of missing pods too, and some may have been found missing since the
        # link closed.
        partition = self.peers.partition
        return [healed] if partition is None else [healed, partition]

    # How a connection ends -------------------------------------------------------------------

    def tripped(
        self,
        now: float,
        wall: float,
        reason: str,
        *,
        refused: bool = False,
        missed: int = 0,
        waiting: Iterable[Publication] = (),
    ) -> list[Effect]:
        """Go on alone after a failure. `waiting` is what the outbox held.

        What was in flight or being replayed may have been taken or not. What is buffered goes out
        again when the link heals, and whoever has it already drops it.
        """
        was = self.breaker
        self.breaker = was.tripped(now, reason, refused=refused)
        self.tried = True
        self.was_refused |= refused
        self.counters.trips += was.closed
        effects: list[Effect] = []
        since = self.peers.lost(self._proven_at)
        if self.outage is None or self.outage.code is OutageCode.STARTING:
            self.outage = Degraded(OutageCode.CUT_OFF, since, reason)
            self.counters.begin_outage(missed)
            effects.append(self.outage)
        elif was.reason != reason:
            effects.append(StillAway(reason))
        return [*effects, *self._take_back(now, waiting)]

    def stopped(self, now: float, waiting: Iterable[Publication] = ()) -> list[Effect]:
        """Take back what a link leaves that has not failed but was told to stop, or killed."""
        if self.breaker.closed:
            self.breaker = self.breaker.tripped(now, "the link has stopped")
        return self._take_back(now, waiting)

    def ended(self) -> list[Publication]:
        """Take out what waits, for there will be no other connection; nothing is kept any more."""
        self._ended = True
        return self.buffer.take(len(self.buffer), self.buffer.nbytes)

    def lost(self, count: int) -> None:
        """Count what waited and will never be said."""
        self.counters.cut_off += count

    def handed_on(self, said: int, expired: int) -> None:
        """Note what of an earlier life of this pod was said now, and what was too old for it."""
        self.counters.published += said
        self.counters.replayed += said
        self.counters.expired += expired

    # Inside ----------------------------------------------------------------------------------

    def _keep(self, publication: Publication, now: float) -> Scope:
        self._expire(now)
        if self._ended:
            self.counters.cut_off += 1
            return Scope.LOCAL
        if self.buffer.add(publication):
            self.counters.buffered += 1
            return Scope.QUEUED
        return self.overflowed()

    def _expire(self, now: float) -> None:
        self.counters.expired += len(self.buffer.expire(now))

    def _take_back(self, now: float, waiting: Iterable[Publication]) -> list[Effect]:
        self._open_road = False
        self.buffer.put_back(self.replaying)
        effects: list[Effect] = []
        for one in self.in_flight:
            scope = self._without_broker(one, now)
            effects.append(Settled((one,), scope, in_doubt=scope is Scope.LOCAL))
        self.in_flight, self.replaying = [], []
        return [*effects, *(Settled((one,), self._without_broker(one, now)) for one in waiting)]

    def _without_broker(self, publication: Publication, now: float) -> Scope:
        if self.policy(publication.event.room) is FailurePolicy.BUFFER:
            return self._keep(publication, now)
        self.counters.cut_off += 1
        return Scope.LOCAL
