"""How pods meet again over a new connection: each says hello, and answers those who do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from ...transport.brokers import Greeting, greeting
from ...transport.brokers.contract import EVERYONE, Message, pod_channel
from .peers import Peers

__all__ = ["Greeter"]


class Greeter:
    """Greets over one connection, and waits for those who are to be back; `peers` outlives it."""

    def __init__(self, pod_id: str, peers: Peers) -> None:
        self._pod_id = pod_id
        self._peers = peers
        self._owing = trio.Event()
        self._reunited = trio.Event()

    def greeted(self, greeting: Greeting) -> None:
        """Note what another pod says of itself."""
        self._peers.greeted(greeting)
        if self._peers.owed:
            self._owing.set()
        if self._peers.complete:
            self._reunited.set()

    async def run(self, say: Callable[[Sequence[Message]], Awaitable[None]]) -> None:
        """Say hello to everyone, then answer those who do, until cancelled."""
        await say([(EVERYONE, greeting(self._pod_id, "hello"))])
        here = greeting(self._pod_id, "here")
        while True:
            while owed := self._peers.take_owed():
                await say([(pod_channel(other), here) for other in owed])
            self._owing = trio.Event()
            await self._owing.wait()

    async def reunion(self, seconds: float) -> None:
        """Return when all that were known are heard again; who is not by then is forgotten."""
        self._reunited = trio.Event()
        if not self._peers.complete:
            with trio.move_on_after(seconds):
                await self._reunited.wait()
        self._peers.give_up()
