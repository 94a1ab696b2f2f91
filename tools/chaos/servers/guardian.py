"""A process that outlives the one that started it, just long enough to leave nothing behind.

It is run as a script and reads orders from its standard input, a line each: `+group` and `-group`
(a group of processes has begun, or ended), `folder path` (to be removed in the end). When nobody
can write there any more, because who did has ended in whatever way, it kills the groups that it
knows of, removes the folders, and ends. Of Python it takes nothing but the standard library.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

__all__ = ["watch"]

DEAF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the one that is watched over must not end this before."""


def watch(orders: Iterable[str]) -> None:
    """Follow orders until there are no more, then tidy up."""
    groups: set[int] = set()
    folders: list[str] = []
    for order in orders:
        words = order.rstrip("\n")
        if words.startswith("+"):
            groups.add(int(words[1:]))
        elif words.startswith("-"):
            groups.discard(int(words[1:]))
        elif words.startswith("folder "):
            folders.append(words.removeprefix("folder "))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for number in DEAF:
        signal.signal(number, signal.SIG_IGN)
    watch(sys.stdin)
