"""What the system knows of this process: proc(5), where there is one.

prometheus-client's own collector lists the open files one by one, which holds the loop for 13 ms
where there are 18,000. Since Linux 6.2 the size of the folder says how many there are.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from attrs import frozen

__all__ = ["LoadMeter", "Process", "read_process"]

_PROC: Final = Path("/proc")


@frozen
class Process:
    """Sizes in bytes, times in seconds (`started_at` unix); None for what the system keeps back."""

    cpu_seconds: float
    max_files: int
    open_files: int | None = None
    resident_bytes: int | None = None
    virtual_bytes: int | None = None
    started_at: float | None = None


SHORTEST: Final = 0.5
"""Seconds over which a load is measured, at least."""


class LoadMeter:
    """How much of a processor this process has used lately: 0 to 1.

    `clock` is steady seconds. Who asks again at once is told the same.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at, self._used, self._share = clock(), _used(), 0.0

    def __call__(self) -> float:
        """Return the share since it was measured last."""
        now = self._clock()
        if now - self._at >= SHORTEST:
            used = _used()
            self._share = min(1.0, max(0.0, (used - self._used) / (now - self._at)))
            self._at, self._used = now, used
        return self._share


def _used() -> float:
    times = os.times()
    return times.user + times.system


def read_process(proc: Path = _PROC) -> Process:
    """Ask the system, in well below a millisecond."""
    cpu_seconds = _used()
    max_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        # The name of the process, in brackets, may have any characters in it.
        stat = (proc / "self" / "stat").read_bytes().rpartition(b")")[2].split()
        ticks, pages = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        return Process(
            cpu_seconds,
            max_files,
            open_files=_open_files(proc / "self" / "fd"),
            resident_bytes=int(stat[21]) * pages,
            virtual_bytes=int(stat[20]),
            started_at=_booted_at(proc) + int(stat[19]) / ticks,
        )
    except (OSError, LookupError, ValueError):  # hidden, half of it, or of another system
        return Process(cpu_seconds, max_files)


def _open_files(folder: Path) -> int:
    return folder.stat().st_size or len(os.listdir(folder))  # 0 before Linux 6.2


@cache
def _booted_at(proc: Path) -> float:
    lines = (proc / "stat").read_bytes().splitlines()
    found = [float(line.split()[1]) for line in lines if line.startswith(b"btime ")]
    return found[0]
