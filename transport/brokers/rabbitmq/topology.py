"""What exchanges and queues are called, and how they are declared.

A channel `kind.key` is the routing key `key` of the exchange `<exchange>.<kind>`; `all` is a
fanout. Exchanges are neither durable nor auto-delete: a restart of the server leaves nothing
behind, and each incarnation declares again what it uses; an exchange that went away with its last
binding would close the channel of whoever publishes to it next.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from aio_pika import ExchangeType
from aiormq import spec
from pamqp.base import Frame
from pamqp.common import FieldValue

from ....config import RabbitMQ as RabbitMQSettings
from ..contract import Channel

__all__ = ["QUEUE_BYTES", "Topology", "kind_of"]

QUEUE_BYTES: Final = 128 * 2**20
"""Bytes that may wait for one pod on the server; the oldest messages are dropped."""

_FANOUT: Final = "all"

_DROPPED: Final = "dropped"


def kind_of(channel: Channel) -> str:
    """Return the kind of a channel, each of which has an exchange."""
    return channel.partition(".")[0]


class Topology:
    """The names of one incarnation; its queue has one that nobody had before.

    What the server drops from the queue, because there is too much or for its age
    (`message_ttl`, seconds), it hands to a second queue, of length one.
    """

    def __init__(self, settings: RabbitMQSettings, message_ttl: float) -> None:
        self._prefix = f"{settings.exchange}."
        self._queue_length = settings.queue_length
        self._message_ttl = message_ttl
        self.queue = f"{self._prefix}{secrets.token_hex(12)}"
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

        Of the queue it sends so many messages ahead; what was dropped needs no acknowledgement.
        """
        dropped = f"{self.queue}.{_DROPPED}"
        last: dict[str, FieldValue] = {"x-max-length": 1}
        return [
            spec.Exchange.Declare(**self.exchange(_DROPPED)),
            self._own(dropped, last),
            spec.Queue.Bind(queue=dropped, exchange=self.dropped, routing_key=self.queue),
            spec.Basic.Consume(queue=dropped, no_ack=True),
            self._own(self.queue, self._limits()),
            spec.Basic.Qos(prefetch_count=prefetch),
            spec.Basic.Consume(queue=self.queue),
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
