"""A client of a system on the bench: it says words, and writes down all that it is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import trio

from ...oracle import EVERYBODY, Answered, Dropped, Entered, Gone, Hearing, Record, Spoken

__all__ = ["Guest"]


class Guest(ABC):
    """One client over all its connections: each is another visit, and another name.

    `rooms` are those that it is to be in, `inside` those that it is in. Systems say how a visit
    is, and how something is said; what comes of it they tell the methods below, which write it
    down.
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
        self.url = url
        self.rooms = rooms
        self._present = trio.Event()
        self._history = history
        self._blameless = blameless
        self._visits = self._said = 0
        self._here = False
        self.inside: set[str] = set()
        self._scope = trio.CancelScope()

    @property
    def well(self) -> bool:
        """Whether it is in all its rooms, and was told of nothing that is still wrong."""
        return len(self.inside) == len(self.rooms)

    @property
    def name(self) -> str:
        """What it is called on this visit."""
        return f"client{self.number}.{self._visits}"

    async def live(self) -> None:
        """Come, be in all rooms, and come back whenever it is cut off, until cancelled."""
        while True:
            with trio.CancelScope() as self._scope:
                try:
                    await self.visit()
                finally:
                    self.left()
            if self._scope.cancelled_caught:
                await self._present.wait()

    def go(self) -> None:
        """Be gone, until `come`."""
        self._present = trio.Event()
        self._scope.cancel()

    def come(self) -> None:
        """Be there again."""
        self._present.set()

    def say(self, room: str, size: int, nursery: trio.Nursery) -> None:
        """Say a word, if it is in the room; its receipt is waited for in a nursery."""
        nursery.start_soon(self._speak, room, size)

    async def _speak(self, room: str, size: int) -> None:
        if room not in self.inside:
            return
        # Counted here, where nothing comes before it is sent: tasks begin in any order.
        self._said += 1
        said = Spoken(trio.current_time(), self.name, self.pod, room, self._said)
        self._history.append(said)
        await self.emit(said, size)

    # What systems say ----------------------------------------------------------------------------

    @abstractmethod
    async def visit(self) -> None:
        """Be connected, and in all rooms, again and again, until cancelled or refused."""

    @abstractmethod
    async def emit(self, said: Spoken, size: int) -> None:
        """Send something as long as that at once, and see to it that its receipt is told."""

    # What is told --------------------------------------------------------------------------------

    def came(self) -> None:
        """Note that it is connected: another visit begins."""
        self._visits += 1
        self._here = True
        self._history.append(Entered(trio.current_time(), self.name, self.pod, EVERYBODY))

    def entered(self, room: str) -> None:
        """Note that its join was acknowledged."""
        self.inside.add(room)
        self._history.append(Entered(trio.current_time(), self.name, self.pod, room))

    def left_room(self, room: str) -> None:
        """Note that it is in a room no more."""
        self.inside.discard(room)
        self._history.append(Gone(trio.current_time(), self.name, room))

    def dropped(self, code: int) -> None:
        """Note that its connection has ended, which it did not want."""
        if self._blameless():
            self._history.append(Dropped(trio.current_time(), self.name, code))
        self.left()

    def left(self) -> None:
        """Note that it is gone."""
        if self._here:
            self._here = False
            self._history.append(Gone(trio.current_time(), self.name, None))
        self.inside.clear()

    def heard(self, room: str, speaker: str, number: int) -> None:
        """Note what it has heard."""
        self._history.append(Hearing(trio.current_time(), self.name, room, speaker, number))

    def answered(self, speaker: str, number: int, scope: str, members: int = -1) -> None:
        """Note a receipt: its scope, and how many it says have heard, -1 where it does not."""
        self._history.append(Answered(trio.current_time(), speaker, number, scope, members))
