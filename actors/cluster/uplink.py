"""What a pod's rooms know of the other pods: say something to them, hear what they say.

It outlives the incarnations of the link and decides, by the breaker's state and the room's policy,
what becomes of each event. Everything here is synchronous; the link does the waiting.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import trio

from ...config import BrokerSettings, FailurePolicy, LimitSettings, PatternMap, get_logger
from ...transport import JSON, Problem, Scope
from ...transport.brokers import DEEPEST, EVENT_BYTES, Signer, may_be_said, too_deep
from ...transport.brokers.contract import Channel, room_channel
from ..runtime import Delivery, Mailbox, Overflow
from .breaker import Breaker, BreakerHistory
from .counters import Counters
from .inbound import Inbound, Listeners
from .interest import Interest
from .outage import Degraded, Healed, OutageCode
from .parcel import CHARACTER, Buffer, Parcel, Settle, weight

__all__ = ["Uplink"]

DEFAULT_LARGEST: Final = LimitSettings().max_buffer_bytes
NUMBERED_ROOMS: Final = 65_536
"""Rooms whose events are numbered; beyond it the ones silent for longest begin anew."""

_log = get_logger("realtime")


class Uplink:
    """The way to the other pods.

    `wall` is unix seconds, `clock` steady seconds, `largest` the bytes of one event that a client's
    buffer takes. The link sets `endpoint` (to show, without secrets) and `limit` (bytes that one
    event's data may have on the broker) when it knows them. `seal` is there when there is a secret.
    """

    def __init__(
        self,
        pod_id: str,
        settings: BrokerSettings,
        message_ttl: float,
        listeners: Listeners,
        wall: Callable[[], float],
        clock: Callable[[], float] = trio.current_time,
        largest: int = DEFAULT_LARGEST,
    ) -> None:
        self.pod_id = pod_id
        self.epoch = int(wall() * 1000)
        self.limit: float = math.inf
        self.seal = Signer.of(settings, pod_id, self.epoch, wall)
        self.endpoint = ""
        self.counters = Counters()
        self.interest = Interest(settings.linger)
        self.inbound = Inbound(pod_id, listeners, self.counters, largest, self.seal)
        self.reception, self.peers = self.inbound.reception, self.inbound.peers
        self.buffer = Buffer(settings.buffer_messages, settings.buffer_bytes, message_ttl)
        self.outbox: Mailbox[Any] = Mailbox(
            max_messages=settings.outbox_messages,
            max_bytes=settings.outbox_bytes,
            overflow=Overflow.FAIL,
        )
        self.breaker = Breaker(auth_retry=settings.auth_retry)
        self._history = BreakerHistory()
        self.tried = False
        self.changed: trio.Event = trio.Event()
        self._largest = largest
        self._settings = settings
        self._policies = PatternMap(settings.policies)
        self._listeners = listeners
        self._wall = wall
        self._clock = clock
        self._sequences: OrderedDict[str | None, int] = OrderedDict()
        self._subscribed: dict[Channel, trio.Event] = {}
        # Nothing is in the way: what most events meet, so they need ask nothing else. It is not so
        # while the breaker is open, nor while what is buffered must not be overtaken.
        self._open_road = False
        self._proven_at, self._proven = wall(), clock()
        # Who comes before the first try is over must know that it may miss something.
        self._degraded: Degraded | None = Degraded(
            OutageCode.STARTING, self._proven_at, self.breaker.reason
        )
        self._told = self._ended = False

    @property
    def kind(self) -> str:
        """The kind of broker, as it is configured."""
        return self._settings.type

    @property
    def seconds_deaf(self) -> float:
        """Seconds since the link was last proven; 0 while the breaker is closed."""
        return 0.0 if self.breaker.closed else self._clock() - self._proven

    # What rooms, the hub and sessions call ---------------------------------------------------

    def publish(
        self,
        room: str | None,
        event: str,
        encoded: bytes,
        event_id: str,
        settle: Settle | None = None,
    ) -> Scope | None:
        """Say something to the other pods' rooms of that name; None is everyone.

        Returns how far it has got, or None while the link has it: `settle` is then called with
        the outcome, otherwise never.
        """
        nbytes = weight(event, encoded)
        number, now = self._number(room), self._clock()
        parcel = Parcel(room, number, event_id, event, encoded, self._wall(), now, nbytes, settle)
        if not may_be_said(room, event) or too_deep(encoded):
            self._note_unspeakable(room, event)
            return Scope.LOCAL
        if len(encoded) > self.limit or nbytes + CHARACTER * len(room or "") > self._largest:
            self.counters.too_large += 1
            return Scope.LOCAL
        if not self._open_road:
            policy = self.policy(room)
            if policy is FailurePolicy.BUFFER:
                return self._keep(parcel)
            if not self.breaker.closed:
                self.counters.cut_off += 1
                return Scope.LOCAL
        if self.outbox.put_nowait(parcel, nbytes, keyed=False) is Delivery.ACCEPTED:
            return None
        self.counters.overflowed += 1
        return Scope.LOCAL

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

    def policy(self, room: str | None) -> FailurePolicy:
        """Return what an outage means for a room."""
        if room is None:
            return self._settings.policy
        return self._policies.match(room) or self._settings.policy

    def enter(self, room: str | None) -> None:
        """Hear a room: its first member has come."""
        channel = room_channel(room)
        self.inbound.rooms[channel] = room
        if not self.interest.wants(channel):
            self.reception.forget(room)  # what was said since its last member left is not missed
        if not self.interest.hears(channel):
            self._subscribed.setdefault(channel, trio.Event())
        self.interest.want(channel)
        self._wake()

    def leave(self, room: str | None) -> None:
        """Hear a room no longer, after a while: its last member has gone."""
        channel = room_channel(room)
        self.inbound.rooms.pop(channel, None)
        self.interest.unwant(channel, self._clock())
        self.subscribed([channel])
        self.reception.forget(room)
        self._wake()

    async def heard(self, room: str) -> None:
        """Return when a room that was entered is heard, or cannot be for now."""
        event = self._subscribed.get(room_channel(room))
        if event is not None and self.breaker.closed:
            await event.wait()

    @property
    def degraded(self) -> Degraded | None:
        """The outage that goes on, if there is one: what a client that comes now is told."""
        return self._degraded

    def health(self) -> Mapping[str, JSON]:
        """Show how the link is. Times are seconds; everything else is counted since the start."""
        breaker, counters, outbox = self.breaker, self.counters, self.outbox.statistics()
        return {
            "type": self._settings.type,
            "active": self._settings.type if breaker.closed else "memory",
            "endpoint": self.endpoint,
            "state": breaker.state.value,
            "reason": breaker.reason,
            "last_canary_seconds": counters.round_trip,
            "seconds_deaf": round(self.seconds_deaf, 3),
            "reconnects": max(0, counters.connects - 1),
            "outages": counters.trips,
            "pods": 1 + len(self.peers),
            "subscriptions": len(self.interest),
            "outbox": outbox.waiting,
            "outbox_bytes": outbox.bytes,
            "buffer": len(self.buffer),
            "buffer_bytes": self.buffer.nbytes,
            "published": counters.published,
            "received": counters.received,
            "replayed": counters.replayed,
            "lost": counters.lost,
            "missed": self.reception.missed,
            "dropped": {
                "overflowed": counters.overflowed,
                "expired": counters.expired,
                "too_large": counters.too_large,
                "unspeakable": counters.unspeakable,
                "undelivered": counters.undelivered,
                "duplicates": self.reception.duplicates,
                "own": self.reception.own,
                "invalid": counters.invalid,
            },
            "refused": {fault.value: count for fault, count in counters.refused.items()},
            "signed": self.seal is not None,
            "history": self._history.to_json(),
        }

    # What the link calls ---------------------------------------------------------------------

    def attempted(self) -> None:
        """Note that a new connection is being tried."""
        self._move(self.breaker.attempted(self._clock()))

    def proven(self, round_trip: float) -> None:
        """Note that a canary came back after so many seconds.

        What the broker took after it was sent may still be on its way here.
        """
        self.counters.round_trip = round_trip
        self._proven_at, self._proven = self._wall() - round_trip, self._clock() - round_trip
        was_closed = self.breaker.closed
        self._move(self.breaker.proven(self._clock()))
        if self.breaker.closed and not was_closed:
            self.tried = True
            self.counters.connects += 1
            self._open_road = not self.buffer
            self.peers.begin()

    def subscribed(self, channels: Iterable[Channel]) -> None:
        """Let those go on who wait for these channels to be heard."""
        for channel in channels:
            event = self._subscribed.pop(channel, None)
            if event is not None:
                event.set()

    def confirmed(self, parcels: Sequence[Parcel], *, replayed: bool = False) -> None:
        """Note what the broker has taken."""
        self.counters.published += len(parcels)
        if replayed:
            self.counters.replayed += len(parcels)
            return  # whoever waited for these was told `queued`
        for parcel in parcels:
            if parcel.settle is not None:
                parcel.settle(Scope.CLUSTER)

    def too_large(self, parcels: Sequence[Parcel], *, replayed: bool = False) -> None:
        """Note what the broker will never take."""
        self.counters.too_large += len(parcels)
        for parcel in () if replayed else parcels:
            self._settle(parcel, Scope.LOCAL)

    def replay(self, max_messages: int, max_bytes: int) -> list[Parcel]:
        """Take the oldest of what waited. When nothing does, new events go straight on again."""
        self._expire()
        parcels = self.buffer.take(max_messages, max_bytes)
        if not parcels:
            self._open_road = True
            self._heal()
        return parcels

    def tripped(
        self,
        reason: str,
        *,
        refused: bool = False,
        in_doubt: Sequence[Parcel] = (),
        replaying: Sequence[Parcel] = (),
    ) -> float:
        """Go on alone, and return the seconds before which the link must not be tried again.

        What was `in_doubt` or being replayed may have been taken or not. What is buffered goes out
        again when the link heals, and whoever has it already drops it by its id.
        """
        was = self.breaker
        now = self._clock()
        self._move(was.tripped(now, reason, refused=refused))
        self.tried = True
        self.counters.trips += was.closed
        self._open_road = False
        self.subscribed(list(self._subscribed))  # nobody may wait for a broker that is away
        if not self._told:
            self._degrade(reason)
        elif was.reason != reason:
            _log.info("broker still away", reason=reason, state=self.breaker.state.value)
        self._take_back(in_doubt, replaying)
        return self.breaker.wait(now)

    def stopped(self, in_doubt: Sequence[Parcel], replaying: Sequence[Parcel]) -> None:
        """Take back what a link leaves that was not lost but told to stop, or killed."""
        if self.breaker.closed:
            self._move(self.breaker.tripped(self._clock(), "the link has stopped"))
        self._open_road = False
        self.subscribed(list(self._subscribed))
        self._take_back(in_doubt, replaying)

    def ended(self) -> None:
        """Count what waits, for there will be no other link."""
        self._ended = True
        left = len(self.buffer.take(len(self.buffer), self.buffer.nbytes))
        self.counters.cut_off += left
        if left:
            _log.warning("stopped before these could be sent", events=left)

    # Inside ------------------------------------------------------------------------------------

    def _move(self, breaker: Breaker) -> None:
        self._history.note(self.breaker, breaker, self._wall())
        self.breaker = breaker

    def _number(self, room: str | None) -> int:
        sequences = self._sequences
        number = sequences[room] = sequences.get(room, 0) + 1
        sequences.move_to_end(room)
        if number == 1 and len(sequences) > NUMBERED_ROOMS:
            sequences.popitem(last=False)
        return number

    def _keep(self, parcel: Parcel) -> Scope:
        self._expire()
        if self._ended:
            self.counters.cut_off += 1
            return Scope.LOCAL
        if self.buffer.add(parcel):
            self.counters.buffered += 1
            return Scope.QUEUED
        self.counters.overflowed += 1
        return Scope.LOCAL

    def _expire(self) -> None:
        expired = self.buffer.expire(self._clock())
        self.counters.expired += len(expired)

    def _settle(self, parcel: Parcel, scope: Scope) -> None:
        if parcel.settle is not None:
            parcel.settle(scope)

    def _take_back(self, in_doubt: Sequence[Parcel], replaying: Sequence[Parcel]) -> None:
        self.buffer.put_back(list(replaying))
        waiting = (item for item in self._emptied(self.outbox) if isinstance(item, Parcel))
        for parcel in (*in_doubt, *waiting):
            if self.policy(parcel.room) is FailurePolicy.BUFFER:
                self._settle(parcel, self._keep(parcel))
            else:
                self.counters.cut_off += 1
                self._settle(parcel, Scope.LOCAL)

    def _note_unspeakable(self, room: str | None, event: str) -> None:
        self.counters.unspeakable += 1
        if self.counters.unspeakable.bit_count() == 1:
            _log.warning(
                "an event stays on this pod: no other takes its name, its room's, or its depth",
                room=None if room is None else ascii(room[:100]),
                event_name=ascii(event[:100]),
                so_far=self.counters.unspeakable,
                remedy="name it with letters, digits and _-.:/@#+~=; system:… stays on its pod; "
                f"nest data {DEEPEST} levels deep at most",
            )

    @staticmethod
    def _emptied(mailbox: Mailbox[Any]) -> Iterator[object]:
        while mailbox:
            yield mailbox.pop()

    def _degrade(self, reason: str) -> None:
        self._degraded, self._told = Degraded(OutageCode.CUT_OFF, self._proven_at, reason), True
        self.counters.begin_outage(self.reception.missed)
        _log.warning(
            "switched to the memory broker: the other pods are out of reach",
            reason=reason,
            state=self.breaker.state.value,
        )
        self._listeners.degraded(self._degraded)

    def _heal(self) -> None:
        outage, self._degraded = self._degraded, None
        told, self._told = self._told, False
        if outage is None:
            return
        figures = self.counters.outage(self.reception.missed)
        healed = Healed(outage.since, max(0.0, self._wall() - outage.since), *figures)
        (_log.warning if told else _log.info)(
            "back on the broker" if told else "joined the other pods",
            seconds=round(healed.seconds, 3),
            lost=healed.lost,
            replayed=healed.replayed,
            missed=healed.missed,
        )
        self._listeners.healed(healed)

    def _wake(self) -> None:
        self.changed.set()
