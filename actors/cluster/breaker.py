"""The circuit breaker of a broker link: pure, the clock passed in (seconds of any steady clock).

Source: M. Nygard, "Release It!", circuit breaker; the states and what moves between them:

    open ──attempted──► half-open ──proven × 3──► closed
     ▲ ▲                    │                        │
     │ └────── tripped ─────┘◄───── tripped ─────────┘
    auth: as open, when the broker does not let us in; tried again at most every 30 s
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import evolve, frozen

__all__ = ["Breaker", "BreakerState"]

PROOFS: Final = 3
"""Canaries that must come back in a row before a link is trusted."""
FIRST_OPEN: Final = 0.25
"""Seconds that a breaker stays open at least."""
LONGEST_OPEN: Final = 4.0
"""Seconds that a flapping breaker stays open at least."""
STEADY: Final = 10.0
"""Seconds closed after which a link that fails is not flapping."""


class BreakerState(StrEnum):
    """Whether a link carries messages."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    AUTH = "auth"


@frozen
class Breaker:
    """A link's state and why; `since` is when it came about, `outage_since` when trust was lost."""

    state: BreakerState = BreakerState.OPEN
    reason: str = "not connected yet"
    since: float = 0.0
    outage_since: float = 0.0
    proofs: int = 0
    open_for: float = FIRST_OPEN
    auth_retry: float = 30.0

    @property
    def closed(self) -> bool:
        """Whether messages go to the broker."""
        return self.state is BreakerState.CLOSED

    def attempted(self, now: float) -> Breaker:
        """Return the breaker when a new connection is being tried."""
        return evolve(self, state=BreakerState.HALF_OPEN, since=now, proofs=0)

    def proven(self, now: float) -> Breaker:
        """Return the breaker when a canary has come back; enough of them close it."""
        if self.state is not BreakerState.HALF_OPEN:
            return self
        if self.proofs + 1 < PROOFS:
            return evolve(self, proofs=self.proofs + 1)
        return evolve(self, state=BreakerState.CLOSED, since=now, proofs=PROOFS, reason="")

    def tripped(self, now: float, reason: str, *, refused: bool = False) -> Breaker:
        """Return the breaker when the link has failed, whatever it was doing."""
        state = BreakerState.AUTH if refused else BreakerState.OPEN
        if not self.closed:
            return evolve(self, state=state, since=now, reason=reason)
        steady = now - self.since >= STEADY
        open_for = FIRST_OPEN if steady else min(LONGEST_OPEN, 2 * self.open_for)
        return evolve(
            self, state=state, since=now, outage_since=now, reason=reason, open_for=open_for
        )

    def wait(self, now: float) -> float:
        """Return the seconds until another attempt is allowed."""
        least = {BreakerState.OPEN: self.open_for, BreakerState.AUTH: self.auth_retry}
        return max(0.0, self.since + least.get(self.state, 0.0) - now)
