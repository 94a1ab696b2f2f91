"""The actor of a link: one incarnation is one connection, from the first try to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final

import trio

from ...config import redact_text
from ...transport import JSON, BrokerError, BrokerRefused, EnvelopeError, EnvelopeFault
from ...transport.brokers import Greeting, greeting
from ...transport.brokers.contract import EVERYONE, Broker, Channel, pod_channel
from ..runtime import Actor, BaseExceptionRaised, EnvironmentFailure, failure_of, handles
from .awake_timeout import AwakeTimeouts
from .breaker import PROOFS
from .canary import Canary
from .effects import perform
from .greeter import Greeter
from .inbound import Inbound, Listeners
from .link import Link
from .outbound import Outbound
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

_STRAY: Final = EnvelopeError("it is a probe of another pod, or astray", EnvelopeFault.MISPLACED)


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
        self._greeter = Greeter(link.pod_id, link.state.peers)
        self._timeouts = AwakeTimeouts(link.settings.timeout)
        self._broker: Broker | None = None
        self._error: BrokerError | None = None
        self._scope = trio.CancelScope()
        self._handing: trio.CancelScope | None = None

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
        perform(effects, self._state.breaker.state, self._listeners)

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
        nursery.start_soon(self._until_lost, self._greeter.run, self._outbound.say_in_time)
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

    # What comes: the broker's inbox -----------------------------------------------------------

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Take a message from the broker."""
        self._canary.comes()
        own = self._inbound.receive(channel, payload)
        if own is None:
            return
        if isinstance(own, Greeting):
            self._greeter.greeted(own)
        elif not self._canary.hears(channel, own):
            self._inbound.refuse(channel, _STRAY)

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Subscribe again what the broker has ended by itself."""
        self._link.subscriptions.unheard(channels)

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
            await self._greeter.reunion(link.settings.max_backoff + REUNION)
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
