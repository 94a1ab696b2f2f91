"""The toxics that Toxiproxy has: the same names, attributes and defaults.

Where Toxiproxy's default makes no sense (slices of 0 bytes) it is refused here.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from .frames import Piece
from .toxic import MILLISECOND, Item, Signal, Stage, Toxic, at_least

__all__ = [
    "Bandwidth",
    "Latency",
    "LimitData",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Timeout",
]

MICROSECOND: Final = 1e-6
KILOBYTE: Final = 1000
"""Bytes, as Toxiproxy counts them."""

PORTION: Final = 0.1
"""Seconds: what is too much for a bandwidth at once comes in portions of so long."""


class LatencyStage(Stage):
    """Delays everything, the end of the stream too."""

    toxic: Latency

    def take(self, item: Item, at: float) -> None:
        """Draw the delay of each chunk or frame anew."""
        jitter = self.random.uniform(-self.toxic.jitter, self.toxic.jitter)
        self.put(item, at + max(0.0, self.toxic.latency + jitter) * MILLISECOND)


@frozen(kw_only=True)
class Latency(Toxic):
    """Delay everything by `latency`, more or less by `jitter`."""

    kind = "latency"
    stage = LatencyStage
    latency: float = field(default=0, validator=at_least(0))
    jitter: float = field(default=0, validator=at_least(0))


class BandwidthStage(Stage):
    """Lets so much through in a second."""

    toxic: Bandwidth

    def begin(self, at: float) -> None:
        """Begin with an empty way."""
        self._free = at

    def take(self, item: Item, at: float) -> None:
        """Let each portion go when the way would have carried it."""
        if not isinstance(item, Piece):
            self.put(item, at)
            return
        rate = self.toxic.rate * KILOBYTE
        if not rate:
            self.put(item, float("inf"))
            return
        portion = max(1, int(rate * PORTION))
        for start in range(0, len(item.data), portion):
            part = item.data[start : start + portion]
            self._free = max(self._free, at) + len(part) / rate
            whole = item if len(part) == len(item.data) else evolve(item, data=part, frame=None)
            self.put(whole, self._free)


@frozen(kw_only=True)
class Bandwidth(Toxic):
    """Let `rate` kilobytes of 1000 bytes through in a second; with 0 nothing."""

    kind = "bandwidth"
    stage = BandwidthStage
    rate: float = field(default=0, validator=at_least(0))


class SlicerStage(Stage):
    """Cuts everything into small pieces, each written by itself."""

    toxic: Slicer

    def take(self, item: Item, at: float) -> None:
        """Cut, with a pause after each piece."""
        if not isinstance(item, Piece):
            self.put(item, at)
            return
        toxic, data = self.toxic, item.data
        start = 0
        while start < len(data):
            varied = toxic.average_size + self.random.randint(
                -toxic.size_variation, toxic.size_variation
            )
            part = data[start : start + max(1, varied)]
            start += len(part)
            self.put(Piece(part, None, alone=True), at)
            at = self.last + toxic.delay * MICROSECOND


@frozen(kw_only=True)
class Slicer(Toxic):
    """Cut into pieces of `average_size` bytes, more or less by `size_variation`.

    `delay` is microseconds from one to the next.
    """

    kind = "slicer"
    stage = SlicerStage
    average_size: int = field(default=0, validator=at_least(1))
    size_variation: int = field(default=0, validator=at_least(0))
    delay: float = field(default=0, validator=at_least(0))


class SlowCloseStage(Stage):
    """Keeps the end for itself for a while."""

    toxic: SlowClose

    def take(self, item: Item, at: float) -> None:
        """Delay the end of the stream only."""
        self.put(item, at if isinstance(item, Piece) else at + self.toxic.delay * MILLISECOND)


@frozen(kw_only=True)
class SlowClose(Toxic):
    """Close only `delay` after the other end has closed."""

    kind = "slow_close"
    stage = SlowCloseStage
    delay: float = field(default=0, validator=at_least(0))


class TimeoutStage(Stage):
    """Loses everything, and closes."""

    toxic: Timeout

    def begin(self, at: float) -> None:
        """Close at a time; what was to be closed earlier is not."""
        self.discard()
        if self.toxic.timeout:
            self.put(Signal.CLOSE, at + self.toxic.timeout * MILLISECOND)

    def take(self, item: Item, at: float) -> None:
        """Lose bytes; close when there will be no more."""
        if not isinstance(item, Piece):
            self.leave(at)

    def leave(self, at: float) -> None:
        """Close what has a hole in it."""
        self.discard()
        self.flush(at)
        self.put(Signal.CLOSE, at)


@frozen(kw_only=True)
class Timeout(Toxic):
    """Let nothing through, and close after `timeout`; with 0 when this is taken away."""

    kind = "timeout"
    stage = TimeoutStage
    timeout: float = field(default=0, validator=at_least(0))


class LimitDataStage(Stage):
    """Counts bytes, and closes."""

    toxic: LimitData

    passed = 0

    def take(self, item: Item, at: float) -> None:
        """Let through what may still come."""
        if isinstance(item, Piece):
            left = max(0, self.toxic.bytes - self.passed)
            part = item if len(item.data) <= left else Piece(item.data[:left])
            self.passed += len(part.data)
            if part.data:
                self.put(part, at)
        else:
            self.put(item, at)
        if self.passed >= self.toxic.bytes:
            self.put(Signal.CLOSE, at)


@frozen(kw_only=True)
class LimitData(Toxic):
    """Close when so many bytes have passed since this was put on; they may end in mid-frame."""

    kind = "limit_data"
    stage = LimitDataStage
    bytes: int = field(default=0, validator=at_least(0))


class ResetPeerStage(Stage):
    """Answers the first bytes with a reset."""

    toxic: ResetPeer

    def take(self, item: Item, at: float) -> None:
        """Lose what comes, and reset both ends some time after the first of it."""
        if not self.queue:
            self.put(Signal.RESET, at + self.toxic.timeout * MILLISECOND)


@frozen(kw_only=True)
class ResetPeer(Toxic):
    """Reset both ends (RST) `timeout` after the first bytes, which are lost."""

    kind = "reset_peer"
    stage = ResetPeerStage
    timeout: float = field(default=0, validator=at_least(0))
