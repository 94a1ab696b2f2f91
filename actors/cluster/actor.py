"""The actor of a link: one incarnation is one connection, from the first try to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import ClassVar, Final

import trio

from ...config import get_logger, redact_text
from ...transport import JSON, BrokerError, BrokerRefused, EnvelopeError, EnvelopeFault
from ...transport.brokers import Greeting, greeting
from ...transport.brokers.contract import EVERYONE, Broker, Channel, pod_channel
from ..runtime import Actor, BaseExceptionRaised, EnvironmentFailure, failure_of, handles
from .awake_timeout import AwakeTimeouts
from .breaker import PROOFS
from .canary import Canary
from .inbound import Inbound, Listeners
from .link import Link
from .outage import Degraded, Healed, OutageCode
from .outbound import Outbound
from .publication import Publication
from .state import Effect, Settled

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

_STRAY: Final = EnvelopeError("it is a probe of another pod, or astray", EnvelopeFault.MISPLACED)

_log = get_logger("realtime")


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
        self._inbound = Inbound(
            link.pod_id,
            listeners,
            link.state.counters,
            link.deduplicator,
            link.subscriptions.wanted,
            link.largest,
            link.seal,
        )
        self._timeouts = AwakeTimeouts(link.settings.timeout)
        self._broker: Broker | None = None
        self._error: BrokerError | None = None
        self._scope = trio.CancelScope()
        self._handing: trio.CancelScope | None = None
        self._owing = trio.Event()
        self._reunited = trio.Event()

    # Life and end --------------------------------------------------------------------------

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run the connection beside the loop until it is lost or told to stop.

        Raises `EnvironmentFailure` when the broker is to blame.
        """
        self._state.attempted(self._link.clock(), self._link.wall())
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
        waiting = link.take_outbox()
        if failure is None:
            self._perform(self._state.stopped(now, wall, waiting))
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
                missed=link.deduplicator.missed,
                waiting=waiting,
            )
        )
        if cause is None:
            return None
        retry_after = self._state.breaker.wait(now)
        return EnvironmentFailure(reason, retry_after=retry_after, told=True)

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Settled):
                for publication in effect.publications:
                    if publication.settle is not None:
                        publication.settle(effect.scope)
            elif isinstance(effect, Degraded):
                _log.warning(
                    "switched to the memory broker: the other pods are out of reach",
                    reason=effect.detail,
                    state=self._state.breaker.state.value,
                )
                self._listeners.degraded(effect)
            elif isinstance(effect, Healed):
                _write_down(effect)
                self._listeners.healed(effect)
            else:
                state = self._state.breaker.state.value
                _log.info("broker still away", reason=effect.reason, state=state)

    # The connection ------------------------------------------------------------------------

    async def _connect(self, broker: Broker, nursery: trio.Nursery) -> None:
        link, timeouts = self._link, self._timeouts
        await timeouts.answer_of(broker, broker.connect(self, nursery))
        link.figures.endpoint = redact_text(broker.endpoint)
        self._outbound = Outbound(link, broker, timeouts, joined=self._joined)
        self._canary = Canary(broker, self._outbound.say, link.pod_id, timeouts)
        own = dict.fromkeys((*self._canary.channels, pod_channel(link.pod_id)))
        await timeouts.answer_of(broker, broker.subscribe(list(own)))
        link.subscriptions.begin_anew()
        await self._subscribe_missing(broker)
        for proof in range(PROOFS):
            if proof:
                await trio.sleep(PROOF_PAUSE)
            await self._prove()
        # Who came into a room while the breaker was half open was not made to wait for this.
        await self._subscribe_missing(broker)
        nursery.start_soon(self._until_lost, self._greet)
        nursery.start_soon(self._until_lost, self._replay)
        nursery.start_soon(self._until_lost, self._keep_subscriptions, broker)
        while True:
            await trio.sleep(link.settings.canary_interval)
            await self._prove()

    async def _prove(self) -> None:
        round_trip = await self._canary.prove()
        self._state.proven(self._link.clock(), self._link.wall(), round_trip)

    async def _keep_subscriptions(self, broker: Broker) -> None:
        subscriptions = self._link.subscriptions
        while True:
            change = subscriptions.next_change()
            await self._subscribe_missing(broker)
            while surplus := subscriptions.surplus(trio.current_time(), SUBSCRIBE_AT_A_TIME):
                await self._timeouts.answer_of(broker, broker.unsubscribe(surplus))
            with trio.move_on_at(subscriptions.next_due()):
                await change.wait()

    async def _subscribe_missing(self, broker: Broker) -> None:
        subscriptions = self._link.subscriptions
        while missing := subscriptions.missing(SUBSCRIBE_AT_A_TIME):
            await self._timeouts.answer_of(broker, broker.subscribe(missing))
            subscriptions.heard(missing)

    async def _greet(self) -> None:
        """Say hello to everyone, then answer those who do."""
        pod, peers = self._link.pod_id, self._state.peers
        await self._outbound.say_in_time([(EVERYONE, greeting(pod, "hello"))])
        here = greeting(pod, "here")
        while True:
            while owed := peers.take_owed():
                await self._outbound.say_in_time([(pod_channel(other), here) for other in owed])
            self._owing = trio.Event()
            await self._owing.wait()

    # What comes: the broker's inbox -----------------------------------------------------------

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Take a message from the broker."""
        self._canary.comes()
        own = self._inbound.receive(channel, payload)
        if own is None:
            return
        if isinstance(own, Greeting):
            self._greeted(own)
        elif not self._canary.hears(channel, own):
            self._inbound.refuse(channel, _STRAY)

    def _greeted(self, greeting: Greeting) -> None:
        peers = self._state.peers
        peers.greeted(greeting)
        if peers.owed:
            self._owing.set()
        if peers.complete:
            self._reunited.set()

    # What goes -----------------------------------------------------------------------------------

    @handles(Publication)
    async def _take(self, publication: Publication) -> None:
        """Take an event, and along with it those that wait behind it: one turn for a batch."""
        batch, outbox, weight = [publication], self._link.outbox, 0
        while outbox and len(batch) < MOST_PUBLICATIONS and weight < MOST_BYTES:
            publication = outbox.pop()
            batch.append(publication)
            weight += publication.nbytes
        self._state.taken(batch)
        if self._error is None:  # else what is in flight is in doubt, and so is this
            try:
                with trio.CancelScope() as self._handing:
                    await self._until_lost(self._hand_over, batch)
            finally:
                self._handing = None
        if self._error is not None:
            self._scope.cancel()

    async def _hand_over(self, batch: list[Publication]) -> None:
        taken, too_large = await self._outbound.publish(batch)
        self._perform(self._state.confirmed(taken, too_large))

    async def _replay(self) -> None:
        """Say again what waited, when the other pods can hear it; then all is well again."""
        state, link = self._state, self._link
        if state.buffer:
            self._reunited = trio.Event()
            if not state.peers.complete:
                with trio.move_on_after(link.settings.max_backoff + REUNION):
                    await self._reunited.wait()
            state.peers.give_up()
        while waited := state.replay(link.clock(), MOST_PUBLICATIONS, MOST_BYTES):
            state.replay_confirmed(*await self._outbound.publish(waited, replayed=True))
        self._perform(state.healed(link.wall(), link.deduplicator.missed))

    async def _say_last_words(self) -> None:
        outbox = self._link.outbox
        with trio.move_on_after(LAST_WORDS):
            while outbox:
                await self._take(outbox.pop())
            if self._state.breaker.closed:
                bye = greeting(self._link.pod_id, "bye")
                await self._outbound.say_in_time([(EVERYONE, bye)])

    def describe(self) -> Mapping[str, JSON]:
        """Show how the link is: the same as the broker's health."""
        return self._link.figures.health()


def _write_down(healed: Healed) -> None:
    told = healed.code is not OutageCode.STARTING
    (_log.warning if told else _log.info)(
        "back on the broker" if told else "joined the other pods",
        seconds=round(healed.seconds, 3),
        lost=healed.lost,
        replayed=healed.replayed,
        missed=healed.missed,
    )


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
