"""What follows the end of a connection: whether to come back, and when. Pure.

As `web/client/dpd.js` decides: waits are random below a bound that doubles (full jitter), on top of
what the pod asks for, and codes from 4500 on are final.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from attrs import frozen

from ..transport.protocols import CloseCode, Problem

__all__ = ["Comeback", "Ending", "backoff", "comeback"]

BASE: Final = 0.5
"""Seconds that the first wait has at most."""
CAP: Final = 20.0
"""Seconds that any wait has at most, where the pod does not ask for more."""
LASTED: Final = 5.0
"""Seconds after which a connection was a good one: its end begins a new count of failures."""
ASKED_CAP: Final = 300.0
"""Seconds that are waited at most, whatever the pod asks for: a client comes back some time."""
_MOST_DOUBLINGS: Final = 64
_FINAL: Final = range(4500, 5000)
_PASSING: Final = frozenset({408, 425, 429})
"""Refusals of HTTP below 500 that say "later" (RFC 9110 section 15.5, RFC 6585, RFC 8470)."""
_ASKED: Final = re.compile(r"\bretry_after=(\d{1,9}(?:\.\d{1,9})?)")


@frozen
class Ending:
    """How a connection ended, or why there was none.

    `code` is that of the close frame, 1006 without one; `reason` for people. `status` is what HTTP
    answered where there was no WebSocket, `retry_after` the seconds that it asked to wait.
    `refusal` is why the pod did not take our token.
    """

    code: int = 1006
    reason: str = ""
    status: int | None = None
    retry_after: float | None = None
    refusal: Problem | None = None

    @property
    def asked(self) -> float:
        """The seconds that the pod asks to wait, in its reason or in HTTP's header; or 0."""
        found = _ASKED.search(self.reason)
        asked = float(found[1]) if found else self.retry_after or 0.0
        return min(max(0.0, asked), ASKED_CAP)

    def is_final(self, *, known: bool, renews: bool) -> bool:
        """Say whether the same client would be turned away again.

        `known` is whether a pod has let it in before: then a refusal of HTTP may be that of a proxy
        whose pods restart. `renews` is whether it gets another token by itself, which mends 4500.
        """
        if self.status is not None:
            return 400 <= self.status < 500 and self.status not in _PASSING and not known
        return self.code in _FINAL and not (renews and self.code == CloseCode.TOKEN_EXPIRED)


@frozen
class Comeback:
    """When the next attempt is made: in `wait` seconds, or never (`final`).

    `failures` is how many attempts in a row have failed by then.
    """

    final: bool
    wait: float
    failures: int


def comeback(
    ending: Ending,
    *,
    lasted: float,
    failures: int,
    known: bool,
    renews: bool,
    random: Callable[[], float],
) -> Comeback:
    """Decide what follows the end of a connection that was good for `lasted` seconds.

    `failures` counts the attempts before it that failed. `random` gives numbers in [0, 1).
    """
    if ending.is_final(known=known, renews=renews):
        return Comeback(True, 0.0, failures)
    before = 0 if lasted >= LASTED else failures
    return Comeback(False, ending.asked + backoff(before, random), before + 1)


def backoff(failures: int, random: Callable[[], float]) -> float:
    """Return a wait after so many failures: anything below a bound that doubles."""
    return random() * float(min(CAP, BASE * 2 ** min(failures, _MOST_DOUBLINGS)))
