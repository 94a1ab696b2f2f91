"""The actor of a broker link: one incarnation is one connection, from the first try to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final, TypeVar

import trio

from ...config import BrokerSettings, redact_text
from ...transport import (
    JSON,
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    EnvelopeError,
    EnvelopeFault,
    MessageTooLarge,
)
from ...transport.brokers import ENVELOPE_BYTES, EVENT_BYTES, SIGNATURE_BYTES, greeting
from ...transport.brokers.contract import EVERYONE, Broker, Channel, Message, pod_channel
from ..runtime import Actor, BaseExceptionRaised, EnvironmentFailure, failure_of, handles
from .breaker import PROOFS
from .canary import Canary
from .packing import Packer
from .parcel import Parcel
from .patience import Patience
from .uplink import Uplink

__all__ = ["LinkActor"]

MOST_PARCELS: Final = 2048
MOST_BYTES: Final = 1024 * 1024
"""Events, and bytes of them, that are handed to the broker at a time."""
SUBSCRIBE_AT_A_TIME: Final = 500
PROOF_PAUSE: Final = 0.1
"""Seconds between the canaries that close the breaker."""
LAST_WORDS: Final = 1.0
"""Seconds that a pod which stops takes to hand over what it has said."""
OVERHEAD: Final = ENVELOPE_BYTES + EVENT_BYTES + 1024
"""Bytes of a message that are not an event's data: its envelope, and a long name."""
REUNION: Final = 1.5
"""Seconds, beside the longest backoff, that the other pods may take to come back before what
waited is replayed without them."""
CLOSING: Final = 1.0

_STRAY: Final = EnvelopeError("it is a probe of another pod, or astray", EnvelopeFault.MISPLACED)

T = TypeVar("T")


class LinkActor(Actor):
    """Connects, proves itself, then carries events both ways until something is in doubt.

    Events wait in the actor's mailbox and are handed over in batches that form while the broker
    has the batch before: nothing waits while the link is idle. Any failure ends the incarnation;
    its supervisor starts another. What comes from the broker does not pass through the mailbox:
    a broker that takes its time must not hold it up.
    """

    attempts: ClassVar[int] = 1

    def __init__(
        self,
        uplink: Uplink,
        make_broker: Callable[[], Broker],
        settings: BrokerSettings,
        *,
        joined: bool = True,
    ) -> None:
        self._uplink = uplink
        self._make_broker = make_broker
        self._settings = settings
        self._joined = joined
        self._waiting: list[Parcel] = []
        self._in_flight: list[Parcel] = []
        self._replaying: list[Parcel] = []
        self._failure: BrokerError | None = None
        self._scope = trio.CancelScope()
        self._patience = Patience()
        self._handing: trio.CancelScope | None = None
        self._tripped = False

    # Life ----------------------------------------------------------------------------------

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run the connection beside the loop, and give it up as soon as one of them is in doubt.

        Raises `EnvironmentFailure` when the broker is to blame.
        """
        self._uplink.attempted()
        with self._tripping():
            self._broker = self._make_broker()
        try:
            with self._tripping():
                await self._carry(loop)
        finally:
            if not self._tripped:
                self._let_go()
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSING):
                await self._broker.close()

    @contextmanager
    def _tripping(self) -> Iterator[None]:
        """Trip the breaker before anything else is done about a failure, as closing takes time."""
        try:
            yield
        except BaseException as error:
            self._give_up(failure_of(error))  # which passes trio's own cancellation
            raise

    async def _carry(self, loop: Callable[[], Awaitable[None]]) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._patience.run)
                nursery.start_soon(self._guarded, self._connect, nursery)
                await loop()
                await self._guarded(self._say_last_words)
                nursery.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure

    def _give_up(self, error: Exception) -> None:
        """Go on alone; what was in doubt is settled before anybody else gets a turn."""
        self._tripped = True
        cause = _broker_error(error)
        refused = isinstance(cause, BrokerRefused)
        # What a foreign exception says may be anything, secrets included; ours may name a host
        # that somebody gave a password.
        said = str(cause) if cause else f"the link failed with {_kind(error)}; see the log"
        reason = redact_text(said)
        wait = self._uplink.tripped(
            reason,
            refused=refused,
            in_doubt=[*self._in_flight, *self._waiting],
            replaying=self._replaying,
        )
        self._in_flight, self._waiting, self._replaying = [], [], []
        if cause is not None:
            raise EnvironmentFailure(reason, retry_after=wait, told=True) from error

    def _let_go(self) -> None:
        """Settle what a link that was stopped or killed leaves."""
        in_doubt = [*self._in_flight, *self._waiting]
        self._uplink.stopped(in_doubt, self._replaying)
        self._in_flight, self._waiting, self._replaying = [], [], []

    def _fail(self, error: BrokerError) -> None:
        if self._failure is None:
            self._failure = error
            # A handler that is cut short counts as poison; this one is let out, then all the rest.
            (self._handing or self._scope).cancel()

    async def _guarded(self, part: Callable[..., Awaitable[None]], *args: object) -> None:
        try:
            await part(*args)
        except BrokerError as error:
            self._fail(error)

    # The connection ------------------------------------------------------------------------

    async def _connect(self, nursery: trio.Nursery) -> None:
        uplink, broker = self._uplink, self._broker
        await self._in_time(broker.connect(self, nursery))
        uplink.endpoint = redact_text(broker.endpoint)
        self._limit(broker.max_payload)
        self._canary = Canary(
            broker, self._say, uplink.pod_id, self._settings.timeout, self._patience
        )
        own = dict.fromkeys((*self._canary.channels, pod_channel(uplink.pod_id)))
        await self._in_time(broker.subscribe(list(own)))
        uplink.interest.begin_anew()
        await self._subscribe_missing()
        for proof in range(PROOFS):
            if proof:
                await trio.sleep(PROOF_PAUSE)
            uplink.proven(await self._canary.prove())
        # Who came into a room while the breaker was half open was not made to wait for this.
        await self._subscribe_missing()
        nursery.start_soon(self._guarded, self._greet)
        nursery.start_soon(self._guarded, self._replay)
        nursery.start_soon(self._guarded, self._keep_interest)
        await self._keep_proving()

    async def _keep_proving(self) -> None:
        while True:
            await trio.sleep(self._settings.canary_interval)
            self._uplink.proven(await self._canary.prove())

    async def _greet(self) -> None:
        """Say hello to everyone, then answer those who do."""
        pod, peers = self._uplink.pod_id, self._uplink.peers
        await self._in_time(self._say([(EVERYONE, greeting(pod, "hello"))]))
        while True:
            await peers.owing.wait()
            here = greeting(pod, "here")
            answers = [(pod_channel(other), here) for other in peers.take_owed()]
            await self._in_time(self._say(answers))

    async def _keep_interest(self) -> None:
        uplink = self._uplink
        while True:
            changed = uplink.changed = trio.Event()
            await self._subscribe_missing()
            while surplus := uplink.interest.surplus(trio.current_time(), SUBSCRIBE_AT_A_TIME):
                await self._in_time(self._broker.unsubscribe(surplus))
            with trio.move_on_at(uplink.interest.next_due()):
                await changed.wait()

    async def _subscribe_missing(self) -> None:
        interest = self._uplink.interest
        while missing := interest.missing(SUBSCRIBE_AT_A_TIME):
            await self._in_time(self._broker.subscribe(missing))
            interest.heard(missing)
            self._uplink.subscribed(missing)

    # What comes: the broker's inbox -----------------------------------------------------------

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Take a message from the broker."""
        canary, inbound = self._canary, self._uplink.inbound
        canary.comes()
        probe = inbound.receive(channel, payload)
        if probe is not None and not canary.hears(channel, probe):
            inbound.refuse(channel, _STRAY)

    def lost(self, error: BrokerError) -> None:
        """Give the connection up."""
        self._fail(error)

    # What goes -----------------------------------------------------------------------------------

    @handles(Parcel)
    async def _take(self, parcel: Parcel) -> None:
        """Take an event, and along with it those that wait behind it: one turn for a batch."""
        waiting, outbox, weight = self._waiting, self._uplink.outbox, 0
        waiting.append(parcel)
        while outbox and len(waiting) < MOST_PARCELS and weight < MOST_BYTES:
            parcel = outbox.pop()
            waiting.append(parcel)
            weight += parcel.nbytes
        if self._failure is None:  # else what is in flight is in doubt, and so is this
            try:
                with trio.CancelScope() as self._handing:
                    await self._guarded(self._hand_over)
            finally:
                self._handing = None
        if self._failure is not None:
            self._scope.cancel()

    async def _hand_over(self) -> None:
        self._in_flight, self._waiting = self._waiting, []
        taken = await self._publish(self._in_flight)
        self._in_flight = []
        self._uplink.confirmed(taken)

    async def _replay(self) -> None:
        uplink = self._uplink
        if uplink.buffer:
            with trio.move_on_after(self._settings.max_backoff + REUNION):
                await uplink.peers.complete.wait()
            uplink.peers.give_up()
        while parcels := uplink.replay(MOST_PARCELS, MOST_BYTES):
            self._replaying = parcels
            taken = await self._publish(parcels, replayed=True)
            self._replaying = []
            uplink.confirmed(taken, replayed=True)

    async def _publish(self, parcels: list[Parcel], *, replayed: bool = False) -> list[Parcel]:
        """Hand events over and return those that the broker took.

        Raises `BrokerError` when that is not certain.
        """
        for _ in range(2):  # a limit may have been lowered since it was last looked at
            fit = [parcel for parcel in parcels if self._packer.fits(parcel)]
            try:
                if fit:
                    messages = self._packer.pack(fit, replayed=replayed)
                    await self._in_time(self._say(messages))
                break
            except MessageTooLarge as error:
                if self._broker.max_payload >= self._limited_by:
                    raise BrokerUnavailable(
                        f"{self._broker.endpoint} confused us: {error}"
                    ) from error
                self._limit(self._broker.max_payload)
        else:
            raise BrokerUnavailable(f"{self._broker.endpoint} lowers its limit again and again.")
        if len(fit) < len(parcels):
            self._uplink.too_large(
                [p for p in parcels if not self._packer.fits(p)], replayed=replayed
            )
        return fit

    async def _say(self, messages: Sequence[Message]) -> None:
        """Hand messages to the broker: the one place where they are signed."""
        seal = self._uplink.seal
        if seal is not None:
            messages = [(channel, seal.sign(channel, payload)) for channel, payload in messages]
        await self._broker.publish(messages)

    def _limit(self, nbytes: int) -> None:
        uplink, self._limited_by = self._uplink, nbytes
        if uplink.seal is not None:
            nbytes -= SIGNATURE_BYTES
        self._packer = Packer(uplink.pod_id, uplink.epoch, nbytes, self._joined)
        uplink.limit = nbytes - OVERHEAD

    async def _say_last_words(self) -> None:
        outbox = self._uplink.outbox
        with trio.move_on_after(LAST_WORDS):
            while outbox:
                await self._take(outbox.pop())
            if self._uplink.breaker.closed:
                bye = greeting(self._uplink.pod_id, "bye")
                await self._in_time(self._say([(EVERYONE, bye)]))

    # Inside ----------------------------------------------------------------------------------

    async def _in_time(self, call: Awaitable[T]) -> T:
        with self._patience.limit(self._settings.timeout):
            return await call
        raise BrokerUnavailable(
            f"{self._broker.endpoint} did not answer within {self._settings.timeout:g} s; "
            "it hangs, or the way to it does."
        )

    def describe(self) -> Mapping[str, JSON]:
        """Show how the link is: the same as the broker's health."""
        return self._uplink.health()


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
