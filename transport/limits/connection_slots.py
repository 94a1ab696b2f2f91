"""Who may stay: the connections of one port that are no WebSockets, or none yet. Pure.

Most of what a connection does is wait: for a request to be whole, for the next one, for a client
to have read its last answer. Nothing is lost when such a one is closed, but a retry (RFC 9112
section 9.3.1). So nobody can fill the port by waiting: who comes and finds no slot takes that of
somebody who waits, first of its own address, which pays for what it does itself.

Only where all work, or when there are no descriptors, a newcomer is overflow. It is heard, and
answered if it asks for what must not depend on others (health, metrics, root), and is otherwise
told to come again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Final

from .shares import Asker, Grant, Shares

__all__ = ["EVICTABLE_AFTER", "ConnectionSlot", "ConnectionSlots"]

EVICTABLE_AFTER: Final = 1.0
"""Seconds that a connection may wait before others than its own address can take its slot: what
it has begun to send may be on its way across the world."""


class ConnectionSlot:
    """The slot of one connection, which says when it waits and when it works.

    Who was not `granted` one is overflow, and `grant` says whose fault that is. `evicted` says that
    the slot was taken from it while it waited.
    """

    __slots__ = (
        "_asker",
        "_owner",
        "_shares",
        "evicted",
        "grant",
        "queue",
        "since",
        "slots",
        "wake",
    )

    def __init__(
        self, slots: ConnectionSlots, shares: Shares, owner: Asker, queue: Hashable, grant: Grant
    ) -> None:
        self.slots = slots
        self.queue = queue
        """Among whom it waits."""
        self.grant = grant
        self.evicted = False
        self.wake: Callable[[], None] | None = None
        self.since = 0.0
        """When it began to wait, in seconds."""
        self._shares: Shares | None = shares
        self._owner = self._asker = owner

    @property
    def granted(self) -> bool:
        """Whether there was a slot for it."""
        return bool(self.grant)

    @property
    def closing(self) -> bool:
        """Whether nobody may wait any more."""
        return self.slots.closed

    def wait(self, wake: Callable[[], None], now: float) -> None:
        """Wait from now on: `wake` is called, at once perhaps, if the slot is wanted back."""
        if self.evicted:
            wake()
            return
        self.wake, self.since = wake, now
        self.slots.enqueue(self)

    def work(self) -> None:
        """Wait no more: nobody can take the slot."""
        if self.wake is not None:
            self.wake = None
            self.slots.dequeue(self)

    def account(self, address: str) -> Grant:
        """Learn on whose account a trusted proxy works here, and that it is nobody's again ("").

        Who comes by itself has the share that it came with.
        """
        if self._owner.network or self._shares is None or not self.granted:
            return Grant.GIVEN
        asker = Asker.of(address)
        self._shares.release(self._asker)
        grant = self._shares.take(asker)
        self._asker = asker if grant else self._owner
        if not grant:
            self._shares.take(self._owner)
        return grant

    def leave(self) -> None:
        """Give the slot back; harmless when repeated."""
        self.work()
        shares, self._shares = self._shares, None
        if shares is not None:
            shares.release(self._asker)


class _OverflowQueue(Enum):
    """Among whom the overflow waits; all others wait among those of their address."""

    EXCESS = "excess"
    LAST = "last"


class ConnectionSlots:
    """The slots of a port: `total` in all, `per_address` of them for one address (0: all).

    Beside them `overflow` connections may be heard, and `last` of those that took a descriptor
    which was kept for need. Times are passed in, in seconds.
    """

    def __init__(self, total: int, per_address: int, overflow: int, last: int) -> None:
        self.closed = False
        self._shares = Shares(total, per_address)
        self._overflow = {
            _OverflowQueue.EXCESS: Shares(overflow),
            _OverflowQueue.LAST: Shares(last),
        }
        self._waiting: OrderedDict[ConnectionSlot, None] = (
            OrderedDict()
        )  # of those that were granted
        self._queues: dict[Hashable, OrderedDict[ConnectionSlot, None]] = {}

    def __len__(self) -> int:
        return len(self._shares) + sum(len(room) for room in self._overflow.values())

    def admit(self, address: str, now: float, *, scarce: bool = False) -> ConnectionSlot | None:
        """Give a connection a slot, or take it as overflow, or return None where even that is full.

        `address` is "" for a trusted proxy, behind which anybody may be. `scarce` says that its
        descriptor is one of the last.
        """
        asker = Asker.of(address)
        grant = Grant.NONE_LEFT if scarce else self._take(asker, now)
        if grant:
            return ConnectionSlot(self, self._shares, asker, asker.network, grant)
        queue = _OverflowQueue.LAST if scarce else _OverflowQueue.EXCESS
        room, nobody = self._overflow[queue], Asker("")
        if not room.take(nobody) and not (self._evict(queue) and room.take(nobody)):
            return None
        return ConnectionSlot(self, room, nobody, queue, grant)

    def clear(self) -> bool:
        """Take back one of the last descriptors, if somebody waits with it."""
        return self._evict(_OverflowQueue.LAST)

    def close(self) -> None:
        """Let nobody wait any more."""
        self.closed = True
        for queue in list(self._queues):
            while self._evict(queue):
                pass

    def enqueue(self, slot: ConnectionSlot) -> None:
        """Let the others know that this slot can be taken back."""
        if self.closed:
            self._take_back(slot)
            return
        self._queues.setdefault(slot.queue, OrderedDict())[slot] = None
        if slot.granted:
            self._waiting[slot] = None

    def dequeue(self, slot: ConnectionSlot) -> None:
        """Let them know that it cannot."""
        queue = self._queues.get(slot.queue)
        if queue is not None:
            queue.pop(slot, None)
            if not queue:
                del self._queues[slot.queue]
        self._waiting.pop(slot, None)

    def _take(self, asker: Asker, now: float) -> Grant:
        grant = self._shares.take(asker)
        if grant is Grant.OVER_SHARE and self._evict(asker.network):
            return self._shares.take(asker)
        if grant is Grant.NONE_LEFT and self._make_room(now):
            return self._shares.take(asker)
        return grant

    def _make_room(self, now: float) -> bool:
        """Take back the slot that was waited on longest, of the address that holds most."""
        queue = self._queues.get(self._shares.heaviest()) or self._waiting
        oldest = next(iter(queue), None)
        if oldest is None or now - oldest.since < EVICTABLE_AFTER:
            return False
        self._take_back(oldest)
        return True

    def _evict(self, queue: Hashable) -> bool:
        oldest = next(iter(self._queues.get(queue, ())), None)
        if oldest is not None:
            self._take_back(oldest)
        return oldest is not None

    def _take_back(self, slot: ConnectionSlot) -> None:
        wake = slot.wake
        slot.evicted = True
        slot.leave()
        if wake is not None:
            wake()
