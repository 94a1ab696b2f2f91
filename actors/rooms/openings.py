"""The rooms that clients have opened: on whose account, and which of them stand empty. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ...transport import Asker, Grant, Shares

__all__ = ["Openings"]


class Openings:
    """Counts the rooms that clients have opened against a share of each, as long as they run.

    A room that nobody is in is kept for a while, in case somebody comes back, but it keeps nobody
    out: when there is no place, the one that has stood empty for longest goes. Whoever has its own
    share already gives up one of its own.
    """

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._openers: dict[str, Asker] = {}
        self._empty: dict[str, None] = {}  # the longest empty first

    def resize(self, shares: Shares) -> None:
        """Divide the places as these from now on; rooms that are open stay."""
        self._shares.resize(shares)

    def __len__(self) -> int:
        return len(self._openers)

    def admit(self, name: str, asker: Asker, *, reserved: bool = False) -> Grant:
        """Count a room that somebody opens, or say why there is no place for it.

        `reserved` is whether it is one of the pod's own, for which a reserve is kept.
        """
        grant = self._shares.take(asker, reserved=reserved)
        if grant:
            self._openers[name] = asker
        return grant

    def forget(self, name: str) -> None:
        """Give back the place of a room that ends; harmless for one that no client has opened."""
        self._empty.pop(name, None)
        opener = self._openers.pop(name, None)
        if opener is not None:
            self._shares.release(opener)

    def is_empty(self, name: str) -> None:
        """Learn that nobody is in a room any more, or yet."""
        if name in self._openers:
            self._empty.setdefault(name)

    def is_in_use(self, name: str) -> None:
        """Learn that somebody is in a room."""
        self._empty.pop(name, None)

    def to_give_up(self, asker: Asker) -> Iterator[str]:
        """Yield the rooms that may make place for one of this asker's, the longest empty first."""
        if not self._shares.is_over_share(asker):
            return iter(list(self._empty))
        return (name for name in list(self._empty) if _shared(self._openers[name], asker))


def _shared(opener: Asker, asker: Asker) -> bool:
    return not opener.privileged and (
        (bool(opener.network) and opener.network == asker.network)
        or (opener.user is not None and opener.user == asker.user)
    )
