"""Who crashes again and again: pure, the clock passed in, and bounded."""

import math
from collections import OrderedDict
from typing import Final

from attrs import evolve, frozen

__all__ = ["CrashLoop", "FalseStarts", "RecentCrashes"]

QUIET: Final = 60.0
"""Seconds without a crash after which a child is taken to be well."""
LOOP: Final = 3
"""Crashes, each within `QUIET` of the one before, that are a loop."""
REMEMBERED: Final = 256
"""Children whose crashes are counted: those that crashed last."""
MOST_CHARACTERS: Final = 300
"""Of a reason."""


@frozen
class CrashLoop:
    """A child has crashed so many times, between `since` and `last` (steady seconds).

    `reason` is that of the last crash.
    """

    path: str
    count: int
    since: float
    last: float
    reason: str


class FalseStarts:
    """Has a child that fails to start told once in full, and then once in `period` seconds.

    It is tried again and again, and fails in the same way each time.
    """

    def __init__(self, period: float = QUIET) -> None:
        self._period = period
        self._told: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def note(self, path: str, reason: str, now: float) -> int | None:
        """Return how many were not told since the last one that was, or None for one of these.

        Of one path and class of error; 0 is for one that is new.
        """
        key = path, reason.partition(":")[0]
        last, untold = self._told.pop(key, (-math.inf, 0))
        if now - last < self._period:
            self._told[key] = last, untold + 1
            return None
        self._told[key] = now, 0
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return untold


class RecentCrashes:
    """Counts the crashes of a supervisor's children while they go on."""

    def __init__(self) -> None:
        self._by_path: OrderedDict[str, CrashLoop] = OrderedDict()

    def note(self, path: str, reason: str, now: float) -> None:
        """Count a crash."""
        reason = reason[:MOST_CHARACTERS]
        before = self._by_path.pop(path, None)
        if before is None or now - before.last > QUIET:
            before = CrashLoop(path, 0, now, now, reason)
        self._by_path[path] = evolve(before, count=before.count + 1, last=now, reason=reason)
        if len(self._by_path) > REMEMBERED:
            self._by_path.popitem(last=False)

    def loops(self, now: float) -> list[CrashLoop]:
        """Return those that crash again and again, the worst first."""
        going_on = (
            one for one in self._by_path.values() if one.count >= LOOP and now - one.last <= QUIET
        )
        return sorted(going_on, key=lambda one: one.count, reverse=True)
