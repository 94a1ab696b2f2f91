"""What makes a broker's asyncio client library fit the bridge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...errors import BrokerError
from ..contract import Channel, Message

__all__ = ["Driver", "Feed"]


class Feed(Protocol):
    """Where a driver puts what it hears. For the loop's thread."""

    async def put(self, channel: Channel, payload: bytes) -> None:
        """Take a message; waits while the pod has too much of this link to handle already."""

    def lost(self, error: BrokerError) -> None:
        """Note that the connection is gone or messages were; only the first call counts."""

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Note that these are not heard any more, though the connection is well."""


class Driver(Protocol):
    """A broker's client library behind the promises of `Broker`; runs on an asyncio loop.

    It is made on trio's thread, where its constructor must not touch the loop; every method but
    `probes` runs on the loop. Errors of the library leave it as `BrokerError`s.
    """

    max_payload: int
    endpoint: str
    node: str
    routed: bool

    async def open(self, feed: Feed) -> None:
        """Connect, and put into the feed from now on."""

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.subscribe`."""

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.resubscribe`."""

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.unsubscribe`."""

    async def publish(self, batch: Sequence[Message]) -> None:
        """See `Broker.publish`; none of the batch is above `max_payload`."""

    async def close(self) -> None:
        """Let go of the connection, in any state, also while or after `open` failed."""

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """See `Broker.probes`."""
