"""Lines that others can cause are let through at a limited rate, and the rest is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["LogLimiter", "LogSampler"]

MOST_NAMES: Final = 64
OTHER: Final = "other"


class LogLimiter:
    """Lets at most `burst` lines through in each `period` of seconds, and counts the rest."""

    __slots__ = ("_burst", "_left", "_period", "_suppressed", "_until")

    def __init__(self, burst: int, period: float) -> None:
        self._burst = burst
        self._period = period
        self._left = 0
        self._until = float("-inf")
        self._suppressed = 0

    def admit(self, now: float) -> int | None:
        """Return how many were suppressed since the last line, or None to suppress this one."""
        if now >= self._until:
            self._until = now + self._period
            self._left = self._burst
        if self._left == 0:
            self._suppressed += 1
            return None
        self._left -= 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


class LogSampler:
    """One `LogLimiter` for each name, so that a storm of one kind hides no line of another.

    The names are the software's own, 64 at most; more share one limit. `clock` returns seconds.
    """

    def __init__(
        self,
        burst: int = 10,
        period: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst = burst
        self._period = period
        self._clock = clock
        self._limiters: dict[str, LogLimiter] = {}

    def admit(self, name: str) -> int | None:
        """Return how many of this name were left out before this one, or None to leave it out too.

        The line should say so, as `suppressed`.
        """
        if name not in self._limiters and len(self._limiters) >= MOST_NAMES:
            name = OTHER
        limiter = self._limiters.get(name)
        if limiter is None:
            limiter = self._limiters[name] = LogLimiter(self._burst, self._period)
        return limiter.admit(self._clock())
