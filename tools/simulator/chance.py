"""All that is left to chance, drawn from a seed: random numbers, ids, trio's scheduler.

And the time: it stands still while anything runs, and jumps when nothing does. Pods that do nothing
for a while are of this too: what would run of theirs is held back, as of a process that is stopped.
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import trio._core._run as trio_run
from trio.abc import Clock
from trio.lowlevel import Task

__all__ = ["POD", "LeapingClock", "Pauses", "seeded"]

POD: Final[ContextVar[int]] = ContextVar("simulated pod")
"""The pod to which a task belongs."""


class LeapingClock(Clock):
    """A clock that is already there when trio asks how long to sleep.

    trio asks when nothing can run, and here nothing comes from outside. `MockClock` finds that out
    by a turn of the loop in which nothing happens: half of all turns.
    """

    def __init__(self) -> None:
        self._now = 0.0

    def start_clock(self) -> None:
        """Begin: it has begun."""

    def current_time(self) -> float:
        """Return the seconds since the beginning."""
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Leap there; without a deadline nothing will ever happen."""
        if deadline == math.inf:
            return deadline
        self._now = max(self._now, deadline)
        return 0.0


class Pauses:
    """Holds back the tasks of pods that are paused."""

    def __init__(self) -> None:
        self._held: dict[int, list[Task]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, pod: int) -> bool:
        return pod in self._held

    def pause(self, pod: int) -> None:
        """Let nothing of a pod run, until `resume`."""
        self._held.setdefault(pod, [])

    def resume(self, pod: int) -> None:
        """Let it run again, first what was due meanwhile."""
        held = self._held.pop(pod, ())
        queue = trio_run.GLOBAL_RUN_CONTEXT.runner.runq
        queue.extend(held)

    def holds(self, task: Task) -> bool:
        """Keep a task that is due, if its pod is paused."""
        held = self._held.get(task.context.get(POD, -1))
        if held is None:
            return False
        held.append(task)
        return True


@contextmanager
def seeded(seed: int) -> Iterator[Pauses]:
    """Let chance follow a seed until the block ends. Of one thread, and one run at a time."""
    chance, pauses = random.Random(seed), Pauses()  # noqa: S311 - chance, not secrecy
    before = random.getstate(), trio_run._r.getstate()  # noqa: SLF001
    patched = (
        (trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        (trio_run.Runner, "reschedule", _reschedule(pauses)),
        (secrets, "token_hex", lambda nbytes=32: chance.randbytes(nbytes or 32).hex()),
        (secrets, "token_bytes", lambda nbytes=32: chance.randbytes(nbytes or 32)),
    )
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in patched]
    random.seed(seed)
    trio_run._r.seed(seed)  # noqa: SLF001
    for owner, name, value in patched:
        setattr(owner, name, value)
    try:
        yield pauses
    finally:
        for owner, name, value in kept:
            setattr(owner, name, value)
        random.setstate(before[0])
        trio_run._r.setstate(before[1])  # noqa: SLF001


def _reschedule(pauses: Pauses) -> Any:
    original = trio_run.Runner.reschedule

    def reschedule(runner: Any, task: Task, *outcome: Any) -> None:
        original(runner, task, *outcome)
        if pauses and pauses.holds(task):
            runner.runq.pop()

    return reschedule
