"""RabbitMQ, through aio-pika: its words and errors, and the engine that it is made of (aiormq).

aio-pika's own connections and channels stand in the way here: each message costs three objects and
a task more, and what the server says of a connection does not reach its user.

There are two connections, because a server with an alarm (memory, disk) stops reading from those
that publish. `publish` returns when the server has confirmed the batch, that is when every queue
of this server has it. Where the server dropped messages that waited for this pod, the link is lost:
`rabbitmq_topology` has what is where.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from aiormq import spec
from pamqp.base import Frame

from ....config import RabbitMQ as RabbitMQSettings
from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from ..bridge import Feed, Future, Lock
from ..contract import Channel, Message
from .client import ConsumingChannel, PublishingChannel, RabbitConnection, silence_library
from .deliveries import Deliveries
from .errors import LIBRARY_ERRORS, translate
from .frames import Publication
from .topology import Topology

__all__ = ["MAX_PAYLOAD", "RabbitDriver"]

MAX_PAYLOAD: Final = 8 * 2**20
"""Bytes: below the `max_message_size` that servers come with, 16 MiB in 4.x and 128 in 3.x."""

_BINDINGS: Final = 256
"""Requests that are sent before answers are read."""

_CHUNK: Final = 512
"""Messages that are written at a time."""

_CHUNK_BYTES: Final = 2**20

_IN_FLIGHT: Final = 4
"""Chunks of one batch that may be unconfirmed."""


_Channel = TypeVar("_Channel", PublishingChannel, ConsumingChannel)


class RabbitDriver:
    """Two connections to one server. They never reconnect.

    `message_ttl` is how long (seconds) a message may wait on the server for this pod.
    """

    def __init__(self, settings: RabbitMQSettings, message_ttl: float) -> None:
        self._settings = settings
        self._topology = Topology(settings, message_ttl)
        self._connections: list[RabbitConnection] = []
        self._publishing: PublishingChannel | None = None
        self._consuming: ConsumingChannel | None = None
        self._feed: Feed | None = None
        self._failure: BrokerError | None = None
        self._closed = False
        self._deliveries: Deliveries | None = None
        self._declared: set[str] = set()
        self._bound: set[Channel] = set()
        self._declaring, self._binding, self._sending = Lock(), Lock(), Lock()
        self.max_payload = MAX_PAYLOAD
        self.node = ""
        self.endpoint = f"{settings.host}:{settings.port}"

    async def open(self, feed: Feed) -> None:
        """Connect twice, and declare the queue."""
        silence_library()
        context = tls(self._settings)
        try:
            self._publishing = PublishingChannel(await self._connect(context), self)
            await self._publishing.begin()
            self._consuming = ConsumingChannel(await self._connect(context), self)
            await self._consuming.begin()
            await self._consume(self._consuming, feed)
        except LIBRARY_ERRORS as error:
            failure = self._translated(error)
            await self.close()
            raise failure from None
        self._feed = feed
        self._connected(self._consuming)

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Bind the queue, and wait until it is."""
        async with self._binding:
            new = [channel for channel in dict.fromkeys(channels) if channel not in self._bound]
            await self._declare(new)
            # From now on, for what was published meanwhile may arrive before the answer does.
            self._bound.update(new)
            await self._request(
                [spec.Queue.Bind(**self._topology.binding(channel)) for channel in new]
            )

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.resubscribe`."""
        await self.subscribe(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Unbind the queue, and wait until it is."""
        async with self._binding:
            old = [channel for channel in dict.fromkeys(channels) if channel in self._bound]
            self._bound.difference_update(old)
            await self._request(
                [spec.Queue.Unbind(**self._topology.binding(channel)) for channel in old]
            )

    async def publish(self, batch: Sequence[Message]) -> None:
        """Send the whole batch, and wait until the server has confirmed all of it."""
        self._connected(self._publishing)
        await self._declare([channel for channel, _ in batch])
        pending: deque[Future[None]] = deque()
        try:
            for chunk in self._chunks(batch):
                if len(pending) >= _IN_FLIGHT:
                    await pending.popleft()
                async with self._sending:
                    pending.append(await self._connected(self._publishing).send(chunk))
            for confirmed in pending:
                await confirmed
        except LIBRARY_ERRORS as error:
            raise self._lose(self._translated(error)) from None

    async def close(self) -> None:
        """Close the sockets: what was not yet confirmed is not waited for."""
        self._closed = True
        self._publishing = self._consuming = None
        for connection in self._connections:
            connection.abandon()
        self._connections.clear()

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return the channel: there is one server."""
        return (channel,)

    async def heard(self, exchange: str, key: str, payload: bytes, tag: int) -> None:
        """Take a message from the server."""
        if exchange == self._topology.dropped:
            self._dropped()
            return
        channel = self._topology.channel(exchange, key)
        if self._deliveries is not None:
            # A fanout sends what has another key, too.
            wanted = channel in self._bound
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
        for channel in (self._publishing, self._consuming):
            error = error if channel is None or channel.reason is None else channel.reason
        return translate(error, self._settings)

    def _lose(self, error: BrokerError) -> BrokerError:
        self._failure = self._failure or error
        if self._feed is not None:
            self._feed.lost(self._failure)
        return self._failure

    async def _connect(self, context: ssl.SSLContext | None) -> RabbitConnection:
        connection = RabbitConnection(self._settings, context, self)
        self._connections.append(connection)
        await connection.begin()
        return connection

    async def _consume(self, consuming: ConsumingChannel, feed: Feed) -> None:
        await self._topology.declare(consuming)
        await consuming.basic_qos(prefetch_count=self._settings.prefetch)
        self._deliveries = Deliveries(feed, consuming.acknowledge, self._settings.prefetch)
        pump = consuming.create_task(self._deliveries.pump())
        pump.add_done_callback(lambda _: self.ended(None))
        await consuming.consume(self._topology.queue)

    async def _declare(self, channels: Sequence[Channel]) -> None:
        kinds = {channel.partition(".")[0] for channel in channels}
        if kinds <= self._declared:
            return
        async with self._declaring:
            new = sorted(kinds - self._declared)
            await self._request(
                [spec.Exchange.Declare(**self._topology.exchange(kind)) for kind in new]
            )
            self._declared.update(new)

    async def _request(self, frames: Sequence[Frame]) -> None:
        try:
            for start in range(0, len(frames), _BINDINGS):
                consuming = self._connected(self._consuming)
                await consuming.request(frames[start : start + _BINDINGS])
            self._connected(self._consuming)
        except LIBRARY_ERRORS as error:
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

    def _connected(self, channel: _Channel | None) -> _Channel:
        if self._failure is not None:
            raise self._failure
        if channel is None:
            raise BrokerUnavailable(f"{self.endpoint}: not connected.")
        return channel


def tls(settings: RabbitMQSettings) -> ssl.SSLContext | None:
    """Return what TLS needs, or None without; `BrokerRefused` when `ca_file` is not good."""
    if not settings.tls:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:
        what = error.strerror or "it holds no certificate"
        file = settings.ca_file
        raise BrokerRefused(f"broker.rabbitmq.caFile: {file} cannot be used: {what}.") from None
