"""The question that a driver asks every second, as no server tells of its own accord."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from ...errors import BrokerError, BrokerUnavailable
from ..bridge import Task, beside, ended, sleep

__all__ = ["PeriodicCheck"]

_INTERVAL: Final = 1.0
"""Seconds between an answer and the next question."""


class PeriodicCheck:
    """Calls `check` every second until it raises, of which `lost` then learns."""

    def __init__(self, check: Callable[[], Awaitable[object]]) -> None:
        self._check = check
        self._task: Task[None] | None = None

    def start(self, lost: Callable[[BrokerError], None]) -> None:
        """Begin; for the loop's thread."""

        def tell(error: BaseException | None) -> None:
            if not isinstance(error, BrokerError):
                error = BrokerUnavailable(f"The broker's check failed: {type(error).__name__}.")
            lost(error)

        self._task = beside(self._repeat(), tell)

    async def close(self) -> None:
        """End it."""
        if self._task is not None:
            await ended([self._task])

    async def _repeat(self) -> None:
        while True:
            await sleep(_INTERVAL)
            await self._check()
