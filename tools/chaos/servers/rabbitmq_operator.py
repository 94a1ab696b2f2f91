"""Who tells RabbitMQ's servers what to do: whichever can do it, when it can."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from .errors import NotObeyed
from .processes import PATIENCE
from .rabbitmq import RabbitServer
from .rabbitmq_console import RabbitConsole

__all__ = ["LOOKED", "RabbitOperator"]

LOOKED: Final = 0.05
"""Seconds between looks at whether a server serves: it tells nobody."""


class RabbitOperator:
    """Has servers evaluate Erlang. A node answers before its server serves, and can do little."""

    def __init__(self, servers: Sequence[RabbitServer], folder: Path) -> None:
        self._servers = servers
        self._console = RabbitConsole(servers[0], folder)

    async def tell(self, words: str, place: int | None = None) -> str:
        """Have a server evaluate expressions: one that can, where it does not matter which.

        What does not run, or is frozen, is waited for: it may be started again. Returns the value
        as Erlang writes it. Raises `NotObeyed`.
        """
        among = self._servers if place is None else [self._servers[place]]
        deadline = trio.current_time() + PATIENCE
        while trio.current_time() < deadline:
            able = await _first_that_serves(among)
            if able is not None:
                try:
                    return await trio.to_thread.run_sync(self._console.tell, able, words)
                except NotObeyed:
                    if await _first_that_serves([able]):
                        raise
                    # It was about to end.
            await trio.sleep(LOOKED)
        raise NotObeyed(f"No server of RabbitMQ is there to do `{words.strip()[:200]}`.")

    async def tell_all(self, words: str) -> None:
        """Have all evaluate expressions that serve, or are about to."""
        for place, server in enumerate(self._servers):
            if await _comes(server):
                await self.tell(words, place)

    def end(self) -> None:
        """Tell nothing more."""
        self._console.end()


async def _first_that_serves(servers: Sequence[RabbitServer]) -> RabbitServer | None:
    for server in servers:
        if _is_awake(server) and await trio.to_thread.run_sync(server.serves):
            return server
    return None


async def _comes(server: RabbitServer) -> bool:
    """Wait while a server starts, or ends, and say which it was."""
    with trio.move_on_after(PATIENCE):
        while _is_awake(server):
            if await _first_that_serves([server]):
                return True
            await trio.sleep(LOOKED)
    return False


def _is_awake(server: RabbitServer) -> bool:
    return server.running and not server.frozen
