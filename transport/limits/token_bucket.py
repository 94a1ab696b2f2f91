"""How fast is too fast: a token bucket with the clock passed in."""

import math

__all__ = ["TokenBucket"]


class TokenBucket:
    """A bucket of `burst` tokens that fills by `rate` tokens a second; it starts full.

    A rate of 0 means no limit. `now` is in seconds of any clock that does not repeat itself;
    time that runs backwards neither fills nor empties the bucket.
    """

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take so many tokens, or none when there are not enough."""
        if self._rate <= 0:
            return True
        self._fill(now)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def give_back(self, amount: float = 1.0) -> None:
        """Put tokens back that were taken for nothing."""
        self._tokens = min(self._burst, self._tokens + amount)

    def retry_after(self, now: float, amount: float = 1.0) -> float:
        """Return the seconds until so many tokens are there: 0 now, infinity for over `burst`."""
        if self._rate <= 0:
            return 0.0
        if amount > self._burst:
            return math.inf
        self._fill(now)
        return max(0.0, (amount - self._tokens) / self._rate)

    def _fill(self, now: float) -> None:
        elapsed = now - self._filled_at
        if elapsed > 0:
            self._tokens = min(self._burst, self._tokens + elapsed * self._rate)
            self._filled_at = now
