"""How many descriptors are left, and some that are kept for when there are none.

What diagnoses a shortage must not need what is short: a pod whose clients have taken every
descriptor still answers whether it lives, and keeps enough for its database, its log and its link.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from typing import Final

__all__ = ["KEPT", "LAST", "Spares", "is_scarce", "shortage"]

KEPT: Final = 64
"""Descriptors that are kept from clients, a quarter of all at most: for files, database, broker,
and to answer those who ask what is wrong."""

LAST: Final = 8
"""Connections that may be answered at once with what was kept."""


def is_scarce(descriptor: int) -> bool:
    """Say whether a new descriptor is one of the last: the system gives the lowest that is free."""
    return descriptor >= _limit() - _kept(_limit())


def shortage(connections: int, each: int) -> str | None:
    """Say what to do where so many connections, of so many descriptors each, cannot be opened."""
    limit = _limit()
    needed = connections * each + KEPT
    if needed <= limit:
        return None
    possible = max(0, limit - _kept(limit)) // each
    return (
        f"the system lets this process open {limit} files, which is some {possible} connections: "
        f"raise the limit of open files (ulimit -n, LimitNOFILE=) to {needed} or more, or lower "
        "limits.maxConnections; clients above it are answered 503"
    )


class Spares:
    """Descriptors that are held so that there are some when no others are left."""

    def __init__(self, count: int = LAST) -> None:
        self._count = count
        self._held: list[int] = []

    def fill(self) -> None:
        """Take what is missing, as far as there is any."""
        with suppress(OSError):
            while len(self._held) < self._count:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def let_go(self, count: int) -> bool:
        """Free so many for somebody else, or say that they are free already."""
        if not self._held:
            return False
        for _ in range(min(count, len(self._held))):
            os.close(self._held.pop())
        return True

    def close(self) -> None:
        """Free all."""
        self.let_go(len(self._held))


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 30


def _kept(limit: int) -> int:
    return min(KEPT, limit // 4)
