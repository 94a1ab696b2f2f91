"""What became of a stress test, counted while it runs; bounded however long it does. Pure."""

from __future__ import annotations

import math
from collections import Counter

import attrs

__all__ = ["STEP", "Latencies", "Second", "Tally"]

SHORTEST = 1e-5
STEP = 1.05
"""Seconds of the first bucket, and how much longer each next one is: percentiles are 5 % exact."""
MOST_KINDS = 20
"""Kinds of errors that are told apart."""
OTHER = "other"


class Latencies:
    """Durations in seconds, in buckets of growing length."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[max(0, math.ceil(math.log(max(seconds, SHORTEST) / SHORTEST, STEP)))] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float | None:
        """Return what so many percent took no longer than; None when nothing was counted."""
        left = self.count * percent / 100
        for bucket, count in sorted(self._counts.items()):
            left -= count
            if left <= 0:
                return min(self.longest, SHORTEST * STEP**bucket)
        return None

    def distribution(self) -> list[tuple[float, int]]:
        """Return how many took at most so long, in steps of `STEP` without a gap."""
        if not self._counts:
            return []
        buckets = range(min(self._counts), max(self._counts) + 1)
        return [(SHORTEST * STEP**bucket, self._counts[bucket]) for bucket in buckets]


@attrs.mutable
class Second:
    """One second of it."""

    received: int = 0
    latencies: Latencies = attrs.field(factory=Latencies)


@attrs.mutable
class Tally:
    """What was done: connections, messages, and what went wrong, by kind.

    Of the `wanted` clients so many `connected`, and so many of these `joined` their room; each of
    the others is one of the `errors`. `closed` are members that the pod closed, by the code.
    `expected` are the deliveries that who was in each room at the time should get. `told_to_wait`
    are handshakes that were turned away with a time to come back.
    """

    wanted: int = 0
    connected: int = 0
    joined: int = 0
    open_now: int = 0
    told_to_wait: int = 0
    connecting_seconds: float = 0.0
    sent: int = 0
    received: int = 0
    expected: int = 0
    elapsed: float = 0.0
    done: bool = False
    latencies: Latencies = attrs.field(factory=Latencies)
    seconds: list[Second] = attrs.field(factory=list)
    errors: Counter[str] = attrs.field(factory=Counter)
    closed: Counter[int] = attrs.field(factory=Counter)

    def heard(self, second: int, latency: float) -> None:
        """Count a delivery in a second of the test."""
        self.received += 1
        self.latencies.add(latency)
        each = self._second(second)
        each.received += 1
        each.latencies.add(latency)

    def reached(self, second: int) -> None:
        """Let there be such a second of the test, also if nothing of it is ever heard."""
        self._second(second)

    def said(self, members: int) -> None:
        """Count a message to so many members."""
        self.sent += 1
        self.expected += members

    def failed(self, kind: str, times: int = 1) -> None:
        """Count an error, or so many of a kind."""
        known = kind in self.errors or len(self.errors) < MOST_KINDS
        self.errors[kind if known else OTHER] += times

    def progress(self) -> dict[str, object]:
        """Return how it goes, ready for JSON; latencies in seconds."""
        last = self.seconds[-2] if len(self.seconds) > 1 else None
        return {
            "wanted": self.wanted,
            "connected": self.connected,
            "joined": self.joined,
            "connections": self.open_now,
            "sent": self.sent,
            "received": self.received,
            "expected": self.expected,
            "per_second": 0 if last is None else last.received,
            "second_p99": None if last is None else last.latencies.percentile(99),
            "elapsed": round(self.elapsed, 1),
            **{f"p{name}": self.latencies.percentile(p) for name, p in PERCENTILES.items()},
            "errors": dict(self.errors),
            "closed": {str(code): count for code, count in self.closed.items()},
            "told_to_wait": self.told_to_wait,
            "connect_rate": round(self.connect_rate, 1),
            "done": self.done,
        }

    @property
    def connect_rate(self) -> float:
        """Connections a second while they were being made."""
        return self.connected / self.connecting_seconds if self.connecting_seconds else 0.0

    @property
    def good(self) -> bool:
        """Whether everybody got in and nothing went wrong or missing."""
        lost = self.expected - self.received
        return self.joined == self.wanted and not self.errors and not self.closed and not lost

    def _second(self, second: int) -> Second:
        while len(self.seconds) <= second:
            self.seconds.append(Second())
        return self.seconds[second]


PERCENTILES = {"50": 50.0, "90": 90.0, "99": 99.0, "999": 99.9}
