"""What benches share that look for what is broken on purpose: arguments, and a line for each."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable

from _report import machine

__all__ = ["hunt", "hunting"]


def hunting(about: str | None, mutations: Iterable[str]) -> argparse.ArgumentParser:
    """Return the arguments that all of them take: which mutations, in how many processes."""
    options = argparse.ArgumentParser(description=about)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(mutations))
    options.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return options


def hunt(names: Iterable[str], find: Callable[[str], str | None], in_vain: str) -> int:
    """Print who finds each mutation, and how long that took; return 1 when one was not found."""
    os.environ["PYTHONHASHSEED"] = "0"  # of the processes that are started from now on
    print(machine())
    missed = 0
    for name in names:
        began = time.monotonic()
        found = find(name)
        missed += found is None
        print(f"{name:32} {found or in_vain} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if missed else 0
