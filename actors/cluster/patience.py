"""How long a broker may keep a pod waiting: pure. It depends on how long it usually takes.

A broker that hangs should be noticed soon, one that pauses for a second should not, and a way that
is slow is no outage. So the time-out is a fixed one beside the usual round trip, which is measured
as TCP measures its own (RFC 6298, section 2). Times are seconds in which the pod itself was awake.
"""

from __future__ import annotations

import math
from typing import Final

from attrs import define

__all__ = ["Patience", "RoundTrips"]

SHARE: Final = 1 / 8
"""What one round trip counts for in the smoothed one."""
STRAYING: Final = 1 / 4
"""What one counts for in how far they stray from it."""
STRAYS: Final = 4
"""How many times as far as usual one may stray."""
UNKNOWN: Final = 0.5
"""Seconds that a round trip is taken for before any was measured: connecting takes several."""
QUICK: Final = 0.25
"""Seconds of a round trip that the time-out itself has room for."""
SLOWEST: Final = 1.75
"""Seconds that are called usual at most: a broker that hangs is noticed, however slow it was."""


@define
class RoundTrips:
    """How long what a pod says to itself is under way: usually, and how far that strays."""

    _smoothed: float = math.nan
    _straying: float = 0.0

    def note(self, seconds: float) -> None:
        """Take what one round trip took."""
        if math.isnan(self._smoothed):
            self._smoothed, self._straying = seconds, seconds / 2
            return
        strayed = abs(seconds - self._smoothed)
        self._straying += STRAYING * (strayed - self._straying)
        self._smoothed += SHARE * (seconds - self._smoothed)

    @property
    def usual(self) -> float:
        """Seconds that hardly any round trip exceeds."""
        if math.isnan(self._smoothed):
            return UNKNOWN
        return min(self._smoothed + STRAYS * self._straying, SLOWEST)


@define
class Patience:
    """Decides when a broker has kept this pod waiting for too long.

    A second's pause of it, and what a near one takes when there is much to do, fit into `timeout`.

    `timeout` and `interval` are the settings, `heard_at` is when anything came from the broker.
    """

    timeout: float
    interval: float
    trips: RoundTrips
    heard_at: float = -math.inf

    @property
    def limit(self) -> float:
        """Seconds that the broker may take for anything it is asked while nothing else comes."""
        return self.timeout + max(0.0, self.trips.usual - QUICK)

    def due(self, began: float) -> float:
        """Return until when to wait for what was asked at `began`.

        A broker that is silent hangs. One that brings other things is slow, or hears this pod no
        more: it has twice the time.
        """
        limit = self.limit
        silent = self.heard_at + self.interval + limit
        return min(max(began + limit, silent), began + 2 * limit)
