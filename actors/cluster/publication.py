"""An event on its way to the other pods, and where it waits while the broker is away."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from ...transport import Event, InDoubt, Scope
from ...transport.brokers import EVENT_BYTES

__all__ = ["CHARACTER", "Buffer", "Publication", "Settle", "weight"]

Settle = Callable[[Scope | InDoubt], None]
"""Learns how far an event has got; called once, on trio's thread, and must not wait or raise."""

CHARACTER: Final = 6
"""Bytes that one character of a name takes in JSON at most."""


class Publication(NamedTuple):
    """An event for the other pods. A tuple, for one is made for each event that goes.

    `born` is in seconds of a steady clock, from which its age is counted, `nbytes` its `weight`.
    `settle` is there when somebody waits for the outcome.
    """

    event: Event
    born: float
    nbytes: int
    settle: Settle | None = None


def weight(name: str, encoded: bytes) -> int:
    """Return the bytes that an event takes at most, where it waits and in an envelope."""
    return len(encoded) + CHARACTER * len(name) + EVENT_BYTES


class Buffer:
    """What waits for the broker to come back: bounded by messages, bytes and age (seconds).

    What is in keeps its place: when it is full the newest is turned away, for those before it
    have been told that they wait.
    """

    def __init__(self, max_messages: int, max_bytes: int, ttl: float) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._waiting: deque[Publication] = deque()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def age(self, now: float) -> float:
        """Return how long (seconds) the oldest has waited, or 0."""
        return now - self._waiting[0].born if self._waiting else 0.0

    def add(self, publication: Publication) -> bool:
        """Keep one more, behind those that wait; False when there is no room for it."""
        if len(self._waiting) >= self._max_messages or (
            self.nbytes + publication.nbytes > self._max_bytes
        ):
            return False
        self._waiting.append(publication)
        self.nbytes += publication.nbytes
        return True

    def expire(self, now: float) -> list[Publication]:
        """Take out what has waited too long."""
        expired = []
        while self._waiting and now - self._waiting[0].born > self._ttl:
            expired.append(self._pop())
        return expired

    def take(self, max_messages: int, max_bytes: int) -> list[Publication]:
        """Take the oldest, one at least when there is one."""
        taken: list[Publication] = []
        weight = 0
        while self._waiting and len(taken) < max_messages:
            weight += self._waiting[0].nbytes
            if taken and weight > max_bytes:
                break
            taken.append(self._pop())
        return taken

    def put_back(self, publications: list[Publication]) -> None:
        """Put in front what was taken and may not have got through; its place is still its own."""
        self._waiting.extendleft(reversed(publications))
        self.nbytes += sum(publication.nbytes for publication in publications)

    def _pop(self) -> Publication:
        publication = self._waiting.popleft()
        self.nbytes -= publication.nbytes
        return publication
