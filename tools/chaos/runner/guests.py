"""A client of a pod that says words, and writes down all that it is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import trio

from ....client import (
    JSON,
    CameUp,
    Client,
    ClientError,
    ClientEvent,
    Degraded,
    Disconnected,
    Gap,
    Healed,
    NoAnswer,
    Refused,
    RoomEntered,
    RoomLeft,
    Signal,
    Unconfirmed,
    Unread,
    WentDown,
    connect,
)
from ...oracle import EVERYBODY, Answered, Dropped, Entered, Gone, Hearing, Record, Spoken, Told

__all__ = ["Guest"]

SAID: Final = "said"
ANSWER: Final = 60.0
"""Seconds for any answer: longer than a pod may take for one, or sleep."""
MOST_UNREAD: Final = 20_000
AGAIN: Final = 0.3
"""Seconds after which a client that was let in nowhere tries anew."""


class Guest:
    """One client over all its connections: each is another visit, and another name.

    `rooms` are those that it is to be in, `inside` those that it is in.
    `blameless` says whether a connection that ends is anybody's fault but the pod's and ours.
    """

    def __init__(
        self,
        number: int,
        pod: int,
        url: str,
        rooms: Sequence[str],
        history: list[Record],
        blameless: Callable[[], bool],
    ) -> None:
        self.number = number
        self.pod = pod
        self.present = trio.Event()
        self.url = url
        self.rooms = rooms
        self._history = history
        self._blameless = blameless
        self._visits = self._said = 0
        self._client: Client | None = None
        self.inside: set[str] = set()
        self._open: set[str | None] = set()
        self._scope = trio.CancelScope()
        # What pods say of times is in unix seconds, what is written down in those of this run.
        self._offset = time.time() - trio.current_time()

    @property
    def well(self) -> bool:
        """Whether it is in all its rooms, and was told of nothing that is still wrong."""
        return len(self.inside) == len(self.rooms) and not self._open

    @property
    def name(self) -> str:
        """What it is called on this visit."""
        return f"client{self.number}.{self._visits}"

    async def live(self) -> None:
        """Come, be in all rooms, and come back whenever it is cut off, until cancelled."""
        while True:
            with trio.CancelScope() as self._scope:
                try:
                    await self._visit()
                except* ClientError:
                    await trio.sleep(AGAIN)
            if not self._scope.cancelled_caught:
                continue
            self._leave()
            await self.present.wait()

    def go(self) -> None:
        """Be gone, until `come`."""
        self.present = trio.Event()
        self._scope.cancel()

    def come(self) -> None:
        """Be there again."""
        self.present.set()

    async def _visit(self) -> None:
        async with connect(
            self.url, timeout=ANSWER, most_unread=MOST_UNREAD, unread=Unread.DROP_OLDEST
        ) as client:
            told = client.told()
            self._client = client
            self._come_up()
            if client.degraded is not None:  # it was told so before anybody listened
                self._hear(client.degraded)
            try:
                async with trio.open_nursery() as nursery:
                    for room in self.rooms:
                        nursery.start_soon(self._join, client, room)
                    async for one in told:
                        self._hear(one)
            finally:
                self._client = None
                self._leave()

    @staticmethod
    async def _join(client: Client, room: str) -> None:
        inside = False
        while not inside:
            try:
                await client.join(room)
                inside = True
            except (Refused, NoAnswer, Disconnected):
                await trio.sleep(AGAIN)

    # What it says ------------------------------------------------------------------------------

    def say(self, room: str, size: int, nursery: trio.Nursery) -> None:
        """Say a word, if it is in the room; its receipt is waited for in a nursery."""
        nursery.start_soon(self._emit, room, size)

    async def _emit(self, room: str, size: int) -> None:
        client = self._client
        if client is None or room not in self.inside:
            return
        # Counted here, where nothing comes before it is sent: tasks begin in any order.
        self._said += 1
        said = Spoken(trio.current_time(), self.name, self.pod, room, self._said)
        self._history.append(said)
        data: JSON = {"by": said.client, "number": said.number, "more": "x" * size}
        members = -1
        try:
            receipt = await client.emit(said.room, SAID, data, timeout=ANSWER)
            scope = receipt.scope.value
            members = -1 if receipt.members is None else receipt.members
        except Refused as error:
            scope = f"error:{error.code}"
        except Disconnected:
            scope = "error:disconnected"  # nothing was sent
        except (Unconfirmed, NoAnswer, ClientError):
            return
        self._history.append(
            Answered(trio.current_time(), said.client, said.number, scope, members)
        )

    # What it is told ---------------------------------------------------------------------------

    def _hear(self, one: ClientEvent | Signal) -> None:
        now, history = trio.current_time(), self._history
        match one:
            case ClientEvent(name="said"):
                heard = _heard(now, self.name, one)
                if heard is not None:
                    history.append(heard)
            case RoomEntered(room):
                self.inside.add(room)
                history.append(Entered(now, self.name, self.pod, room))
            case RoomLeft(room):
                self.inside.discard(room)
                history.append(Gone(now, self.name, room))
            case CameUp():
                self._come_up()
            case WentDown(code):
                if self._blameless():
                    history.append(Dropped(now, self.name, code))
                self._leave()
            case Degraded() | Gap() | Healed():
                history.append(self._told(now, one))
            case _:
                pass  # what its pod complains of is judged by what comes of it

    def _come_up(self) -> None:
        self._visits += 1
        self._history.append(Entered(trio.current_time(), self.name, self.pod, EVERYBODY))

    def _leave(self) -> None:
        if self.inside or self._visits:
            self._history.append(Gone(trio.current_time(), self.name, None))
        self.inside.clear()
        self._open.clear()

    def _told(self, now: float, outage: Degraded | Gap | Healed) -> Told:
        since = outage.since - self._offset
        whose = outage.room if isinstance(outage, Gap) else None
        over = isinstance(outage, Healed) or (
            isinstance(outage, Gap) and outage.whole_at is not None
        )
        (self._open.discard if over else self._open.add)(whose)
        if isinstance(outage, Degraded):
            return Told(now, self.name, None, outage.code.value, since, None, 0)
        if isinstance(outage, Gap):
            until = None if outage.whole_at is None else outage.whole_at - self._offset
            room = outage.room or EVERYBODY
            return Told(now, self.name, room, "missed", since, until, outage.missed)
        until, code = since + outage.seconds, outage.code.value
        return Told(
            now, self.name, None, code, since, until, outage.missed, outage.unheard, outage.lost
        )


def _heard(now: float, name: str, event: ClientEvent) -> Hearing | None:
    match event.data:
        case {"by": str(by), "number": int(number)}:
            return Hearing(now, name, event.room or EVERYBODY, by, number)
        case _:
            return None
