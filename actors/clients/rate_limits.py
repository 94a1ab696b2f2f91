"""How a client behaves: its rate of messages, and how many errors it may cause."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from ...config import Limits
from ...transport import TokenBucket

__all__ = ["RateExceeded", "RateLimits", "strike_for"]

STRIKE_FOR_EXCESS = 0.1
"""What a message over the rate limit counts against `abuseLimit`."""

_STRIKES: Mapping[str, float] = {
    "too_fast": STRIKE_FOR_EXCESS,
    # Who the client is may change behind its back: its token expires while it is away.
    **dict.fromkeys(("auth_required", "expired_token", "forbidden", "room_forbidden"), 0.0),
    # It may have been taken out of the room, or be of a time when nobody had to join to emit.
    "not_a_member": 0.0,
    # How the pod is doing is not the client's doing.
    **dict.fromkeys(("busy", "room_busy", "room_crashed", "too_many_rooms", "cut_off"), 0.0),
}

TOLD_EVERY = 1.0
"""Seconds between two answers to a client that is too fast, or the pod joins the flood."""


@frozen
class RateExceeded:
    """A message that came too soon: the limit it is over, and when it would have passed.

    `limit` is what `Meters.rate_limited` calls it, `retry_after` seconds. `told` is whether a
    client that does not wait for an answer was told so a moment ago.
    """

    limit: str
    sentence: str
    retry_after: float
    told: bool


class RateLimits:
    """The rates and the abuse limit of one client. Pure: times are passed in, in seconds.

    Joins have a rate of their own, with a burst of as many as a client may be in rooms: whoever
    comes back asks for all its rooms at once. What one limit refuses takes nothing of another.
    """

    __slots__ = ("_bytes", "_joins", "_messages", "_strikes", "_told", "limits")

    def __init__(self, limits: Limits, now: float) -> None:
        rate, joins = limits.message_rate_limit, limits.join_rate_limit
        nbytes = limits.byte_rate_limit
        self.limits = limits
        self._messages = TokenBucket(rate, max(rate, 1.0), now)
        self._joins = TokenBucket(joins, max(joins, limits.max_rooms_per_client), now)
        self._bytes = TokenBucket(nbytes, max(nbytes, limits.max_message_bytes), now)
        self._strikes: TokenBucket | None = None
        self._told = float("-inf")

    def judge(self, now: float, nbytes: int, *, joins: bool = False) -> RateExceeded | None:
        """Let a message of so many bytes that comes now pass (None), or say why it does not."""
        bucket = self._joins if joins else self._messages
        if not bucket.take(now):
            limit = "joins" if joins else "messages"
            return self._excess(limit, bucket.retry_after(now), now)
        if not self._bytes.take(now, nbytes):
            bucket.give_back()
            return self._excess("bytes", self._bytes.retry_after(now, nbytes), now)
        return None

    def _excess(self, limit: str, retry_after: float, now: float) -> RateExceeded:
        told = now < self._told + TOLD_EVERY
        if not told:
            self._told = now
        limits = self.limits
        most = {
            "messages": f"{limits.message_rate_limit:g} messages",
            "joins": f"{limits.join_rate_limit:g} joins",
            "bytes": f"{limits.byte_rate_limit:,.0f} bytes",
        }[limit]
        sentence = f"At most {most} a second; this one was dropped, slow down."
        return RateExceeded(limit, sentence, round(retry_after, 3), told)

    def strike(self, now: float, weight: float = 1.0) -> bool:
        """Count an error and say whether it is one too many."""
        if self._strikes is None:  # most clients never cause one
            limit = self.limits.abuse_limit
            self._strikes = TokenBucket(limit / self.limits.abuse_period, limit, now)
        return not self._strikes.take(now, weight)


def strike_for(code: str) -> float:
    """Return what a refusal counts against `abuseLimit`: nothing, where no client could know."""
    return _STRIKES.get(code, 1.0)
