"""Another pod, as far as this one hears it: pure."""

from __future__ import annotations

import math
from typing import Final

from attrs import define

from ...transport.brokers import Beat

__all__ = ["LONGEST", "PROVEN", "SHORTEST", "Peer"]

SILENCE: Final = 2.5
"""Beats' intervals after which a pod that is not heard is missing."""
SHORTEST: Final = 1.0
LONGEST: Final = 12.0
"""Seconds between beats that are believed: of few pods, and of as many as are known (`gossip`). Who
says less would be missing between two beats, who says more never."""
WINDOW: Final = 60.0
"""Seconds after which clocks are compared anew: they drift."""
LATEST: Final = 30.0
"""Seconds that a beat may be late at most: a clock that somebody made up proves nothing."""
PROVEN: Final = 2
"""Beats that make of a voice a pod whose silence means something."""


@define
class Peer:
    """Another pod: its last beat, when that came, how many came.

    `heard_at` is steady seconds, more where that is held against nobody, `heard_wall` unix seconds,
    less what the beat was late; `came_at` is when its first beat came, `last_at` when its last was
    said.
    `number` is that of the last beat whose marks are known here, or None before the first;
    `counted` is whether the pod is taken to be there, `expected` whether a replay waits for it: no
    more when one has, in vain; `hears` whom it said last that it hears.
    """

    beat: Beat
    heard_at: float
    heard_wall: float
    came_at: float
    last_at: float
    beats: int = 1
    number: int | None = None
    counted: bool = True
    expected: bool = True
    hears: tuple[str, ...] = ()
    missing: bool = False
    missing_since: float = 0.0
    offsets: tuple[float, float] = (math.inf, math.inf)
    offsets_since: float = -math.inf

    def late(self, beat: Beat, now: float) -> float:
        """Return how much longer (seconds) a beat was on its way than the fastest of a while."""
        if now - self.offsets_since > WINDOW:
            self.offsets, self.offsets_since = (math.inf, self.offsets[0]), now
        offset = now - beat.clock
        self.offsets = min(offset, self.offsets[0]), self.offsets[1]
        return min(offset - min(self.offsets), LATEST)

    def take(self, beat: Beat, now: float) -> None:
        """Take the next beat. A pod whose words wait for its broker or a replay is not heard."""
        self.beat, self.last_at = beat, now
        self.beats += 1
        self.expected = True
        self.heard_at = max(self.heard_at, now - max(beat.behind, beat.held))
        if not self.silent(now):
            self.counted, self.missing = True, False

    def silent(self, now: float) -> float:
        """Return for how many seconds it has been silent, or 0 where that is not long."""
        seconds = now - self.heard_at
        return seconds if seconds > SILENCE * self.interval else 0.0

    @property
    def interval(self) -> float:
        """Seconds to its next beat, as far as that is believed."""
        return min(max(SHORTEST, self.beat.interval), LONGEST)
