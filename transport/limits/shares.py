"""Each client bears its own weight: how much of a common good each address and each user holds."""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import frozen

from ...config import Limits
from .attempts import network_of

__all__ = ["NOBODY", "POD", "Asker", "Grant", "Shares", "reserve_of", "share_of"]


class Grant(enum.Enum):
    """What became of a wish; true for one that was granted."""

    GIVEN = "given"
    """It is held until it is released."""
    OVER_SHARE = "over_share"
    """The address or the user has its share already: its own fault (429), and nobody else's."""
    NONE_LEFT = "none_left"
    """Nobody gets more at this moment: the pod's fault (503)."""

    def __bool__(self) -> bool:
        return self is Grant.GIVEN


@frozen
class Asker:
    """On whose account something is held.

    `network` is what its address is counted under: an IPv4 address, 64 bits of an IPv6 one. Where
    a trusted proxy names nobody (`client_address` returns "") it is empty: behind the proxy may be
    everybody, who would share one share, so only the whole bounds them. `user` is the id of who
    has signed in. Who is `privileged` has no share of its own and reaches into the reserve.
    """

    network: str
    user: str | None = None
    privileged: bool = False

    @classmethod
    def of(cls, address: str, user: str | None = None, *, root: bool = False) -> Asker:
        """Return who asks from an address, perhaps signed in; root is privileged."""
        return cls(network_of(address), user, privileged=root)


NOBODY = Asker("")
"""Somebody of whom nothing is known."""

POD = Asker("", privileged=True)
"""The pod itself: its own rooms, health, metrics."""


class Shares:
    """A common good of `total` pieces, and who holds how many of them. Pure.

    No address holds more than `per_address`, no user more than `per_user` (0: as much as all),
    and all of them together leave a `reserve` for the privileged. Loopback is an address like any
    other: behind it may stand a proxy that nobody has named in `server.trustedProxies`.

    Memory is bounded by what is held: who holds nothing is not remembered.
    """

    __slots__ = ("_addresses", "_held", "_per_address", "_per_user", "_reserve", "_total", "_users")

    def __init__(
        self, total: int, per_address: int = 0, per_user: int = 0, *, reserve: int = 0
    ) -> None:
        self._total = total
        self._per_address = per_address
        self._per_user = per_user
        self._reserve = min(reserve, total)
        self._held = 0
        self._addresses: Counter[str] = Counter()
        self._users: Counter[str] = Counter()

    @classmethod
    def of(cls, total: int, limits: Limits) -> Shares:
        """Divide a good as the settings do: `addressShare`, `userShare`, `reserve`."""
        return cls(
            total,
            share_of(total, limits.address_share),
            share_of(total, limits.user_share),
            reserve=reserve_of(total, limits.reserve),
        )

    def resize(self, other: Shares) -> None:
        """Divide as another one does from now on; who holds more than that by now, keeps it."""
        self._total, self._reserve = other._total, other._reserve
        self._per_address, self._per_user = other._per_address, other._per_user

    def __len__(self) -> int:
        return self._held

    def may(self, asker: Asker, amount: int = 1, *, reserved: bool = False) -> Grant:
        """Say what `take` would, and take nothing."""
        reserve = 0 if reserved or asker.privileged else self._reserve
        if self._held + amount > self._total - reserve:
            return Grant.NONE_LEFT
        return Grant.OVER_SHARE if self.is_over_share(asker, amount) else Grant.GIVEN

    def take(self, asker: Asker, amount: int = 1, *, reserved: bool = False) -> Grant:
        """Hold so many pieces on somebody's account, all of them or none.

        `reserved` is what the reserve is for, whoever asks for it. What was given must be released
        on the account of the same asker.
        """
        grant = self.may(asker, amount, reserved=reserved)
        if grant:
            self._add(asker, amount)
        return grant

    def release(self, asker: Asker, amount: int = 1) -> None:
        """Give back what was taken."""
        self._add(asker, -amount)

    @contextmanager
    def holding(self, asker: Asker, amount: int = 1) -> Iterator[Grant]:
        """Take, and give back at the end of the block what was given."""
        grant = self.take(asker, amount)
        try:
            yield grant
        finally:
            if grant:
                self.release(asker, amount)

    def is_over_share(self, asker: Asker, amount: int = 1) -> bool:
        """Say whether so many more would be above the share of an address or a user."""
        if asker.privileged:
            return False
        known, user = asker.network, asker.user
        return bool(
            (known and 0 < self._per_address < self._addresses[known] + amount)
            or (user is not None and 0 < self._per_user < self._users[user] + amount)
        )

    def held_by(self, network: str) -> int:
        """Return how many pieces an address holds, given as `Asker.network`."""
        return self._addresses[network]

    def heaviest(self) -> str | None:
        """Return the network that holds most, to take something back from when all is gone.

        Who holds what can be taken back (half a request, a connection between two) should bear
        the shortage that it makes. Looks at every address: for when nothing is left.
        """
        return max(self._addresses, key=self._addresses.__getitem__, default=None)

    def _add(self, asker: Asker, amount: int) -> None:
        self._held += amount
        if asker.privileged:
            return
        if asker.network:
            _change(self._addresses, asker.network, amount)
        if asker.user is not None:
            _change(self._users, asker.user, amount)


def reserve_of(total: int, fraction: float) -> int:
    """Return how many of `total` pieces a reserve is, rounded down: of one, nothing is kept."""
    return math.floor(total * fraction)


def share_of(total: int, fraction: float) -> int:
    """Return how many of `total` pieces a fraction is, rounded up, 1 at least."""
    return max(1, math.ceil(total * fraction))


def _change(held: Counter[str], holder: str, amount: int) -> None:
    held[holder] += amount
    if held[holder] <= 0:
        del held[holder]
