"""Pings for all connections of a pod: one clock and two queues instead of a task each."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

__all__ = ["Heartbeat", "Pulse"]


class Pulse(Protocol):
    """A connection as the heartbeat sees it."""

    @property
    def last_received(self) -> float:
        """When the last byte came from the client, on the pod's clock (seconds)."""

    @property
    def paused(self) -> bool:
        """Whether the pod itself has stopped reading from the client."""

    def ping(self) -> None:
        """Send a ping."""

    def flatline(self) -> None:
        """Take in that the client has not answered in time."""


class Heartbeat:
    """Decides who is pinged when, and who has not answered (RFC 6455 section 5.5.2).

    Pure: the time is passed in, a task of the pod calls `beat` and waits. All intervals are the
    same and the time-out is the shorter, so both queues stay sorted by being appended to. Any
    byte counts as a sign of life, and a client that the pod does not read from at the moment is
    not held to be silent.
    """

    __slots__ = ("_awaited", "_due", "interval", "timeout")

    def __init__(self, interval: float, timeout: float) -> None:
        self.interval = interval
        self.timeout = timeout
        self._due: OrderedDict[Pulse, float] = OrderedDict()
        self._awaited: OrderedDict[Pulse, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def watch(self, pulse: Pulse, now: float) -> None:
        """Ping this connection from now on, first after one interval."""
        self._due[pulse] = now + self.interval

    def forget(self, pulse: Pulse) -> None:
        """Stop watching; harmless when it is not watched."""
        self._due.pop(pulse, None)
        self._awaited.pop(pulse, None)

    def beat(self, now: float) -> float:
        """Do what is due and return when there will be something next (infinity: nothing)."""
        for pulse in self._take(self._awaited, now):
            if not pulse.paused and pulse.last_received < now - self.timeout:
                self._due.pop(pulse, None)
                pulse.flatline()
        for pulse in self._take(self._due, now):
            self._due[pulse] = now + self.interval
            self._awaited[pulse] = now + self.timeout
            pulse.ping()
        return min(self._first(self._awaited), self._first(self._due))

    @staticmethod
    def _take(queue: OrderedDict[Pulse, float], now: float) -> list[Pulse]:
        taken = []
        while queue:
            pulse, due = next(iter(queue.items()))
            if due > now:
                break
            del queue[pulse]
            taken.append(pulse)
        return taken

    @staticmethod
    def _first(queue: OrderedDict[Pulse, float]) -> float:
        return next(iter(queue.values()), float("inf"))
