"""A broker that hears badly on purpose: for chaos tests of a pod that runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import trio
from attrs import define, field, frozen

from ..errors import BrokerError
from .contract import Broker, Channel, Inbox, Message

__all__ = ["Fate", "FaultyBroker", "Mischief"]

MOST_HELD: Final = 1000
"""Messages that one connection may hold back; with more the oldest go on at once."""

MOST_HELD_BYTES: Final = 16 * 2**20

OVERTAKEN: Final = 0.5
"""Seconds that a message waits at most for another to overtake it."""


@frozen
class Fate:
    """What becomes of a message: how often it comes, how late (seconds), whether after the next."""

    copies: int = 1
    delay: float = 0.0
    behind: bool = False


Mischief: TypeAlias = Callable[[Channel], Fate | None]
"""Decides what becomes of a message of a channel; None is: nothing, let it pass."""


class FaultyBroker(Broker):
    """Wraps another broker: what that hears goes through `mischief` before the pod has it.

    Only what is heard: a message that one pod does not hear is one that was lost on its way.
    What is published, subscribed and proven is the wrapped broker's alone. Where nothing is to
    become of a message, and nothing is held, it costs one call.
    """

    def __init__(self, broker: Broker, mischief: Mischief) -> None:
        self._broker = broker
        self._mischief = mischief
        self._inbox: _HeldInbox | None = None
        self.max_payload = broker.max_payload
        self.endpoint = broker.endpoint

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        """Connect the wrapped broker."""
        held = self._inbox = _HeldInbox(inbox, self._mischief, nursery)
        await self._broker.connect(held, nursery)
        broker = self._broker
        self.max_payload, self.endpoint = broker.max_payload, broker.endpoint
        self.node, self.routed = broker.node, broker.routed

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels."""
        await self._broker.subscribe(channels)

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear them again."""
        await self._broker.resubscribe(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels no longer; what is held of them still comes."""
        await self._broker.unsubscribe(channels)

    async def publish(self, batch: Sequence[Message]) -> None:
        """Hand over messages, in order."""
        await self._broker.publish(batch)

    async def close(self) -> None:
        """Forget what is held, and let go of everything."""
        if self._inbox is not None:
            self._inbox.close()
        await self._broker.close()

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return how a pod proves that it hears itself."""
        return self._broker.probes(channel)


@define
class _Held:
    """A message that waits: until `due` (trio's seconds), or until another has overtaken it."""

    channel: Channel
    payload: bytes
    due: float
    behind: bool


@define(eq=False)
class _HeldInbox:
    """An inbox before the pod's: drops, doubles and holds back."""

    _inbox: Inbox
    _mischief: Mischief
    _nursery: trio.Nursery
    _held: deque[_Held] = field(factory=deque)
    _nbytes: int = 0
    _carrying: bool = False
    _closed: bool = False

    def deliver(self, channel: Channel, payload: bytes) -> None:
        """Take a message, and do with it what is decided."""
        fate = self._mischief(channel)
        if self._closed or (fate is None and not self._held):
            self._inbox.deliver(channel, payload)
            return
        fate = fate or Fate()
        now = trio.current_time()
        for _ in range(fate.copies):
            self._take(channel, payload, fate, now)

    def full(self, resume: Callable[[], object]) -> bool:
        """Say whether the next message had better wait."""
        return self._inbox.full(resume)

    def lost(self, error: BrokerError) -> None:
        """Pass it on; what is held still comes, as what was under way would."""
        self._inbox.lost(error)

    def unheard(self, channels: Sequence[Channel]) -> None:
        """Pass it on."""
        self._inbox.unheard(channels)

    def close(self) -> None:
        """Forget what is held."""
        self._closed = True
        self._held.clear()
        self._nbytes = 0

    def _take(self, channel: Channel, payload: bytes, fate: Fate, now: float) -> None:
        waiting = any(not held.behind for held in self._held)
        if fate.behind:
            self._hold(_Held(channel, payload, now + OVERTAKEN, behind=True))
        elif fate.delay or waiting:  # who is slow keeps its order: nothing passes what waits
            last = max((held.due for held in self._held if not held.behind), default=now)
            self._hold(_Held(channel, payload, max(now + fate.delay, last), behind=False))
        else:
            self._inbox.deliver(channel, payload)
            self._let_overtaken_go()

    def _hold(self, held: _Held) -> None:
        self._held.append(held)
        self._nbytes += len(held.payload)
        while len(self._held) > MOST_HELD or self._nbytes > MOST_HELD_BYTES:
            self._let_go(self._held[0])
        if not self._carrying and self._held:
            self._carrying = True
            self._nursery.start_soon(self._carry)

    def _let_go(self, held: _Held) -> None:
        self._held.remove(held)
        self._nbytes -= len(held.payload)
        self._inbox.deliver(held.channel, held.payload)

    def _let_overtaken_go(self) -> None:
        for held in [held for held in self._held if held.behind]:
            self._let_go(held)

    async def _carry(self) -> None:
        """Let go of what is due, until nothing is held."""
        try:
            while self._held:
                await trio.sleep_until(min(held.due for held in self._held))
                now = trio.current_time()
                for held in [held for held in self._held if held.due <= now]:
                    if held in self._held:  # it may have gone with one before it
                        self._let_go(held)
                    if not held.behind:
                        self._let_overtaken_go()
        finally:
            self._carrying = False
