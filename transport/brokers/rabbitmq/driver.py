"""RabbitMQ, through aio-pika: its words and errors, and the engine that it is made of (aiormq).

aio-pika's own connections and channels stand in the way here: each message costs three objects and
a task more, and what the server says of a connection does not reach its user.

There are two connections, because a server with an alarm (memory, disk) stops reading from those
that publish. `publish` returns when the server has confirmed the batch, that is when every queue
of this server has it. Where the server dropped messages that waited for this pod, the link is lost:
`topology` has what is where.

A server answers what it refuses for a message with the end of the channel. The channel is opened
again, what was not refused is published again, and nobody but the message's sender learns of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from ....config import RabbitMQ as RabbitMQSettings
from ...errors import (
    BrokerError,
    BrokerUnavailable,
    MessagesRefused,
    SubscriptionRefused,
)
from ..bridge import Event, Feed, Future, Lock, gather, within
from ..contract import Channel, Message, node_name, refuse_too_large
from ..network import client_context, written
from .bindings import Bindings, ExchangeDenied
from .client import ConsumingChannel, PublishingChannel, RabbitConnection, silence_library
from .deliveries import Deliveries
from .errors import LIBRARY_ERRORS, translate
from .frames import Publication
from .renewals import Renewals
from .topology import Topology, kind_of
from .troubles import Denied, Missing, TooLarge, trouble_of

__all__ = ["MAX_PAYLOAD", "RabbitDriver"]

MAX_PAYLOAD: Final = 8 * 2**20
"""Bytes: below the `max_message_size` that servers come with, 16 MiB in 4.x and 128 in 3.x. One
that is lower is learned from its refusal, for no server tells it before."""

LAST_WORD: Final = 1.0
"""Seconds that what waits in a queue may take to come, when another takes its place."""

_CHUNK: Final = 512
"""Messages that are written at a time."""

_CHUNK_BYTES: Final = 2**20

_IN_FLIGHT: Final = 4
"""Chunks of one batch that may be unconfirmed."""

_TRIES: Final = 8
"""Times that a batch is published while channels are closed for what others publish."""


class RabbitDriver:
    """Two connections to one server. They never reconnect.

    `message_ttl` is how long (seconds) a message may wait on the server for this pod; `clock`
    returns steady seconds.
    """

    def __init__(
        self,
        settings: RabbitMQSettings,
        message_ttl: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._topology = Topology(settings, message_ttl)
        self._connections: list[RabbitConnection] = []
        self._publishing: PublishingChannel | None = None
        self._consuming: ConsumingChannel | None = None
        self._feed: Feed | None = None
        self._failure: BrokerError | None = None
        self._closed = False
        self._deliveries: Deliveries | None = None
        self._bindings: Bindings | None = None
        self._renewals, self._clock = Renewals(), clock
        self._last_word, self._last_said = "", Event()
        self._sending, self._opening = Lock(), Lock()
        self.max_payload = MAX_PAYLOAD
        self.node = ""
        self.routed = False
        self.endpoint = written(settings.host, settings.port)

    async def open(self, feed: Feed) -> None:
        """Connect twice at once, and declare the queue.

        Each answer that is waited for is a way there and back, and many of them would take longer
        than a pod waits: so nothing is waited for that what follows does not depend on.
        """
        silence_library()
        context = client_context("rabbitmq", self._settings) if self._settings.tls else None
        # They are known here before anything is waited for, so that `close` ends both.
        publisher, consumer = self._connections = [
            RabbitConnection(self._settings, context, self) for _ in range(2)
        ]
        try:
            await gather(self._open_publisher(publisher), self._open_consumer(consumer, feed))
        except LIBRARY_ERRORS as error:
            failure = self._translated(error)
            await self.close()
            raise failure from None
        self._feed = feed
        self._connected()

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Bind the queue, and wait until it is."""
        await self._bind(channels)

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Declare the exchanges again and bind again: the server leaves alone what it has.

        Where that does not help, all is bound to another queue, which takes this one's place.
        """
        await self._bind(channels, again=True)
        if self._renewals.in_vain(channels, self._clock()):
            await self._move()

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Unbind the queue, and wait until it is."""
        bindings = self._connected()
        try:
            await bindings.remove(channels)
            self._connected()
        except LIBRARY_ERRORS as error:
            raise self._lose(self._translated(error)) from None

    async def publish(self, batch: Sequence[Message]) -> None:
        """Send the whole batch, and wait until the server has confirmed all of it."""
        left, denied = batch, dict[str, str]()
        for _ in range(_TRIES):
            channel = await self._open_publishing()
            try:
                await self._connected().declare({kind_of(each) for each, _ in left})
                await self._send(channel, left)
                break
            except ExchangeDenied as error:
                denied[error.kind] = str(translate(error.reason, self._settings))
            except LIBRARY_ERRORS as error:
                denied.update(await self._mend(channel, error, left))
            left = [message for message in batch if kind_of(message[0]) not in denied]
        else:
            raise self._lose(
                BrokerUnavailable(f"{self.endpoint}: the server closes one channel after another.")
            )
        if denied:
            places = [at for at, (each, _) in enumerate(batch) if kind_of(each) in denied]
            raise MessagesRefused(places, next(iter(denied.values())))

    async def close(self) -> None:
        """Close the sockets: what was not yet confirmed is not waited for."""
        self._closed = True
        self._publishing = self._consuming = self._bindings = None
        for connection in self._connections:
            connection.abandon()
        self._connections.clear()

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return the channel: there is one server."""
        return (channel,)

    async def heard(self, exchange: str, key: str, payload: bytes, tag: int) -> None:
        """Take a message from the server."""
        if exchange == self._topology.dropped:
            if key == self._last_word:
                self._last_said.set()
            else:
                self._dropped()
            return
        channel = self._topology.channel(exchange, key)
        if self._deliveries is not None:
            # A fanout sends what has another key, too.
            wanted = self._bindings is not None and channel in self._bindings
            await self._deliveries.append(channel if wanted else None, payload, tag)

    def ended(self, error: BaseException | None) -> None:
        """Learn that a connection or a channel has ended."""
        if not self._closed:
            self._lose(self._translated(error))

    def blocked(self, reason: str) -> None:
        """Learn that the server stops taking messages."""
        what = reason.strip(" .")[:200] or "an alarm"
        self._lose(
            BrokerUnavailable(
                f"{self.endpoint}: the server takes no messages ({what}): give it memory or disk."
            )
        )

    def cancelled(self) -> None:
        """Learn that the queue is gone."""
        self._lose(BrokerUnavailable(f"{self.endpoint}: the pod's queue was deleted."))

    def _dropped(self) -> None:
        self._lose(
            BrokerUnavailable(
                f"{self.endpoint}: the pod was too slow, and the server has dropped messages "
                "for it: see broker.rabbitmq.queueLength."
            )
        )

    def _translated(self, error: BaseException | None) -> BrokerError:
        # A channel's calls fail before its end is told, and know less.
        for channel in (self._publishing, self._bindings, self._consuming):
            error = error if channel is None or channel.reason is None else channel.reason
        return translate(error, self._settings)

    def _lose(self, error: BrokerError) -> BrokerError:
        self._failure = self._failure or error
        if self._feed is not None:
            self._feed.lost(self._failure)
        return self._failure

    async def _open_publisher(self, connection: RabbitConnection) -> None:
        await connection.begin()
        self._publishing = PublishingChannel(connection)
        await self._publishing.open()

    async def _open_consumer(self, connection: RabbitConnection, feed: Feed) -> None:
        await connection.begin()
        consuming = self._consuming = ConsumingChannel(connection, self)
        self._bindings = Bindings(connection, self._topology, feed.unheard)
        await consuming.begin()
        prefetch = self._settings.prefetch
        self._deliveries = Deliveries(feed, consuming.acknowledge, prefetch)
        pump = consuming.create_task(self._deliveries.pump())
        pump.add_done_callback(lambda _: self.ended(None))
        await consuming.request(self._topology.declarations(prefetch))
        self.node = node_name(connection.server)

    async def _bind(self, channels: Sequence[Channel], again: bool = False) -> None:
        bindings = self._connected()
        try:
            denied = await bindings.add(channels, again)
            self._connected()
        except LIBRARY_ERRORS as error:
            raise self._lose(self._translated(error)) from None
        if denied:
            kinds = {error.kind for error in denied}
            refused = [channel for channel in channels if kind_of(channel) in kinds]
            raise SubscriptionRefused(refused, str(translate(denied[0].reason, self._settings)))

    async def _move(self) -> None:
        bindings, consuming = self._connected(), self._consuming
        try:
            if consuming is not None:
                await bindings.move(consuming, partial(self._until_said, consuming))
            self._connected()
        except LIBRARY_ERRORS as error:
            raise self._lose(self._translated(error)) from None

    async def _until_said(self, consuming: ConsumingChannel, last_word: str) -> None:
        """Return when what waits for this pod on the server has come.

        Where it is too slow for that, what is left is missed, and told as that.
        """
        self._last_word, self._last_said = last_word, Event()
        await consuming.say(self._topology.dropped, last_word)
        with suppress(BrokerUnavailable):
            await within(LAST_WORD, self._last_said.wait())

    async def _open_publishing(self) -> PublishingChannel:
        """Return the channel to publish on; a new one where the server has closed the last.

        Others know of it when it is open: what is said on one that is not ends the connection.
        """
        self._connected()
        channel = self._publishing
        if channel is not None and channel.is_good:
            return channel
        async with self._opening:
            channel = self._publishing
            if channel is None or not channel.is_good:
                self._connected()
                channel = PublishingChannel(self._connections[0])
                try:
                    await channel.open()
                except LIBRARY_ERRORS as error:
                    raise self._lose(self._translated(channel.reason or error)) from None
                self._publishing = channel
            return channel

    async def _send(self, channel: PublishingChannel, batch: Sequence[Message]) -> None:
        pending: deque[Future[None]] = deque()
        for chunk in self._chunks(batch):
            if len(pending) >= _IN_FLIGHT:
                await pending.popleft()
            async with self._sending:
                self._connected()
                pending.append(await channel.send(chunk))
        for confirmed in pending:
            await confirmed

    async def _mend(
        self, channel: PublishingChannel, error: BaseException, batch: Sequence[Message]
    ) -> dict[str, str]:
        """Make good what the server closed the channel for, perhaps for somebody else's message.

        Returns the kinds that it denies, with its reasons. Raises `MessageTooLarge` when the batch
        holds what is too large, and `BrokerUnavailable` when it is the link's trouble.
        """
        reason = channel.reason
        trouble = trouble_of(reason)
        if trouble is not None and self._publishing is channel:
            self._publishing = None  # what it was closed for explains nothing that comes later
        match trouble:
            case TooLarge(limit):
                self.max_payload = min(limit, self.max_payload)
                refuse_too_large(batch, self.max_payload)
                return {}
            case Missing(exchange):
                try:
                    await self._connected().restore(self._topology.kind(exchange))
                except LIBRARY_ERRORS as failure:
                    raise self._lose(self._translated(failure)) from None
                except ExchangeDenied as refusal:
                    return {refusal.kind: str(translate(refusal.reason, self._settings))}
                return {}
            case Denied(exchange):
                kind = self._topology.kind(exchange)
                if any(kind_of(each) == kind for each, _ in batch):
                    return {kind: str(translate(reason, self._settings))}
                return {}
        raise self._lose(self._translated(error)) from None

    def _chunks(self, batch: Sequence[Message]) -> Iterator[list[Publication]]:
        chunk: list[Publication] = []
        nbytes = 0
        for channel, payload in batch:
            chunk.append((*self._topology.address(channel), payload))
            nbytes += len(payload)
            if len(chunk) >= _CHUNK or nbytes >= _CHUNK_BYTES:
                yield chunk
                chunk, nbytes = [], 0
        if chunk:
            yield chunk

    def _connected(self) -> Bindings:
        if self._failure is not None:
            raise self._failure
        if self._bindings is None:
            raise BrokerUnavailable(f"{self.endpoint}: not connected.")
        return self._bindings
