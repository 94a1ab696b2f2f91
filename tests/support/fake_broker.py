"""A broker without a server that fails as tests like: for pods in one process, under any clock."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from deployd.transport import BrokerRefused, BrokerUnavailable
from deployd.transport.brokers.contract import (
    Broker,
    Channel,
    Inbox,
    Message,
    refuse_too_large,
)
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus

__all__ = ["FakeBroker", "FakeBus"]


class FakeBus(MemoryBus):
    """The fake server: `kill` and `start`, `freeze` and `thaw`, `refuse`.

    Who listens to a channel that is `deaf` hears nothing there until it subscribes again; what is
    published on one that is `dropping` is taken, and lost. Brokers of another `side` hear each
    other not at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.brokers: set[FakeBroker] = set()
        self.published: list[Message] = []
        self.connections = 0
        self.up, self.reason = True, "connection reset"
        self.refusing = False
        self.deaf: set[Channel] = set()
        self.renewed: list[Channel] = []
        self.dropping: set[Channel] = set()
        self._thawed = trio.Event()
        self._thawed.set()

    def make(self) -> Broker:
        """Make one incarnation of a link."""
        return FakeBroker(self)

    def kill(self, reason: str = "connection reset") -> None:
        """Cut everybody off, and refuse connections until `start`, with the same words."""
        self.up, self.reason = False, reason
        for broker in list(self.brokers):
            broker.cut(reason)

    def start(self) -> None:
        """Take connections again."""
        self.up = True

    def freeze(self) -> None:
        """Answer nothing, deliver nothing, keep connections open."""
        if self._thawed.is_set():
            self._thawed = trio.Event()

    def thaw(self) -> None:
        """Go on."""
        self._thawed.set()

    async def turn(self) -> None:
        """Wait while frozen, for ever if need be."""
        await trio.lowlevel.checkpoint()
        await self._thawed.wait()


class FakeBroker(MemoryBroker):
    """One incarnation of a link to the fake server."""

    def __init__(self, bus: FakeBus) -> None:
        super().__init__(bus)
        self.server = bus
        self.endpoint = "fake:1"
        self.inbox: Inbox | None = None
        self.side = 0

    def cut(self, reason: str) -> None:
        """Lose the connection."""
        self.server.brokers.discard(self)
        if self.inbox is not None:
            self.inbox.lost(BrokerUnavailable(f"fake:1: {reason}."))

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        """Connect if the server is there and likes us."""
        self.server.connections += 1
        await self._answer()
        if self.server.refusing:
            raise BrokerRefused("fake:1 refuses the password; set broker.fake.password.")
        await super().connect(inbox, nursery)
        self.inbox = inbox
        self.server.brokers.add(self)

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels."""
        await self._answer()
        await super().subscribe(channels)

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these again: what was silently gone is made anew."""
        await self.subscribe(channels)
        self.server.renewed += channels
        self.server.deaf.difference_update(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels no longer."""
        await self._answer()
        await super().unsubscribe(channels)

    async def publish(self, batch: Sequence[Message]) -> None:
        """Take a batch; a server that is killed in the middle took it or not."""
        await self._answer()
        self.server.published.extend(batch)
        refuse_too_large(batch, self.max_payload)
        for channel, payload in batch:
            if channel not in self.server.dropping:
                for listener in self.server.listeners(channel):
                    if not isinstance(listener, FakeBroker) or listener.side == self.side:
                        listener.hear(channel, payload)
        await self._answer()

    def hear(self, channel: Channel, payload: bytes) -> None:
        """Deliver, unless the subscription is silently gone."""
        if channel not in self.server.deaf:
            super().hear(channel, payload)

    async def close(self) -> None:
        """Let go."""
        self.server.brokers.discard(self)
        await super().close()

    async def _answer(self) -> None:
        await self.server.turn()
        if not self.server.up:
            raise BrokerUnavailable(f"fake:1: {self.server.reason}.")
