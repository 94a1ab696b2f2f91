"""Passwords: hashed with Argon2id (RFC 9106) in threads of their own, the addresses in turns."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import TypeVar

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from attrs import field, frozen

from ...transport import Asker, FairQueue, NoThread, Shares, in_thread
from ..errors import RequestRefused

__all__ = ["HashedPassword", "Passwords"]

T = TypeVar("T")


@frozen
class HashedPassword:
    """A password, and what is kept of it."""

    password: str = field(repr=False)
    hash: str = field(repr=False)


class Passwords:
    """Hashes and checks passwords with `workers` threads: some 50 ms and 64 MB each.

    `present` are those that are hashed or wait for it, and the share of each address; who waits
    is served in turns, so that one address's flood holds up nobody else.

    A wrong name and a wrong password take the same time: `verify` hashes either way.
    """

    def __init__(
        self, present: Shares, workers: int = 2, hasher: PasswordHasher | None = None
    ) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = FairQueue(Shares(workers), present)
        self._threads = trio.CapacityLimiter(workers)
        self._nobodys = ""

    async def hash(self, password: str, asker: Asker) -> HashedPassword:
        """Return a password with its hash. Raises `TooManyWaiting`."""
        hashed = await self._in_thread(lambda: self._hasher.hash(_prepared(password)), asker)
        return HashedPassword(password, hashed)

    async def verify(self, hashed: str | None, password: str, asker: Asker) -> bool:
        """Say whether this is the password of a hash; None is that of a user who does not exist.

        Raises `TooManyWaiting`.
        """
        return await self._in_thread(lambda: self._verify(hashed, password), asker)

    def _verify(self, hashed: str | None, password: str) -> bool:
        if not self._nobodys:
            self._nobodys = self._hasher.hash("nobody has this password")
        try:
            self._hasher.verify(hashed or self._nobodys, _prepared(password))
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    async def _in_thread(self, work: Callable[[], T], asker: Asker) -> T:
        async with self._turns.turn(asker):
            try:
                return await in_thread(work, limiter=self._threads)
            except NoThread as error:
                sentence = "The pod cannot check passwords at the moment; try again."
                raise RequestRefused(503, sentence, headers={"Retry-After": "2"}) from error


def _prepared(password: str) -> str:
    """Let the same password be the same whichever keyboard composed it (RFC 8265 section 4.2)."""
    return unicodedata.normalize("NFC", password)
