"""Pings for all connections of a pod: one clock and two queues instead of a task each."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from itertools import count
from typing import Final, Protocol

__all__ = ["Heartbeat", "Pulse"]

SPARED: Final = 0.75
"""The part of an interval in which who was heard needs no ping."""


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

    Pure: the time is passed in, a task of the pod calls `beat` and waits. Any byte counts as a
    sign of life, and a client that the pod does not read from at the moment is not held to be
    silent. Who is pinged is pinged again after one `interval`; with `spare_the_lively`, who was
    heard in the last three quarters of it is pinged one interval after that. All time-outs are
    the same, so the queue of those whose answer is awaited stays sorted by being appended to.
    """

    __slots__ = (
        "_due",
        "_numbers",
        "_numbers_of",
        "_pinged",
        "_pulses",
        "_spares",
        "interval",
        "timeout",
    )

    def __init__(self, interval: float, timeout: float, *, spare_the_lively: bool = False) -> None:
        self.interval = interval
        self.timeout = timeout
        self._spares = spare_the_lively
        self._due: list[tuple[float, int]] = []
        """When each is to be looked at: a heap. Those who left stay in it until then, by number."""
        self._numbers = count()
        self._numbers_of: dict[Pulse, int] = {}
        self._pulses: dict[int, Pulse] = {}
        self._pinged: OrderedDict[Pulse, float] = OrderedDict()
        """When those were pinged whose answer is awaited."""

    def __len__(self) -> int:
        return len(self._pulses)

    def watch(self, pulse: Pulse, now: float) -> None:
        """Ping this connection from now on, first after one interval."""
        number = self._numbers_of[pulse] = next(self._numbers)
        self._pulses[number] = pulse
        heapq.heappush(self._due, (now + self.interval, number))

    def forget(self, pulse: Pulse) -> None:
        """Stop watching; harmless when it is not watched."""
        self._pulses.pop(self._numbers_of.pop(pulse, -1), None)
        self._pinged.pop(pulse, None)

    def beat(self, now: float) -> float:
        """Do what is due and return when there will be something next (infinity: nothing)."""
        for pulse, pinged in self._overdue(now):
            # Since the ping, and not for so long: this beat may be later than the answer was.
            if not pulse.paused and pulse.last_received < pinged:
                self.forget(pulse)
                pulse.flatline()
        while self._due and self._due[0][0] <= now:
            _, number = heapq.heappop(self._due)
            watched = self._pulses.get(number)
            if watched is not None:
                heapq.heappush(self._due, (self._next(watched, now), number))
        while self._due and self._due[0][1] not in self._pulses:
            heapq.heappop(self._due)
        oldest = next(iter(self._pinged.values()), float("inf"))
        return min(oldest + self.timeout, self._due[0][0] if self._due else float("inf"))

    def _next(self, pulse: Pulse, now: float) -> float:
        """Ping one that is due, and return when it is due again."""
        heard = pulse.last_received
        # An answer to the last ping is older: it would have each client looked at twice.
        if self._spares and heard > now - SPARED * self.interval:
            return heard + self.interval
        self._pinged[pulse] = now
        pulse.ping()
        return now + self.interval

    def _overdue(self, now: float) -> list[tuple[Pulse, float]]:
        taken = []
        while self._pinged:
            pulse, since = next(iter(self._pinged.items()))
            if since + self.timeout > now:
                break
            taken.append((pulse, self._pinged.pop(pulse)))
        return taken
