"""Messages that reached nobody: counted always, logged at a limited rate, contents never."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from attrs import frozen
from structlog.typing import FilteringBoundLogger

from ...config import LogLimiter, get_logger

__all__ = ["DEAD_LETTER_REASONS", "DeadLetter", "DeadLetterStatistics", "DeadLetters"]

DEAD_LETTER_REASONS: Final = (
    *("dead", "mailbox full", "poison", "stopped"),
    *("too large", "unhandled", "withdrawn"),
)
"""Why messages of well-behaved actors reach nobody; code that raises adds reasons of its own."""

MAX_REASONS = 64
OTHER = "other"


@frozen
class DeadLetter:
    """A message that reached nobody: the name of its type, where it was going, and why not."""

    message_type: str
    path: str
    reason: str


@frozen
class DeadLetterStatistics:
    """How many there were in all and for each reason, and the last few, oldest first."""

    total: int
    by_reason: dict[str, int]
    recent: tuple[DeadLetter, ...]


class DeadLetters:
    """Where all actors of a pod report what they could not deliver or handle.

    At most `burst` log lines in `period` seconds; the last `keep` letters are remembered, and at
    most 64 reasons are counted apart. `clock` returns seconds.
    """

    def __init__(
        self,
        *,
        log: FilteringBoundLogger | None = None,
        clock: Callable[[], float] = time.monotonic,
        burst: int = 10,
        period: float = 10.0,
        keep: int = 50,
    ) -> None:
        self._log = get_logger("realtime") if log is None else log
        self._clock = clock
        self._limiter = LogLimiter(burst, period)
        self._by_reason: dict[str, int] = {}
        self._recent: deque[DeadLetter] = deque(maxlen=keep)

    def report(self, path: str, message: object, reason: str) -> None:
        """Count a message for `path` that was not handled. Never raises, never waits."""
        counted = reason
        if reason not in self._by_reason and len(self._by_reason) >= MAX_REASONS:
            counted = OTHER
        self._by_reason[counted] = self._by_reason.get(counted, 0) + 1
        letter = DeadLetter(type(message).__name__, path, reason)
        self._recent.append(letter)
        suppressed = self._limiter.admit(self._clock())
        if suppressed is not None:
            self._log.warning(
                "dead letter",
                message_type=letter.message_type,
                actor=path,
                reason=reason,
                suppressed=suppressed,
            )

    def statistics(self) -> DeadLetterStatistics:
        """Return the counts and the last few letters."""
        return DeadLetterStatistics(
            sum(self._by_reason.values()), dict(self._by_reason), tuple(self._recent)
        )
