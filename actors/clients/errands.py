"""Tasks that connections need now and then: what empties an outbox, what feeds a full room.

A nursery for each connection would take more than a kilobyte of it, nearly always for nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

__all__ = ["Errand", "Errands"]

Errand: TypeAlias = Callable[[], Awaitable[None]]


class Errands:
    """Where the errands of all connections run. One that raises ends them all, so none must.

    Those that are begun while nothing runs wait until it does; each connection has two at most,
    and one for each room that is full.
    """

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._waiting: deque[Errand] = deque()

    def start(self, errand: Errand) -> None:
        """Have a task run it, from the next turn on."""
        if self._nursery is None:
            self._waiting.append(errand)
        else:
            self._nursery.start_soon(errand)

    async def run(self, started: Callable[[], None]) -> None:
        """Run what is started, until cancelled."""
        try:
            async with trio.open_nursery() as self._nursery:
                while self._waiting:
                    self._nursery.start_soon(self._waiting.popleft())
                started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
