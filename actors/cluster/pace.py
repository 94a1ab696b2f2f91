"""How often pods beat, and when: all in step, pure.

What a beat costs who hears it is being woken, not reading it: 0.4 ms of a processor where it comes
alone, 0.05 where it comes with others (`bench/pods.py`). So pods beat together, when the wall clock
is at a multiple of their interval. Nothing depends on it: whose clock is wrong is heard at another
moment, and costs more.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["CROWD", "INTERVAL", "interval", "until_next"]

INTERVAL: Final = 1.0
"""Seconds between beats, beside up to `CROWD` other pods; beside more they beat more slowly, so
that what a pod hears of all others together stays the same."""
CROWD: Final = 100
STEP: Final = 0.25
"""Seconds, of the interval: those who count a pod more or less beat in step all the same."""
NUDGE: Final = 0.25
"""Share of the interval by which a beat comes sooner to get into step."""
EARLY: Final = 0.1
"""Share of it by which one may have come too soon, so that the next comes later: no clock, whatever
it does, has a pod be silent for longer."""


def interval(others: int) -> float:
    """Return the seconds between two beats of a pod that hears so many others."""
    return max(INTERVAL, STEP * math.ceil(INTERVAL * others / CROWD / STEP))


def until_next(wall: float, seconds: float) -> float:
    """Return the seconds until the beat that comes so many after the one at this wall time."""
    past = wall % seconds
    late = past if past < (1 - EARLY) * seconds else past - seconds
    return seconds - min(late, NUDGE * seconds)
