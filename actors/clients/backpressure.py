"""How much of one client may wait for full rooms before the pod stops reading from it."""

from __future__ import annotations

import trio

__all__ = ["MAX_WAITING_BYTES", "MAX_WAITING_MESSAGES", "Backpressure"]

MAX_WAITING_MESSAGES = 64
"""Messages that may wait."""

MAX_WAITING_BYTES = 64 * 1024
"""The same in bytes; one message more may always wait, however large it is."""


class Backpressure:
    """A gate: it closes when too much waits, and opens again when half of that is done."""

    __slots__ = ("_bytes", "_messages", "_opened")

    def __init__(self) -> None:
        self._messages = self._bytes = 0
        self._opened: trio.Event | None = None

    def took(self, nbytes: int) -> None:
        """Count a message in."""
        self._messages += 1
        self._bytes += nbytes

    def handled(self, nbytes: int) -> None:
        """Count a message out."""
        self._messages -= 1
        self._bytes -= nbytes
        if self._opened is not None and self._half_done:
            self._opened.set()
            self._opened = None

    @property
    def full(self) -> bool:
        """Whether too much waits."""
        return self._messages >= MAX_WAITING_MESSAGES or self._bytes >= MAX_WAITING_BYTES

    async def ready(self) -> None:
        """Return when there is room for more."""
        while self.full:
            self._opened = trio.Event()
            await self._opened.wait()

    @property
    def _half_done(self) -> bool:
        return self._messages < MAX_WAITING_MESSAGES // 2 and self._bytes < MAX_WAITING_BYTES // 2
