"""How much of one client may wait for full rooms before the pod stops reading from it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["MAX_WAITING_BYTES", "MAX_WAITING_MESSAGES", "Backpressure"]

MAX_WAITING_MESSAGES = 64
"""Messages that may wait."""

MAX_WAITING_BYTES = 64 * 1024
"""The same in bytes; one message more may always wait, however large it is."""


class Backpressure:
    """A gate: it closes when too much waits, and opens again when half of that is done.

    `opened` is called then.
    """

    __slots__ = ("_bytes", "_messages", "_opened", "full")

    def __init__(self, opened: Callable[[], None] | None = None) -> None:
        self._messages = self._bytes = 0
        self._opened = opened
        self.full = False
        """Whether it is closed."""

    def took(self, nbytes: int) -> None:
        """Count a message in."""
        self._messages += 1
        self._bytes += nbytes
        if self._messages >= MAX_WAITING_MESSAGES or self._bytes >= MAX_WAITING_BYTES:
            self.full = True

    def handled(self, nbytes: int) -> None:
        """Count a message out."""
        self._messages -= 1
        self._bytes -= nbytes
        if self.full and self._half_done:
            self.full = False
            if self._opened is not None:
                self._opened()

    @property
    def _half_done(self) -> bool:
        return self._messages < MAX_WAITING_MESSAGES // 2 and self._bytes < MAX_WAITING_BYTES // 2
