"""Timers of one incarnation: a heap that is told the time and never reads a clock.

They fire inside the actor's loop, one at a time with its messages. There is no task and no lock,
and nothing to clean up: the heap goes with the incarnation.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from heapq import heapify, heappop, heappush

from .affinity import Affinity

__all__ = ["Timer", "Timers"]

Callback = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    """Stand in for the callback of a timer that is over."""


class Timer:
    """A callback that is due once, or every so many seconds, until cancelled."""

    __slots__ = ("_order", "_timers", "callback", "due", "interval")

    def __init__(
        self, timers: Timers, due: float, interval: float | None, callback: Callback
    ) -> None:
        self.due = due
        self.interval = interval
        self.callback = callback
        self._timers: Timers | None = timers
        self._order = timers.next_order()

    @property
    def active(self) -> bool:
        """Whether the timer will fire (again)."""
        return self._timers is not None

    def cancel(self) -> None:
        """Never fire again. Harmless when the timer has fired or was cancelled before."""
        if self._timers is not None:
            timers = self._timers
            timers.affinity.check("Timer.cancel")
            self.let_go()
            timers.forget_one()

    def let_go(self) -> None:
        """Be over, and hold neither the timers nor what would have been called."""
        self._timers, self.callback = None, _nothing

    def fired(self, now: float) -> bool:
        """Move on to the next tick and return True, or end and return False."""
        if self.interval is None:
            self._timers = None
            return False
        ticks = math.floor((now - self.due) / self.interval) + 1
        # Late ticks are skipped, not piled up. `nextafter`: the sum may round down to `now`.
        self.due = max(self.due + ticks * self.interval, math.nextafter(now, math.inf))
        return True

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self._order) < (other.due, other._order)

    def __repr__(self) -> str:
        state = f"due={self.due:g}" if self.active else "over"
        return f"<Timer {state} interval={self.interval}>"


class Timers:
    """All timers of one incarnation. `now` is in seconds on any clock that does not go back."""

    __slots__ = ("_cancelled", "_heap", "_order", "affinity")

    def __init__(self) -> None:
        self.affinity = Affinity()
        self._heap: list[Timer] = []
        self._cancelled = 0
        self._order = 0

    def __len__(self) -> int:
        """Return how many timers will still fire."""
        return len(self._heap) - self._cancelled

    @property
    def promised(self) -> bool:
        """Whether one that fires once has not fired yet."""
        return any(timer.active and timer.interval is None for timer in self._heap)

    def add(self, now: float, seconds: float, callback: Callback, *, repeat: bool) -> Timer:
        """Return a new timer, first due in `seconds`. Raises ValueError for a senseless time."""
        if not math.isfinite(seconds) or seconds < 0 or (repeat and seconds == 0):
            raise ValueError(f"a timer needs a finite time above 0 seconds, not {seconds!r}")
        timer = Timer(self, now + seconds, seconds if repeat else None, callback)
        heappush(self._heap, timer)
        return timer

    def next_due(self) -> float:
        """Return when the next timer is due; infinity without one."""
        if self._cancelled:
            self._drop_cancelled()
        return self._heap[0].due if self._heap else math.inf

    def pop_due(self, now: float) -> Timer | None:
        """Return one timer whose time has come, already moved on to its next tick, or None."""
        if self.next_due() > now:
            return None
        timer = heappop(self._heap)
        if timer.fired(now):
            heappush(self._heap, timer)
        return timer

    def clear(self) -> None:
        """Cancel all: a callback is mostly a method of whoever holds its timer."""
        for timer in self._heap:
            timer.let_go()
        self._heap, self._cancelled = [], 0

    def next_order(self) -> int:
        """Return the next number: timers due at the same time fire as they were set."""
        self._order += 1
        return self._order

    def forget_one(self) -> None:
        """Note a cancellation. The heap is rebuilt when more than half of it is cancelled."""
        self._cancelled += 1
        if self._cancelled * 2 > len(self._heap):
            self._heap = [timer for timer in self._heap if timer.active]
            heapify(self._heap)
            self._cancelled = 0

    def _drop_cancelled(self) -> None:
        while self._heap and not self._heap[0].active:
            heappop(self._heap)
            self._cancelled -= 1
