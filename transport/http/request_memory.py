"""What HTTP clients make the pod keep in memory: bodies that come, and answers that wait for them.

A connection may be slow at both, so their number alone does not bound what they hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..limits import POD, Asker, Grant, Shares

__all__ = ["FREE", "RequestMemory"]

FREE: Final = 64 * 1024
"""Bytes of each request that nobody counts: as many connections as there may be can have them."""


class RequestMemory:
    """The bytes of one request and its answer, on the account of an address.

    `privileged` is asked where there is no room, and says whether there is some all the same.
    """

    __slots__ = ("_address", "_asker", "_counted", "_nbytes", "_privileged", "_shares")

    def __init__(self, shares: Shares, address: str, privileged: Callable[[], bool]) -> None:
        self._shares = shares
        self._address = address
        self._privileged = privileged
        self._asker: Asker | None = None
        self._nbytes = self._counted = 0

    def add(self, nbytes: int) -> Grant:
        """Hold so many bytes more. Who is refused holds what it held."""
        wanted = self._nbytes + nbytes
        due = max(0, wanted - FREE)
        if due:
            grant = self._count(due)
            if not grant:
                return grant
        self._nbytes = wanted
        return Grant.GIVEN

    def clear(self) -> None:
        """Hold nothing any more."""
        if self._asker is not None and self._counted:
            self._shares.release(self._asker, self._counted)
        self._nbytes = self._counted = 0

    def _count(self, due: int) -> Grant:
        if self._asker is None:
            self._asker = Asker.of(self._address)
        grant = self._shares.take(self._asker, due - self._counted)
        if not grant and not self._asker.privileged and self._privileged():
            self._shares.release(self._asker, self._counted)
            self._asker, self._counted = POD, 0
            grant = self._shares.take(POD, due)
        if grant:
            self._counted = due
        return grant
