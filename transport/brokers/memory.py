"""The broker of one process: the default, and what tests of several pods share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import trio

from ..errors import BrokerUnavailable
from .contract import Broker, Channel, Inbox, Message, refuse_too_large

__all__ = ["MemoryBroker", "MemoryBus"]


class MemoryBus:
    """What the memory brokers of one process share. Of one trio run; delivers at once."""

    def __init__(self) -> None:
        self._listeners: dict[Channel, dict[MemoryBroker, None]] = {}

    def listen(self, channel: Channel, listener: MemoryBroker) -> None:
        """Let it hear the channel, once."""
        self._listeners.setdefault(channel, {})[listener] = None

    def leave(self, channel: Channel, listener: MemoryBroker) -> None:
        """Let it hear the channel no longer."""
        listeners = self._listeners.get(channel, {})
        listeners.pop(listener, None)
        if not listeners:
            self._listeners.pop(channel, None)

    def listeners(self, channel: Channel) -> Iterable[MemoryBroker]:
        """Return who hears the channel now."""
        return tuple(self._listeners.get(channel, ()))


class MemoryBroker(Broker):
    """A broker without a server: what is published arrives before `publish` returns."""

    def __init__(self, bus: MemoryBus, prefix: str = "") -> None:
        self._bus = bus
        self._prefix = prefix
        self._inbox: Inbox | None = None
        self._heard: set[Channel] = set()
        self.endpoint = self.node = "memory"

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        """Begin to take calls."""
        await trio.lowlevel.checkpoint()
        self._inbox = inbox

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels."""
        await self._checkpoint()
        for channel in channels:
            self._heard.add(channel)
            self._bus.listen(self._prefix + channel, self)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels no longer."""
        await self._checkpoint()
        for channel in channels:
            self._leave(channel)

    async def publish(self, batch: Sequence[Message]) -> None:
        """Deliver to all who listen, in order."""
        refuse_too_large(batch, self.max_payload)
        await self._checkpoint()
        for channel, payload in batch:
            for listener in self._bus.listeners(self._prefix + channel):
                listener.hear(channel, payload)

    def hear(self, channel: Channel, payload: bytes) -> None:
        """Take a message of the bus."""
        if self._inbox is not None:
            self._inbox.deliver(channel, payload)

    async def close(self) -> None:
        """Leave every channel."""
        self._inbox = None
        for channel in tuple(self._heard):
            self._leave(channel)
        await trio.lowlevel.checkpoint()

    def _leave(self, channel: Channel) -> None:
        self._heard.discard(channel)
        self._bus.leave(self._prefix + channel, self)

    async def _checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._inbox is None:
            raise BrokerUnavailable("memory: not connected.")
