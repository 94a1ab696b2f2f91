"""The actor of a link: one incarnation is one connection, from the first try to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Final

import trio

from ...config import get_logger, redact_text
from ...transport import (
    JSON,
    BrokerError,
    BrokerRefused,
    EnvelopeError,
    EnvelopeFault,
    MessagesRefused,
    SubscriptionRefused,
)
from ...transport.brokers import Acks, AskEcho, AskRooms, AskSince, Beat, Probe, RoomAnswer
from ...transport.brokers.contract import EVERYONE, Broker, Channel, pod_channel
from ..runtime import Actor, BaseExceptionRaised, EnvironmentFailure, failure_of, handles
from .awake_timeout import AwakeTimeouts
from .beat_maker import MarkedBeat
from .breaker import PROOFS
from .canary import Canary
from .effects import perform
from .gossip import Gossip
from .handoff import Hint, publications_of
from .inbound import Inbound, Listeners
from .line import ReceivingLine
from .link import Link
from .outbound import Outbound
from .patience import Patience
from .publication import Publication
from .state import Effect

__all__ = ["LinkActor"]

MOST_PUBLICATIONS: Final = 2048
MOST_BYTES: Final = 1024 * 1024
"""Events, and bytes of them, that are handed to the broker at a time."""
SUBSCRIBE_AT_A_TIME: Final = 500
PROOF_PAUSE: Final = 0.1
"""Seconds between the canaries that close the breaker."""
LAST_WORDS: Final = 1.0
"""Seconds that a pod which stops takes to hand over what it has said."""
REUNION: Final = 1.5
"""Seconds, beside the longest backoff, that the other pods may take to come back before what
waited is replayed without them."""
CLOSING: Final = 1.0

_log = get_logger("realtime")

_STRAY: Final = EnvelopeError("it is a probe of another pod, or astray", EnvelopeFault.MISPLACED)

_STRANGER: Final = EnvelopeError(
    "it speaks of rooms, and no such pod is known", EnvelopeFault.MISPLACED
)


class LinkActor(Actor):
    """Connects, proves itself, then carries events both ways until something is in doubt.

    Events wait in the actor's mailbox and are handed over in batches that form while the broker
    has the batch before: nothing waits while the link is idle. What comes from the broker does not
    pass through the mailbox: a broker that takes its time must not hold it up.

    Whatever is in doubt, the connection is `lost`, and an incarnation ends in one place, `_end`:
    its supervisor starts another.
    """

    attempts: ClassVar[int] = 1

    def __init__(
        self,
        link: Link,
        listeners: Listeners,
        make_broker: Callable[[], Broker],
        *,
        joined: bool = True,
    ) -> None:
        self._link = link
        self._state = link.state
        self._listeners = listeners
        self._make_broker = make_broker
        self._joined = joined
        settings = link.settings
        self._timeouts = AwakeTimeouts(
            Patience(settings.timeout, settings.canary_interval, link.round_trips)
        )
        self._line = ReceivingLine(
            listeners, link.state.counters, self._timeouts, link.state.peers, link.clock
        )
        self._inbound = Inbound(
            link.pod_id,
            self._line,
            link.state.counters,
            link.deduplicator,
            link.sequences,
            link.wall,
            link.subscriptions.wanted,
            link.largest,
            link.seal,
            link.acknowledgements.wanted,
        )
        self._broker: Broker | None = None
        self._error: BrokerError | None = None
        self._scope = trio.CancelScope()
        self._handing: trio.CancelScope | None = None

    # Life and end --------------------------------------------------------------------------

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run the connection beside the loop until it is lost or told to stop.

        Raises `EnvironmentFailure` when the broker is to blame.
        """
        self._state.attempted(self._link.clock())
        failure: Exception | None = None
        try:
            self._broker = self._make_broker()
            await self._carry(self._broker, loop)
        except BaseException as error:
            failure = failure_of(error)  # raises trio's own cancellation, which is no failure
            raise
        finally:
            blame = self._end(failure)  # before anything else is done, as closing takes time
            if self._broker is not None:
                with trio.CancelScope(shield=True), trio.move_on_after(CLOSING):
                    await self._broker.close()
            if blame is not None:
                raise blame from failure

    async def _carry(self, broker: Broker, loop: Callable[[], Awaitable[None]]) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._timeouts.run)
                nursery.start_soon(self._line.run)
                nursery.start_soon(self._until_lost, self._connect, broker, nursery)
                await loop()
                await self._until_lost(self._say_last_words)
                nursery.cancel_scope.cancel()
        if self._error is not None:
            raise self._error

    async def _until_lost(self, part: Callable[..., Awaitable[None]], *args: object) -> None:
        try:
            await part(*args)
        except BrokerError as error:
            self.lost(error)

    def lost(self, error: BrokerError) -> None:
        """Give the connection up: the broker says so, or fails at something it is asked."""
        if self._error is None:
            self._error = error
            # A handler that is cut short counts as poison; this one is let out, then all the rest.
            (self._handing or self._scope).cancel()

    def _end(self, failure: Exception | None) -> EnvironmentFailure | None:
        """Go on alone: the breaker trips of a failure; without one the link was stopped, or killed.

        What is in doubt is settled before anybody else gets a turn. Returns what the supervisor is
        told where the broker is to blame.
        """
        link, now, wall = self._link, self._link.clock(), self._link.wall()
        link.subscriptions.give_up()
        link.inquiries.lost()
        waiting = link.take_outbox()
        if failure is None:
            self._perform(self._state.stopped(now, waiting))
            link.acknowledgements.lost()
            return None
        cause = _broker_error(failure)
        # What a foreign exception says may be anything, secrets included; ours may name a host
        # that somebody gave a password.
        said = str(cause) if cause else f"the link failed with {_kind(failure)}; see the log"
        reason = redact_text(said)
        self._perform(
            self._state.tripped(
                now,
                wall,
                reason,
                refused=isinstance(cause, BrokerRefused),
                missed=link.sequences.missed,
                waiting=waiting,
            )
        )
        link.acknowledgements.lost()
        if cause is None:
            return None
        retry_after = self._state.breaker.wait(now)
        return EnvironmentFailure(reason, retry_after=retry_after, told=True)

    def _perform(self, effects: Iterable[Effect]) -> None:
        perform(effects, self._state, self._listeners)

    # The connection ------------------------------------------------------------------------

    async def _connect(self, broker: Broker, nursery: trio.Nursery) -> None:
        link, timeouts = self._link, self._timeouts
        await timeouts.answer_of(broker, broker.connect(self, nursery))
        link.figures.endpoint = redact_text(broker.endpoint)
        self._outbound = Outbound(link, broker, timeouts, joined=self._joined)
        self._gossip = Gossip(
            link, self._listeners, self._outbound.say_in_time, self._renew, broker.node
        )
        self._canary = Canary(broker, self._outbound.say, link.pod_id, timeouts)
        await self._subscribe_own(broker)
        if broker.routed and not self._state.peers.known:
            await self._acquaint(broker)
        link.subscriptions.begin_anew()
        link.proofs.clear()
        await self._subscribe_missing(broker)
        for proof in range(PROOFS):
            if proof:
                await trio.sleep(PROOF_PAUSE)
            await self._prove()
        # Who came into a room while the breaker was half open was not made to wait for this.
        await self._subscribe_missing(broker)
        nursery.start_soon(self._until_lost, self._gossip.speak)
        nursery.start_soon(self._until_lost, self._gossip.run)
        nursery.start_soon(self._gossip.watch)
        acknowledge = link.acknowledgements.run
        nursery.start_soon(self._until_lost, acknowledge, self._outbound.say_in_time)
        inquire, rooms_of = link.inquiries.run, self._listeners.rooms_of
        nursery.start_soon(self._until_lost, inquire, self._outbound.say_in_time, rooms_of)
        nursery.start_soon(self._until_lost, self._replay)
        nursery.start_soon(self._until_lost, self._keep_subscriptions, broker)
        while True:
            await trio.sleep(link.settings.canary_interval)
            await self._prove()

    async def _prove(self) -> None:
        try:
            round_trip = await self._canary.prove()
        except MessagesRefused as error:  # who may not speak to itself has no link
            raise BrokerRefused(str(error)) from error
        self._link.round_trips.note(round_trip)
        self._state.proven(self._link.clock(), self._link.wall(), round_trip)

    async def _keep_subscriptions(self, broker: Broker) -> None:
        subscriptions = self._link.subscriptions
        while True:
            change = subscriptions.next_change()
            await self._subscribe_missing(broker)
            while surplus := subscriptions.surplus(trio.current_time(), SUBSCRIBE_AT_A_TIME):
                await self._timeouts.answer_of(broker, broker.unsubscribe(surplus))
            with trio.move_on_at(subscriptions.next_look()):
                await change.wait()

    async def _subscribe_own(self, broker: Broker) -> None:
        own = dict.fromkeys((*self._canary.channels, pod_channel(self._link.pod_id)))
        try:
            await self._timeouts.answer_of(broker, broker.subscribe(list(own)))
        except SubscriptionRefused as error:  # without these there is no link
            raise BrokerRefused(str(error)) from error

    async def _acquaint(self, broker: Broker) -> None:
        """Find out who is there, before a room's subscription is proven by the others."""
        with suppress(SubscriptionRefused):  # then nobody can be found
            await self._timeouts.answer_of(broker, broker.subscribe([EVERYONE]))
            await self._gossip.acquaint()

    async def _subscribe_missing(self, broker: Broker) -> None:
        """Subscribe what rooms want; what the broker denies is tried again after a while."""
        link = self._link
        while missing := link.subscriptions.missing(SUBSCRIBE_AT_A_TIME, link.clock()):
            denied: tuple[Channel, ...] = ()
            try:
                await self._timeouts.answer_of(broker, broker.subscribe(missing))
            except SubscriptionRefused as error:
                denied = error.channels
                _log.warning("the broker lets this pod not hear rooms", reason=str(error))
                link.subscriptions.denied(denied, link.clock() + link.settings.auth_retry)
            heard = [channel for channel in missing if channel not in denied]
            link.subscriptions.subscribed(heard)
            link.proofs.begin(heard, link.clock(), self._gossip.witnesses())
            self._gossip.wake()

    async def _renew(self, channels: Sequence[Channel]) -> None:
        """Make subscriptions anew that bring nothing; whose permission is gone is only told."""
        broker = self._outbound.broker
        try:
            await self._timeouts.answer_of(broker, broker.resubscribe(channels))
        except SubscriptionRefused as error:
            _log.warning("the broker lets this pod not hear rooms", reason=str(error))

    # What comes: the broker's inbox -----------------------------------------------------------

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Take a message from the broker."""
        now = self._link.clock()
        self._timeouts.heard()
        sounds = self._link.proofs.sounds
        if channel in sounds:
            sounds[channel] = now
        own = self._inbound.receive(channel, payload)
        if self._inbound.holes:
            holes, self._inbound.holes = self._inbound.holes, []
            for hole in holes:
                self._gossip.missing(hole)
        if isinstance(own, Acks | AskRooms | RoomAnswer):
            if not self._hear_of_rooms(own):
                self._inbound.refuse(channel, _STRANGER)
        elif own is not None:
            self._hear_of_pods(channel, own)

    def _hear_of_rooms(self, own: Acks | AskRooms | RoomAnswer) -> bool:
        link = self._link
        if isinstance(own, Acks):
            return link.acknowledgements.hears(own)
        return link.inquiries.hears(own)

    def _hear_of_pods(self, channel: Channel, own: Probe | Beat | AskSince | AskEcho) -> None:
        if isinstance(own, Beat):
            self._gossip.hears(own, channel)
        elif not isinstance(own, Probe):
            self._gossip.asked(own)
        elif channel not in self._canary.channels:
            self._gossip.proven(channel, own.origin, own.nonce)
        elif not self._canary.hears(channel, own):
            self._inbound.refuse(channel, _STRAY)

    def full(self, resume: Callable[[], object]) -> bool:
        """Say whether a room is full, and what comes is to be kept until it has place."""
        return self._line.full(resume)

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Subscribe again what the broker has ended by itself."""
        self._link.subscriptions.unheard(channels)

    # What goes -----------------------------------------------------------------------------------

    @handles(Publication)
    async def _take(self, publication: Publication) -> None:
        """Take an event, and along with it those that wait behind it: one turn for a batch."""
        batch, outbox, weight = [publication], self._link.outbox, 0
        beat: MarkedBeat | None = None
        while outbox and len(batch) < MOST_PUBLICATIONS and weight < MOST_BYTES:
            next_one = outbox.pop()
            if isinstance(next_one, MarkedBeat):
                beat = next_one
                break
            batch.append(next_one)
            weight += next_one.nbytes
        self._state.taken(batch)
        await self._hand_over(self._publish, batch)
        if beat is not None:
            await self._hand_over(self._gossip.said, beat)

    @handles(MarkedBeat)
    async def _take_beat(self, beat: MarkedBeat) -> None:
        """Say a beat, behind all that it tells of."""
        await self._hand_over(self._gossip.said, beat)

    async def _hand_over(self, part: Callable[..., Awaitable[None]], what: object) -> None:
        if self._error is None:  # else what is in flight is in doubt, and so is this
            try:
                with trio.CancelScope() as self._handing:
                    await self._until_lost(part, what)
            finally:
                self._handing = None
        if self._error is not None:
            self._scope.cancel()

    async def _publish(self, batch: list[Publication]) -> None:
        taken, too_large, denied = await self._outbound.publish(batch)
        self._perform(self._state.confirmed(taken, too_large, denied))

    async def _replay(self) -> None:
        """Say again what waited, when the other pods can hear it; then all is well again."""
        state, link = self._state, self._link
        unheard = 0
        hints = () if link.handoff is None else link.handoff.hints
        if hints:  # whom it knew before it ended, this pod does not know: all get time to come back
            await trio.sleep(link.settings.max_backoff + REUNION)
        if state.buffer:
            longest = link.settings.auth_retry if state.was_refused else link.settings.max_backoff
            unheard = await self._gossip.reunion(longest + REUNION)
        # First, for what is said in the meantime waits too.
        await self._gossip.until_proven(self._timeouts.seconds)
        await self._hand_on(hints)
        while waited := state.replay(link.clock(), MOST_PUBLICATIONS, MOST_BYTES):
            state.replay_confirmed(*await self._outbound.publish(waited, replayed=True))
        self._perform(state.healed(link.wall(), link.sequences.missed, unheard))

    async def _hand_on(self, hints: Sequence[Hint]) -> None:
        """Say what an earlier life of this pod was not able to, before anything that waits now."""
        link, oldest = self._link, self._link.wall() - self._link.message_ttl
        for hint in hints:
            publications = publications_of(hint, oldest)
            said = await self._outbound.hand_on(hint, publications)
            self._state.handed_on(said, len(hint.events) - len(publications))
        if hints and link.handoff is not None:
            link.handoff.said()

    async def _say_last_words(self) -> None:
        outbox = self._link.outbox
        with trio.move_on_after(LAST_WORDS):
            while outbox:
                last = outbox.pop()
                if isinstance(last, Publication):
                    await self._take(last)
            if self._state.breaker.closed:
                await self._gossip.bye()

    def describe(self) -> Mapping[str, JSON]:
        """Show how the link is: the same as the broker's health."""
        return self._link.figures.health()


def _broker_error(error: BaseException) -> BrokerError | None:
    """Find the broker's own error, which nurseries may have wrapped in groups."""
    if isinstance(error, BaseExceptionGroup):
        found = (_broker_error(inner) for inner in error.exceptions)
        return next((cause for cause in found if cause is not None), None)
    return error if isinstance(error, BrokerError) else None


def _kind(error: BaseException) -> str:
    """Name what went wrong, which nurseries may have wrapped in groups."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, BaseExceptionRaised) and error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__
