"""A client's wire that a test listens to, and cuts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from ..client.client import Dial
from ..client.endings import Ending
from ..client.wire import Wire, WireEnded
from ..transport.protocols import FromPod, decode_from_pod

__all__ = ["Wiretap"]


class Wiretap:
    """Stands between a client and its connections: `heard` is given all that the pod tells.

    `dial` connects; it is what the client is made with.
    """

    def __init__(self, dial: Callable[[], Dial], heard: Callable[[FromPod], None]) -> None:
        self._dial = dial
        self._heard = heard
        self._scope: trio.CancelScope | None = None
        self._open = trio.Event()
        self._open.set()

    async def dial(self, talk: Callable[[Wire], Awaitable[None]]) -> Ending:
        """Connect when that is allowed, and talk until the connection ends or is cut."""
        await self._open.wait()

        async def tapped(wire: Wire) -> None:
            with trio.CancelScope() as self._scope:
                await talk(_TappedWire(wire, self._heard))
            if self._scope.cancelled_caught:
                raise WireEnded(Ending(1006, "the test has cut the connection"))

        return await self._dial()(tapped)

    @property
    def is_cut(self) -> bool:
        """Whether no connection may be made."""
        return not self._open.is_set()

    def cut(self) -> None:
        """Cut the connection, and let no other be made."""
        self._open = trio.Event()
        if self._scope is not None:
            self._scope.cancel()

    def mend(self) -> None:
        """Let the client connect again."""
        self._open.set()


class _TappedWire:
    def __init__(self, wire: Wire, heard: Callable[[FromPod], None]) -> None:
        self._wire = wire
        self._heard = heard

    async def send(self, text: str) -> None:
        await self._wire.send(text)

    async def receive(self) -> str:
        text = await self._wire.receive()
        message = decode_from_pod(text)
        if message is not None:
            self._heard(message)
        return text
