"""Passwords: hashed with Argon2id (RFC 9106) in threads of their own, bounded in number."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final, TypeVar

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ...transport import NoThread, in_thread
from .refused import RequestRefused

__all__ = ["Passwords"]

T = TypeVar("T")

MAX_WAITING: Final = 64
"""Hashes that may wait for a thread; each takes some 50 ms and 64 MB while it runs."""


class Passwords:
    """Hashes and checks passwords with `workers` threads.

    A wrong name and a wrong password take the same time: `verify` hashes either way.
    """

    def __init__(self, workers: int = 2, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._limiter = trio.CapacityLimiter(workers)
        self._nobodys = ""

    async def hash(self, password: str) -> str:
        """Return the hash of a password. Raises `RequestRefused` (503) when too many wait."""
        return await self._in_thread(lambda: self._hasher.hash(_prepared(password)))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Say whether this is the password of a hash; None is that of a user who does not exist."""
        return await self._in_thread(lambda: self._verify(hashed, password))

    def _verify(self, hashed: str | None, password: str) -> bool:
        if not self._nobodys:
            self._nobodys = self._hasher.hash("nobody has this password")
        try:
            self._hasher.verify(hashed or self._nobodys, _prepared(password))
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._limiter.statistics().tasks_waiting >= MAX_WAITING:
            raise RequestRefused(
                503, "Too many are signing in at once; try again.", headers={"Retry-After": "2"}
            )
        try:
            return await in_thread(work, limiter=self._limiter)
        except NoThread as error:
            sentence = "The pod cannot check passwords at the moment; try again."
            raise RequestRefused(503, sentence, headers={"Retry-After": "2"}) from error


def _prepared(password: str) -> str:
    """Let the same password be the same whichever keyboard composed it (RFC 8265 section 4.2)."""
    return unicodedata.normalize("NFC", password)
