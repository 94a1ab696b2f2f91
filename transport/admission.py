"""Who may begin a handshake now: how many a second, and how many of one address. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from .attempts import network_of
from .handshake import Refusal
from .token_bucket import TokenBucket

__all__ = ["Admission"]

LONGEST_WAIT = 60
"""Seconds that a client is told to wait at most."""


class Admission:
    """The limits of handshakes. Times are passed in, in seconds; `random` returns 0 to below 1.

    A herd is told to come back no faster than the rate can serve: each one that is turned away
    joins a queue in which nobody stands, and is told its place in it. `Retry-After` has whole
    seconds (RFC 9110 section 10.2.3), so that chance decides which of the two next to it is told.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        per_address: int,
        *,
        now: float,
        random: Callable[[], float],
    ) -> None:
        self._rate = rate
        self._per_address = per_address
        self._bucket = TokenBucket(rate, burst, now)
        self._random = random
        self._owed = 0.0
        self._owed_at = now
        self._addresses: Counter[str] = Counter()

    def refuse(self, address: str, now: float) -> Refusal | None:
        """Take a handshake of this address in, or say why not: 429 for too many, 503 for too fast.

        Who is taken in counts among those of its address until `left`.
        """
        network = network_of(address)
        if self._per_address and self._addresses[network] >= self._per_address:
            sentence = f"There are {self._per_address} connections of your address already."
            return Refusal(429, sentence, (("Retry-After", "5"),))
        if not self._bucket.take(now):
            wait = str(self._wait(now))
            sentence = f"Many clients connect at this moment; try again in {wait} s."
            return Refusal(503, sentence, (("Retry-After", wait),))
        if self._per_address:
            self._addresses[network] += 1
        return None

    def left(self, address: str) -> None:
        """Forget a connection that was taken in."""
        if self._per_address:
            network = network_of(address)
            self._addresses[network] -= 1
            if self._addresses[network] <= 0:
                del self._addresses[network]

    def _wait(self, now: float) -> int:
        elapsed, self._owed_at = max(0.0, now - self._owed_at), now
        self._owed = max(0.0, self._owed - elapsed * self._rate) + 1
        seconds = 1 + int(self._owed / self._rate + self._random())
        return min(LONGEST_WAIT, seconds)
