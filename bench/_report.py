"""What the benchmarks print."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from importlib import metadata

__all__ = ["machine", "percentile", "quick", "verdict"]

_LIBRARIES = (
    *("trio", "trio-websocket", "h11", "starlette", "sqlalchemy", "websockets"),
    *("python-socketio", "fastapi", "uvicorn", "uvloop", "httptools"),
)


def quick(description: str) -> bool:
    """Read the command line: whether a rough figure in ten seconds is enough."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="rough figures within ten seconds")
    wanted: bool = parser.parse_args().quick
    return wanted


def machine() -> str:
    """Name what the figures were taken on."""
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores, {platform.machine()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}\n{libraries}\n"
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the (sorted) values do not exceed."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def verdict(good: bool) -> str:
    """Say whether a figure is what was promised."""
    return "PASS" if good else "FALLS SHORT"
