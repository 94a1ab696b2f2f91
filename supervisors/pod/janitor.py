"""Python's garbage collector, kept from stopping a pod that holds many connections.

A full collection looks at every object of the process: with 11,000 connections that is 0.7 s
(2 cores, Python 3.11) in which nothing else happens, and CPython begins one whenever the number of
objects has grown by a quarter, or as much has come and gone. So what lives is set aside
(`gc.freeze`) before it comes to that, and looked at again only when so many connections have ended
that what they left is worth it.
"""

from __future__ import annotations

import enum
import gc
from collections.abc import Callable
from typing import Final

import trio

from ...transport import Meters

__all__ = ["Chore", "GarbagePolicy", "Janitor"]

INTERVAL: Final = 0.25
"""Seconds between two looks."""
FEW: Final = 200
"""Connections that may come before what lives is set aside."""
WORTH_IT: Final = 1000
"""Connections that must have ended, at least, before what they left is looked for."""


class Chore(enum.Enum):
    """What is to be done."""

    NOTHING = "nothing"
    SET_ASIDE = "set aside what lives"
    COLLECT = "look at everything"


class GarbagePolicy:
    """Decides from how many connections were opened and have ended since the start. Pure.

    What ended connections leave is at most as much as the live ones have, or as 1,000 would. They
    leave nothing of their own accord (docs/architecture.md), but rooms and crashes may.
    """

    def __init__(self) -> None:
        self._opened = self._ended = 0

    def decide(self, opened: int, ended: int) -> Chore:
        """Return what is to be done now; that it is done is taken for granted."""
        if ended - self._ended >= max(WORTH_IT, opened - ended):
            self._opened, self._ended = opened, ended
            return Chore.COLLECT
        if opened - self._opened >= FEW:
            self._opened = opened
            return Chore.SET_ASIDE
        return Chore.NOTHING


class Janitor:
    """Looks four times a second. One pod of a process is enough to keep its garbage in order."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._policy = GarbagePolicy()

    async def run(self, started: Callable[[], None]) -> None:
        """Look until cancelled; then leave the collector as it was found."""
        started()
        try:
            while True:
                await trio.sleep(INTERVAL)
                self.look()
        finally:
            gc.unfreeze()

    def look(self) -> None:
        """Do what there is to do."""
        chore = self._policy.decide(self._meters.opened, self._meters.closed.total())
        if chore is Chore.COLLECT:
            gc.unfreeze()
            gc.collect()
        if chore is not Chore.NOTHING:
            gc.freeze()
