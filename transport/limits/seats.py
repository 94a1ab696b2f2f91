"""Who may stay: the connections of one port that are no WebSockets, or none yet. Pure.

Most of what a connection does is wait: for a request to be whole, for the next one, for a client
to have read its last answer. Nothing is lost when such a one is closed, but a retry (RFC 9112
section 9.3.1). So nobody can fill the port by waiting: who comes and finds no seat takes that of
somebody who waits, first of its own address, which pays for what it does itself.

Only where all work, or when there are no descriptors, a newcomer has to stand. It is heard, and
answered if it asks for what must not depend on others (health, metrics, root), and is otherwise
told to come again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Final

from .shares import Asker, Grant, Shares

__all__ = ["PATIENT", "Seat", "Seats"]

PATIENT: Final = 1.0
"""Seconds that a connection may wait before others than its own address can take its seat: what
it has begun to send may be on its way across the world."""


class Seat:
    """The seat of one connection, which says when it waits and when it works.

    Who has no `sitting` seat stands; `grant` then says whose fault that is. `evicted` says that
    the seat was taken from it while it waited.
    """

    __slots__ = ("_asker", "_hall", "_home", "evicted", "grant", "queue", "seats", "since", "wake")

    def __init__(
        self, seats: Seats, hall: Shares, home: Asker, queue: Hashable, grant: Grant
    ) -> None:
        self.seats = seats
        self.queue = queue
        """Among whom it waits."""
        self.grant = grant
        self.evicted = False
        self.wake: Callable[[], None] | None = None
        self.since = 0.0
        """When it began to wait, in seconds."""
        self._hall: Shares | None = hall
        self._home = self._asker = home

    @property
    def sitting(self) -> bool:
        """Whether there was a seat."""
        return bool(self.grant)

    @property
    def closing(self) -> bool:
        """Whether nobody may wait any more."""
        return self.seats.closed

    def wait(self, wake: Callable[[], None], now: float) -> None:
        """Wait from now on: `wake` is called, at once perhaps, if the seat is wanted back."""
        if self.evicted:
            wake()
            return
        self.wake, self.since = wake, now
        self.seats.enqueue(self)

    def work(self) -> None:
        """Wait no more: nobody can take the seat."""
        if self.wake is not None:
            self.wake = None
            self.seats.dequeue(self)

    def account(self, address: str) -> Grant:
        """Learn on whose account a trusted proxy works here, and that it is nobody's again ("").

        Who comes by itself has the share that it came with.
        """
        if self._home.network or self._hall is None or not self.sitting:
            return Grant.GIVEN
        asker = Asker.of(address)
        self._hall.release(self._asker)
        grant = self._hall.take(asker)
        self._asker = asker if grant else self._home
        if not grant:
            self._hall.take(self._home)
        return grant

    def leave(self) -> None:
        """Give the seat back; harmless when repeated."""
        self.work()
        hall, self._hall = self._hall, None
        if hall is not None:
            hall.release(self._asker)


class _Queue(Enum):
    """Among whom those wait who stand; all others wait among those of their address."""

    STANDING = "standing"
    LAST = "last"


class Seats:
    """The seats of a port: `total` in all, `per_address` of them for one address (0: all).

    Beside them `standing` connections may be heard, and `last` of those that took a descriptor
    which was kept for need. Times are passed in, in seconds.
    """

    def __init__(self, total: int, per_address: int, standing: int, last: int) -> None:
        self.closed = False
        self._hall = Shares(total, per_address)
        self._lobbies = {_Queue.STANDING: Shares(standing), _Queue.LAST: Shares(last)}
        self._waiting: OrderedDict[Seat, None] = OrderedDict()  # of those that sit
        self._queues: dict[Hashable, OrderedDict[Seat, None]] = {}

    def __len__(self) -> int:
        return len(self._hall) + sum(len(lobby) for lobby in self._lobbies.values())

    def admit(self, address: str, now: float, *, scarce: bool = False) -> Seat | None:
        """Give a connection a seat, or let it stand, or return None where nobody can even stand.

        `address` is "" for a trusted proxy, behind which anybody may be. `scarce` says that its
        descriptor is one of the last.
        """
        asker = Asker.of(address)
        grant = Grant.NONE_LEFT if scarce else self._take(asker, now)
        if grant:
            return Seat(self, self._hall, asker, asker.network, grant)
        queue = _Queue.LAST if scarce else _Queue.STANDING
        lobby, nobody = self._lobbies[queue], Asker("")
        if not lobby.take(nobody) and not (self._evict(queue) and lobby.take(nobody)):
            return None
        return Seat(self, lobby, nobody, queue, grant)

    def clear(self) -> bool:
        """Take back one of the last descriptors, if somebody waits with it."""
        return self._evict(_Queue.LAST)

    def close(self) -> None:
        """Let nobody wait any more."""
        self.closed = True
        for queue in list(self._queues):
            while self._evict(queue):
                pass

    def enqueue(self, seat: Seat) -> None:
        """Let the others know that this seat can be taken back."""
        if self.closed:
            self._take_back(seat)
            return
        self._queues.setdefault(seat.queue, OrderedDict())[seat] = None
        if seat.sitting:
            self._waiting[seat] = None

    def dequeue(self, seat: Seat) -> None:
        """Let them know that it cannot."""
        queue = self._queues.get(seat.queue)
        if queue is not None:
            queue.pop(seat, None)
            if not queue:
                del self._queues[seat.queue]
        self._waiting.pop(seat, None)

    def _take(self, asker: Asker, now: float) -> Grant:
        grant = self._hall.take(asker)
        if grant is Grant.OVER_SHARE and self._evict(asker.network):
            return self._hall.take(asker)
        if grant is Grant.NONE_LEFT and self._make_room(now):
            return self._hall.take(asker)
        return grant

    def _make_room(self, now: float) -> bool:
        """Take back the seat that was waited on longest, of the address that holds most."""
        queue = self._queues.get(self._hall.heaviest()) or self._waiting
        oldest = next(iter(queue), None)
        if oldest is None or now - oldest.since < PATIENT:
            return False
        self._take_back(oldest)
        return True

    def _evict(self, queue: Hashable) -> bool:
        oldest = next(iter(self._queues.get(queue, ())), None)
        if oldest is not None:
            self._take_back(oldest)
        return oldest is not None

    def _take_back(self, seat: Seat) -> None:
        wake = seat.wake
        seat.evicted = True
        seat.leave()
        if wake is not None:
            wake()
