"""How fast who is no client may ask for rooms over HTTP: as fast as a client may speak."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from ...config import Limits
from ...transport import Asker, Attempts, Problem

__all__ = ["HttpRates"]


class HttpRates:
    """At most `limits.messageRateLimit` requests a second of a user, or of an address.

    Root has no limit. `clock` is steady seconds; `rate_limited` counts what came too soon.
    """

    def __init__(
        self, limits: Limits, clock: Callable[[], float], rate_limited: Counter[str]
    ) -> None:
        self._clock = clock
        self._rate_limited = rate_limited
        self.adopt(limits)

    def adopt(self, limits: Limits) -> None:
        """Go by these limits from now on."""
        self._rate = rate = limits.message_rate_limit
        burst = max(1, int(rate)) if rate else 0
        self._attempts = Attempts(burst, burst / rate if rate else 1.0)

    def judge(self, asker: Asker) -> Problem | None:
        """Count a request, or say that it came too soon."""
        if asker.privileged:
            return None
        who = asker.network if asker.user is None else f"user:{asker.user}"
        seconds = self._attempts.attempt(who, self._clock())
        if not seconds:
            return None
        self._rate_limited["messages"] += 1
        sentence = f"At most {self._rate:g} messages a second; this one was dropped, slow down."
        return Problem("too_fast", sentence, retry_after=math.ceil(seconds))
