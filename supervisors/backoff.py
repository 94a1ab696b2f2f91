"""How long to wait before a restart: exponential backoff with full jitter.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: of the variants compared
there full jitter spreads clients that failed together best. Here they are the broker links of
a hundred pods whose broker has just gone.
"""

from collections.abc import Callable

import attrs

from .errors import InvalidSpec

__all__ = ["Backoff"]

_MAX_DOUBLINGS = 64
"""The exponent stays below this: a link that failed for a day must not overflow a float."""


@attrs.frozen
class Backoff:
    """When to restart a child that failed. Times are seconds.

    `base` is the longest first wait, `factor` multiplies it with each failure up to `cap`.
    A child that was up for `reset_after` without failing begins anew. With `immediate` the
    first restart does not wait at all: most bugs hit once.
    """

    base: float = 0.05
    factor: float = 2.0
    cap: float = 5.0
    reset_after: float = 30.0
    immediate: bool = True

    def __attrs_post_init__(self) -> None:
        if not 0 < self.base <= self.cap:
            raise InvalidSpec(f"{self}: give a base above 0 s and a cap not below it.")
        if not 1 <= self.factor <= 100:
            raise InvalidSpec(f"{self}: give a factor from 1 to 100.")
        if self.reset_after < 0:
            raise InvalidSpec(f"{self}: give a reset_after of 0 s or more.")

    def ceiling(self, failures: int) -> float:
        """Return the longest wait in seconds after so many failures in a row before this one."""
        return float(min(self.cap, self.base * self.factor ** min(failures, _MAX_DOUBLINGS)))

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        """Return the seconds to wait after so many failures in a row before this one.

        `random` gives numbers in [0, 1). The wait is uniform between nothing and the ceiling.
        """
        if self.immediate and failures == 0:
            return 0.0
        return random() * self.ceiling(failures)
