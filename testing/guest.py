"""Somebody in a room under test: a client of the pod, and all that it was told."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio

from ..actors import Member
from ..client import JSON, Client, ClientReceipt, NothingHeard
from ..transport.protocols import ClientEvent, Failed, FromPod, Joined, Left, Receipted
from .transcript import Transcript, shown
from .wiretap import Wiretap

__all__ = ["PATIENCE", "RoomGuest"]

PATIENCE: Final = 1.0
"""Seconds of the test's clock in which something has to come."""
MOST_UNREAD: Final = 10_000
"""Events that wait for the test to hear them; the oldest give way."""


class RoomGuest:
    """A client in a room under test. Made by `RoomUnderTest.join`.

    `id` is what the transcript calls it, `client` the client itself, for all that is not here.
    """

    client: Client

    def __init__(
        self,
        guest_id: str,
        room: str,
        transcript: Transcript,
        settle: Callable[[], Awaitable[None]],
        members: Callable[[int], Mapping[str, Member]],
        pod: int,
    ) -> None:
        self.id = guest_id
        self._room = room
        self._transcript = transcript
        self._settle = settle
        self._members = members
        self.pod = pod
        """The number of the pod that it connects to."""
        self._unread: deque[ClientEvent] = deque(maxlen=MOST_UNREAD)
        self._changed = trio.Event()
        self._closing = trio.Event()
        self._tap: Wiretap

    async def join(self, data: JSON = None) -> None:
        """Join the room, or join it again. Raises `Refused`."""
        self._note(f"joins {shown(data)}")
        try:
            await self.client.join(self._room, data)
        finally:
            await self._settle()

    async def emit(self, event: str, data: JSON = None) -> ClientReceipt:
        """Say something, and return the receipt with the room's answer. Raises `Refused`.

        Raises why the room has put it out, where it has.
        """
        await self._check()
        self._note(f"emits {event} {shown(data)}")
        try:
            return await self.client.emit(self._room, event, data)
        finally:
            await self._settle()

    async def hear(self, event: str | None = None, *, within: float = PATIENCE) -> Any:
        """Return the data of the next such event, or of any; others are passed over.

        Raises `NothingHeard` where none comes in so many seconds, and why the room put it out.
        """
        with trio.move_on_after(within):
            while True:
                while self._unread:
                    heard = self._unread.popleft()
                    if event is None or heard.name == event:
                        return heard.data
                await self._check()
                await self._changed.wait()
        raise NothingHeard(within)

    @property
    def unread(self) -> list[str]:
        """The names of the events that it was told and has not heard."""
        return [event.name for event in self._unread]

    @property
    def member(self) -> Member:
        """What the room's hooks and the pod know it as. Raises `KeyError` while it is away."""
        return self._members(self.pod)[self.client.id or ""]

    async def leave(self) -> None:
        """Leave the room."""
        self._note("leaves")
        await self.client.leave(self._room)
        await self._settle()

    async def drop(self) -> None:
        """Lose the connection, without a word, until `come_back`."""
        self._note("loses its connection")
        self._tap.cut()
        await self._settle()

    async def come_back(self, *, pod: int | None = None) -> None:
        """Connect again after `drop`, and be back in the room as clients are by themselves.

        With several pods it may come to another one.

        Raises `Disconnected` where the room does not let it in.
        """
        self.pod = self.pod if pod is None else pod
        self._note("comes back")
        self._tap.mend()
        await self.client.ready()
        await self._settle()

    async def close(self) -> None:
        """Close the connection, and be gone for good."""
        self._note("closes its connection")
        self._closing.set()
        await self._settle()

    # Its life, for the room ----------------------------------------------------------------------

    def come(self, client: Client, tap: Wiretap) -> None:
        """Be this client."""
        self.client, self._tap = client, tap

    async def closed(self) -> None:
        """Return when it is to be gone."""
        await self._closing.wait()

    async def returned(self, within: float) -> None:
        """Return when it is back after its pod was away, unless it is not to be."""
        if not self._closing.is_set() and not self._tap.is_cut:
            await self.client.ready(timeout=within)

    def told(self, message: FromPod) -> None:
        """Take what the pod tells it."""
        if isinstance(message, ClientEvent | Joined | Left | Receipted | Failed):
            self._transcript.told(self.id, message)
        if isinstance(message, ClientEvent):
            self._unread.append(message)
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def _check(self) -> None:
        """Raise why the room has put it out, where it has."""
        queue = self.client.events(self._room)
        if queue.ended:
            async for _ in queue:  # to its end, where the error is
                pass

    def _note(self, what: str) -> None:
        self._transcript.note(f"{self.id} {what}")
