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

    __slots__ = ("_pinged", "_quiet", "interval", "timeout")

    def __init__(self, interval: float, timeout: float) -> None:
        self.interval = interval
        self.timeout = timeout
        self._quiet: OrderedDict[Pulse, float] = OrderedDict()
        """Since when each has not been pinged."""
        self._pinged: OrderedDict[Pulse, float] = OrderedDict()
        """When those were pinged whose answer is awaited."""

    def __len__(self) -> int:
        return len(self._quiet)

    def watch(self, pulse: Pulse, now: float) -> None:
        """Ping this connection from now on, first after one interval."""
        self._quiet[pulse] = now

    def forget(self, pulse: Pulse) -> None:
        """Stop watching; harmless when it is not watched."""
        self._quiet.pop(pulse, None)
        self._pinged.pop(pulse, None)

    def beat(self, now: float) -> float:
        """Do what is due and return when there will be something next (infinity: nothing)."""
        for pulse, pinged in self._take(self._pinged, self.timeout, now):
            # Since the ping, and not for so long: this beat may be later than the answer was.
            if not pulse.paused and pulse.last_received < pinged:
                self._quiet.pop(pulse, None)
                pulse.flatline()
        for pulse, _ in self._take(self._quiet, self.interval, now):
            self._quiet[pulse] = self._pinged[pulse] = now
            pulse.ping()
        return min(
            self._first(self._pinged) + self.timeout, self._first(self._quiet) + self.interval
        )

    @staticmethod
    def _take(
        queue: OrderedDict[Pulse, float], delay: float, now: float
    ) -> list[tuple[Pulse, float]]:
        taken = []
        while queue:
            pulse, since = next(iter(queue.items()))
            if since + delay > now:
                break
            taken.append((pulse, queue.pop(pulse)))
        return taken

    @staticmethod
    def _first(queue: OrderedDict[Pulse, float]) -> float:
        return next(iter(queue.values()), float("inf"))
