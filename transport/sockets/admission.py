"""Who may begin a handshake now: how many a second, and how many of one address. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from ..limits import Asker, Attempts, Grant, Shares, TokenBucket, share_of
from .refusal import Refusal

__all__ = ["Admission"]

LONGEST_WAIT = 60
"""Seconds that a client is told to wait at most."""

RETRY_AFTER = 5
"""Seconds after which who found no place should try again."""

_CALLED: Final = {Grant.OVER_SHARE: "address", Grant.NONE_LEFT: "connections"}


class Admission:
    """The limits of handshakes. Times are passed in, in seconds; `random` returns 0 to below 1.

    A herd is told to come back no faster than the rate can serve: each one that is turned away
    joins a queue in which nobody stands, and is told its place in it. `Retry-After` has whole
    seconds (RFC 9110 section 10.2.3), so that chance decides which of the two next to it is told.

    `places` are the connections there may be, and the share of each address in them; no address
    begins more than `share` of the handshakes either. Whoever is refused is counted in
    `rate_limited`: as `address`, `connections` or `accepts`.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        places: Shares,
        *,
        share: float,
        now: float,
        random: Callable[[], float],
        rate_limited: Counter[str],
    ) -> None:
        self._places = places
        self._random = random
        self._owed = 0.0
        self._owed_at = now
        self._rate_limited = rate_limited
        self.change_rate(rate, burst, share=share, now=now)

    def change_rate(self, rate: float, burst: int, *, share: float, now: float) -> None:
        """Take so many handshakes a second from now on; what was taken so far is forgotten."""
        self._rate = rate
        self._bucket = TokenBucket(rate, burst, now)
        own = share_of(burst, share)
        self._each = Attempts(own, own / (rate * share)) if rate > 0 and share < 1 else None

    def change_places(self, places: Shares) -> None:
        """Divide the connections as these; who is in stays."""
        self._places.resize(places)

    def refuse(self, address: str, now: float) -> Refusal | None:
        """Take a handshake of this address in, or say why not: 429 for too many, 503 for too fast.

        Who is taken in counts among those of its address until `left`.
        """
        asker = Asker.of(address)
        grant = self._places.may(asker)
        if not grant:
            self._rate_limited[_CALLED[grant]] += 1
            return _no_place(grant, self._places.held_by(asker.network))
        if not self._may_begin(asker.network, now):
            self._rate_limited["accepts"] += 1
            wait = str(self._wait(now))
            sentence = f"Many clients connect at this moment; try again in {wait} s."
            return Refusal(503, sentence, (("Retry-After", wait),))
        self._places.take(asker)
        return None

    def _may_begin(self, network: str, now: float) -> bool:
        each = self._each if network else None
        if each is not None and each.attempt(network, now):
            return False
        if self._bucket.take(now):
            return True
        if each is not None:
            each.forgive(network)
        return False

    def left(self, address: str) -> None:
        """Forget a connection that was taken in."""
        self._places.release(Asker.of(address))

    def _wait(self, now: float) -> int:
        elapsed, self._owed_at = max(0.0, now - self._owed_at), now
        self._owed = max(0.0, self._owed - elapsed * self._rate) + 1
        seconds = 1 + int(self._owed / self._rate + self._random())
        return min(LONGEST_WAIT, seconds)


def _no_place(grant: Grant, held: int) -> Refusal:
    retry = (("Retry-After", str(RETRY_AFTER)),)
    if grant is Grant.OVER_SHARE:
        sentence = f"There are {held} connections of your address already; close one of them."
        return Refusal(429, sentence, retry)
    return Refusal(503, "All connections of this pod are taken; try again later.", retry)
