"""How long the bench waited for a processor: on a busy machine that looks like slow pods.

Linux counts for each process the time in which it could run and did not (`/proc/PID/schedstat`, in
its documentation sched-stats.rst). Where that is not to be had nothing was waited for.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from ...common import ToolError
from ...oracle import Record, moved
from ..scenario import Judgement

__all__ = ["MachineBusy", "ProcessorWaits", "judged_at_ease"]

LOOKED: Final = 0.1
"""Seconds between looks."""


LONGEST: Final = 0.5
"""The share of a play that may be waited: then pods' own clocks run out, and they see outages."""
NEVER: Final = frozenset({"undeclared", "false receipt", "duplicate", "order", "invention"})
"""Rules that hold however slow everything is."""


class MachineBusy(ToolError):
    """What failed need not have, had the bench got a processor when it needed one."""

    def __init__(self, failed: Iterable[object], waited: float, seconds: float) -> None:
        super().__init__(
            f"The machine was too busy: the bench waited {waited:.0f} of {seconds:.0f} s for a "
            "processor, and nothing failed that cannot come of that. Play it again when less else "
            f"runs (--at-once 1). What failed: {'; '.join(map(str, failed))}."
        )


class ProcessorWaits:
    """What the processes of a play waited, the longest of them at each moment.

    Times are seconds since `zero`.
    """

    def __init__(self, zero: float) -> None:
        self._zero = zero
        self._looks: list[float] = []
        self._waited: list[float] = []
        self._known: Mapping[int, float] = {}

    def note(self, at: float, waited: Mapping[int, float]) -> None:
        """Take how long each process (by its id) has waited in all, in seconds, at some time."""
        more = (seconds - self._known.get(pid, seconds) for pid, seconds in waited.items())
        passed = at - self._looks[-1] if self._looks else 0.0
        before = self._waited[-1] if self._waited else 0.0
        self._looks.append(at)
        self._waited.append(before + min(passed, max(more, default=0.0)))
        self._known = waited

    def until(self, at: float) -> float:
        """Return how long was waited until some time, in seconds."""
        place = bisect_right(self._looks, at)
        if place in (0, len(self._looks)):
            return self._waited[-1] if place else 0.0
        begin, end = self._looks[place - 1 : place + 1]
        less, more = self._waited[place - 1 : place + 1]
        return less + (more - less) * (at - begin) / (end - begin)

    async def watch(self, pids: Callable[[], Iterable[int]]) -> None:
        """Look at this process and others, until cancelled."""
        while True:
            waited = {pid: _waited(pid) for pid in (os.getpid(), *pids())}
            self.note(trio.current_time() - self._zero, waited)
            await trio.sleep(LOOKED)


def judged_at_ease(
    judge: Callable[[Sequence[Record]], Judgement], history: Sequence[Record], waits: ProcessorWaits
) -> Judgement:
    """Judge a history. Raises `MachineBusy` where it may have failed for what was waited alone.

    That is so when all is well by a clock that stands still meanwhile, or when most of the time
    was waited; but nothing is lost, said wrongly or said twice because of it.
    """
    outcome = judge(history)
    if outcome.passed or any(each.rule in NEVER for each in outcome.violations):
        return outcome
    end = max((each.at for each in history), default=0.0)
    waited = waits.until(end)
    if waited > LONGEST * end or judge([moved(each, _at_ease(waits)) for each in history]).passed:
        raise MachineBusy((each for each in outcome.checks if not each.held), waited, end)
    return outcome


def _at_ease(waits: ProcessorWaits) -> Callable[[float], float]:
    return lambda at: at - waits.until(at)


def _waited(pid: int) -> float:
    """Return how long the first thread of a process has waited, in seconds."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
