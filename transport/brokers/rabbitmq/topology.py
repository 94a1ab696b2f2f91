"""What exchanges and queues are called, and how they are declared.

A channel `kind.key` is the routing key `key` of the exchange `<exchange>.<kind>`; `all` is a
fanout. Exchanges are neither durable nor auto-delete: a restart of the server leaves nothing
behind, and each incarnation declares again what it uses; an exchange that went away with its last
binding would close the channel of whoever publishes to it next.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aio_pika import ExchangeType
from aiormq import spec
from attrs import frozen
from pamqp.base import Frame
from pamqp.common import FieldValue

from ....config import RabbitMQ as RabbitMQSettings
from ..contract import Channel

__all__ = ["QUEUE_BYTES", "Succession", "Topology", "kind_of"]

QUEUE_BYTES: Final = 128 * 2**20
"""Bytes that may wait for one pod on the server; the oldest messages are dropped."""

_FANOUT: Final = "all"

_DROPPED: Final = "dropped"

_LAST: Final = "last"


def kind_of(channel: Channel) -> str:
    """Return the kind of a channel, each of which has an exchange."""
    return channel.partition(".")[0]


@frozen
class Succession:
    """How a queue takes the place of another: what is asked before and after the `last_word`.

    That is a key of the exchange of what is dropped: what is said there stands in the old queue
    behind all that did not come into the new one. What came into both comes twice, in its order.
    """

    prepare: Sequence[Frame]
    last_word: str
    take_over: Sequence[Frame]


class Topology:
    """The names of one incarnation; each queue of it has one that nobody had before.

    What the server drops from the queue, because there is too much or for its age
    (`message_ttl`, seconds), it hands to a second queue, of length one.
    """

    def __init__(self, settings: RabbitMQSettings, message_ttl: float) -> None:
        self._prefix = f"{settings.exchange}."
        self._queue_length = settings.queue_length
        self._message_ttl = message_ttl
        self.queue = self._new_name()
        self.dropped = self._prefix + _DROPPED

    def exchange(self, kind: str) -> dict[str, Any]:
        """Return what declares the exchange of a kind of channel."""
        how = ExchangeType.FANOUT if kind == _FANOUT else ExchangeType.DIRECT
        return {"exchange": self._prefix + kind, "exchange_type": how.value}

    def address(self, channel: Channel) -> tuple[str, str]:
        """Return exchange and routing key of a channel."""
        kind, _, key = channel.partition(".")
        return self._prefix + kind, key

    def binding(self, channel: Channel) -> dict[str, Any]:
        """Return what binds the queue to a channel."""
        exchange, key = self.address(channel)
        return {"queue": self.queue, "exchange": exchange, "routing_key": key}

    def kind(self, exchange: str) -> str:
        """Return the kind of channel that an exchange is for."""
        return exchange.removeprefix(self._prefix)

    def channel(self, exchange: str, key: str) -> Channel:
        """Return the channel of an address."""
        return f"{self.kind(exchange)}.{key}"

    def declarations(self, prefetch: int) -> list[Frame]:
        """Return what declares both queues, and has the server send what is dropped and the rest.

        Of the queue it sends so many messages ahead.
        """
        return [
            spec.Exchange.Declare(**self.exchange(_DROPPED)),
            spec.Basic.Qos(prefetch_count=prefetch),
            *self._queues(),
            *self._consumers(),
        ]

    def successors(self, channels: Iterable[Channel]) -> Succession:
        """Return how queues of other names take the place of those that are there."""
        old, last_word = self._names, f"{self.queue}.{_LAST}"
        heard_last = spec.Queue.Bind(queue=self.queue, exchange=self.dropped, routing_key=last_word)
        self.queue = self._new_name()
        return Succession(
            [
                heard_last,
                *self._queues(),
                *(spec.Queue.Bind(**self.binding(channel)) for channel in channels),
            ],
            last_word,
            [*(spec.Basic.Cancel(consumer_tag=name) for name in old), *self._consumers()],
        )

    @property
    def _names(self) -> tuple[str, str]:
        return f"{self.queue}.{_DROPPED}", self.queue

    def _new_name(self) -> str:
        return f"{self._prefix}{secrets.token_hex(12)}"

    def _queues(self) -> list[Frame]:
        dropped, queue = self._names
        last: dict[str, FieldValue] = {"x-max-length": 1}
        return [
            self._own(dropped, last),
            spec.Queue.Bind(queue=dropped, exchange=self.dropped, routing_key=queue),
            self._own(queue, self._limits()),
        ]

    def _consumers(self) -> list[Frame]:
        """Each is called as its queue. What was dropped needs no acknowledgement."""
        dropped, queue = self._names
        return [
            spec.Basic.Consume(queue=dropped, consumer_tag=dropped, no_ack=True),
            spec.Basic.Consume(queue=queue, consumer_tag=queue),
        ]

    @staticmethod
    def _own(queue: str, limits: dict[str, FieldValue]) -> Frame:
        return spec.Queue.Declare(queue=queue, exclusive=True, auto_delete=True, arguments=limits)

    def _limits(self) -> dict[str, FieldValue]:
        return {
            "x-message-ttl": max(1, round(self._message_ttl * 1000)),
            "x-max-length": self._queue_length,
            "x-max-length-bytes": QUEUE_BYTES,
            "x-overflow": "drop-head",
            "x-dead-letter-exchange": self.dropped,
            "x-dead-letter-routing-key": self.queue,
        }
