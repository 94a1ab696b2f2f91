"""How a client behaves: its rate of messages, and how many errors it may cause."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from ..config import Limits
from ..transport import TokenBucket

__all__ = ["Conduct", "Verdict", "strike_for"]

STRIKE_FOR_HASTE = 0.1
"""What a message over the rate limit counts against `abuseLimit`."""

_STRIKES: Mapping[str, float] = {
    "too_fast": STRIKE_FOR_HASTE,
    # Who the client is may change behind its back: its token expires while it is away.
    **dict.fromkeys(("auth_required", "expired_token", "forbidden", "room_forbidden"), 0.0),
    # It may have been taken out of the room, or be of a time when nobody had to join to emit.
    "not_a_member": 0.0,
    # How the pod is doing is not the client's doing.
    **dict.fromkeys(("busy", "room_busy", "room_crashed", "too_many_rooms", "cut_off"), 0.0),
}

TOLD_EVERY = 1.0
"""Seconds between two answers to a client that is too fast, or the pod joins the flood."""


class Verdict(enum.Enum):
    """What becomes of one message."""

    PASS = "pass"  # noqa: S105 - not a password
    """It is handled."""
    DROP = "drop"
    """It is over the rate limit; the client was told so a moment ago."""
    TELL = "tell"
    """It is over the rate limit, and the client is to be told."""


class Conduct:
    """The rate limit and the abuse limit of one client. Pure: times are passed in, in seconds."""

    __slots__ = ("_limits", "_rate", "_strikes", "_told")

    def __init__(self, limits: Limits, now: float) -> None:
        rate = limits.message_rate_limit
        self._limits = limits
        self._rate = TokenBucket(rate, max(rate, 1.0), now)
        self._strikes: TokenBucket | None = None
        self._told = float("-inf")

    def judge(self, now: float) -> Verdict:
        """Say what becomes of a message that comes now."""
        if self._rate.take(now):
            return Verdict.PASS
        if now < self._told + TOLD_EVERY:
            return Verdict.DROP
        self._told = now
        return Verdict.TELL

    def retry_after(self, now: float) -> float:
        """Return the seconds until a message would pass."""
        return self._rate.retry_after(now)

    def strike(self, now: float, weight: float = 1.0) -> bool:
        """Count an error and say whether it is one too many."""
        if self._strikes is None:  # most clients never cause one
            limit = self._limits.abuse_limit
            self._strikes = TokenBucket(limit / self._limits.abuse_period, limit, now)
        return not self._strikes.take(now, weight)


def strike_for(code: str) -> float:
    """Return what a refusal counts against `abuseLimit`: nothing, where no client could know."""
    return _STRIKES.get(code, 1.0)
