"""The outages of a link, the last ones: since when, until when, why, and what each cost.

What is kept is the outage, not each change of the breaker: an outage of an hour is thousands of
attempts, and whoever looks afterwards wants to know when it began, and its first reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from ...transport import JSON
from ...transport.protocols import Degraded, Healed, OutageCode
from .breaker import BreakerState

__all__ = ["OutageHistory", "PastOutage"]

REMEMBERED: Final = 50
"""Outages that are kept to be shown: the last ones."""


@frozen
class PastOutage:
    """The pods were, or are, cut off from each other. `at` and `until` are unix seconds.

    `reason` is the first, and `last_reason` another where it has changed since. `lost`, `replayed`
    and `missed` are events, known when it is over. `missing` pods were not heard, where the code is
    `partitioned`: the most at a time.
    """

    at: float
    code: OutageCode
    state: BreakerState
    reason: str
    last_reason: str = ""
    missing: int = 0
    until: float | None = None
    lost: int = 0
    replayed: int = 0
    missed: int = 0

    def to_json(self) -> JSON:
        """Return what root is shown."""
        return {
            "at": round(self.at, 3),
            "until": None if self.until is None else round(self.until, 3),
            "code": self.code.value,
            "state": self.state.value,
            "reason": self.reason,
            "last_reason": self.last_reason,
            "missing": self.missing,
            "lost": self.lost,
            "replayed": self.replayed,
            "missed": self.missed,
        }


class OutageHistory:
    """Remembers outages: pure, and bounded. One at a time goes on, which is the last."""

    def __init__(self) -> None:
        self._outages: deque[PastOutage] = deque(maxlen=REMEMBERED)

    @property
    def current(self) -> PastOutage | None:
        """The outage that goes on, if one does."""
        last = self._outages[-1] if self._outages else None
        return None if last is None or last.until is not None else last

    def each(self) -> Sequence[PastOutage]:
        """Return the outages, oldest first."""
        return tuple(self._outages)

    def began(self, outage: Degraded, state: BreakerState) -> None:
        """Note an outage, or more of the one that goes on: another pod that is missing."""
        current = self.current
        if current is not None and current.code is outage.code:
            self._outages[-1] = evolve(current, missing=max(current.missing, outage.missing))
            return
        if current is not None:  # pods that are not heard while the broker goes away, too
            self._outages[-1] = evolve(current, until=max(current.at, outage.since))
        self._outages.append(
            PastOutage(outage.since, outage.code, state, outage.detail, missing=outage.missing)
        )

    def still(self, reason: str) -> None:
        """Note that the outage goes on, for another reason."""
        if self.current is not None:
            self._outages[-1] = evolve(self._outages[-1], last_reason=reason)

    def ended(self, healed: Healed) -> None:
        """Note the end of the outage, and what it came to."""
        if self.current is not None:
            self._outages[-1] = evolve(
                self._outages[-1],
                until=healed.since + healed.seconds,
                lost=healed.lost,
                replayed=healed.replayed,
                missed=healed.missed,
            )

    def to_json(self) -> list[JSON]:
        """Return the same, as root is shown them."""
        return [outage.to_json() for outage in self._outages]
