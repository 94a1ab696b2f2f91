"""What a pod counts while it works: plain numbers, added to on the fast path, read at a scrape.

Not prometheus-client's own counters: each of theirs takes a lock and looks its labels up, and
these lie where a message passes. What is exported of them is made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from attrs import field, mutable

__all__ = [
    *("FAN_OUT", "FOREIGN", "RATES", "REGISTERED", "SECONDS"),
    *("Histogram", "Meters", "close_label"),
]

RATES = (
    *("messages", "accepts", "address", "connections", "joins", "bytes"),
    *("sign_ins", "master_key", "metrics_token"),
)
"""What `Meters.rate_limited` counts."""

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Upper bounds for times, in seconds."""

FAN_OUT = (0, 1, 2, 5, 10, 25, 50, 100, 250, 1000, 5000, 10000)
"""Upper bounds for how many members one event reaches."""


FOREIGN = 0
"""Stands in `Meters.closed` for all codes that clients chose and that are not registered."""

REGISTERED = range(1000, 1016)
"""Close codes that are registered (RFC 6455 section 11.7)."""


def close_label(code: int) -> str:
    """Return what a key of `Meters.closed` is shown as."""
    return "other" if code == FOREIGN else str(int(code))


class Histogram:
    """How often values fell below each of some bounds, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """Values up to each bound and above the one before; the last are those above all."""
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, or the same value several times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times


@mutable
class Meters:
    """Counts since the pod's start. `rate_limited` is by limit, `audited` by what was told.

    `closed` is by code: those that the pod chose, and registered ones; a client may close with 4000
    too, and is no slow one. Messages are whole texts of clients, and what their sockets have taken
    for them; what is `sent` leaves out those who are connected now, whose sockets know it. Bytes
    are those of the messages, of those sent with the heads of their frames. Latencies are in
    seconds: `local` from a client's message read to its frames handed to the members' sockets,
    `cross_pod` from the origin's clock to the members here, the oldest of what came together for
    all of it.
    """

    messages_received: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    bytes_sent: int = 0
    opened: int = 0
    closed: Counter[int] = field(factory=Counter)
    rate_limited: Counter[str] = field(factory=Counter)
    audited: Counter[str] = field(factory=Counter)
    fan_out: Histogram = field(factory=lambda: Histogram(FAN_OUT))
    local_latency: Histogram = field(factory=lambda: Histogram(SECONDS))
    cross_pod_latency: Histogram = field(factory=lambda: Histogram(SECONDS))
    loop_lag: Histogram = field(factory=lambda: Histogram(SECONDS))

    def closed_by_peer(self, code: int) -> None:
        """Count a connection that ended by itself, with the code of its last frame or of none."""
        self.closed[code if code in REGISTERED else FOREIGN] += 1
