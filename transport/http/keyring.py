"""Who sends a request, by its headers: a token of this pod's, or the master key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from ..errors import BadToken
from ..tokens import Identity, Tokens, constant_time_equal

__all__ = ["ROOT", "Keyring", "bearer"]

ROOT: Final = Identity("root", "root", is_root=True, expires_at=None)
"""Who shows the master key."""


class Keyring:
    """What opens a pod: the master key, and tokens, of which those it signs last `ttl` seconds.

    `wall` returns unix seconds.
    """

    def __init__(
        self, tokens: Tokens, master_key: str, *, ttl: float, wall: Callable[[], float]
    ) -> None:
        self._tokens = tokens
        self._master_key = master_key
        self._ttl = ttl
        self._wall = wall

    def change_master_key(self, master_key: str) -> None:
        """Know root by this key from now on, and by none before it."""
        self._master_key = master_key

    def is_master_key(self, key: str) -> bool:
        """Say whether this is the master key, in a time that does not tell how nearly."""
        return bool(self._master_key) and constant_time_equal(key, self._master_key)

    def identify(self, headers: Mapping[str, str], *, for_rooms: bool = False) -> Identity | None:
        """Return who sends these headers, or None for somebody who shows nothing.

        A token that is good for rooms alone is taken only where that is asked for. Raises
        `BadToken` for a key or a token that is not good: nobody becomes anonymous by mistake.
        """
        key = headers.get("x-master-key")
        if key is not None:
            if self.is_master_key(key):
                return ROOT
            raise BadToken("bad_key", "This is not the master key.")
        token = bearer(headers)
        return None if token is None else self._tokens.verify(token, for_rooms=for_rooms)

    def sign(self, user_id: str, username: str, is_root: bool) -> tuple[str, int]:
        """Return a token for a user, and the unix time (seconds) at which it ends."""
        token = self._tokens.sign(user_id, username=username, is_root=is_root, ttl=self._ttl)
        return token, math.ceil(self._wall() + self._ttl)


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token that is shown (RFC 6750 section 2.1), or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
