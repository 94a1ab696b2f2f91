"""A room alone: no socket, no pod, no broker, and the clock of the test.

::

    async def test_who_bids_more_leads(autojump_clock):
        async with open_room(Auction) as room:
            ann, ben = await room.join(user="ann"), await room.join(user="ben")
            assert (await ann.emit("bid", {"amount": 5})).answer == {"user": "ann", "amount": 5}
            assert await ben.hear("leading") == {"user": "ann", "amount": 5}
            await room.advance(60)
            assert await ben.hear("sold") == {"user": "ann", "amount": 5}

What is said and answered is what a client of a pod would hear, in its words: the same calls, the
same errors. Access rules, rates of a connection and other pods are not here; for these run a pod
(the fixtures `pod` and `cluster`). An error that leaves the block carries the room's transcript.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import trio
import trio.testing
from trio.testing import MockClock

from ..actors import (
    Batching,
    DeadLetters,
    EventIds,
    Request,
    RoomEnvironment,
    RoomFactory,
    RoomRules,
    Roster,
)
from ..actors.rooms import ServerEmit
from ..client import JSON
from ..config import Config, PatternMap, lead_into_logging
from ..supervisors.pod.rooms import RoomTree
from ..transport import Event, Identity, Meters, encode_data
from .guest import PATIENCE, RoomGuest

__all__ = ["RoomAlone", "open_room"]

START: Final = 1_700_000_000.0
"""Unix seconds when a test begins."""
MOST_TOLD: Final = 200
"""Lines of a transcript."""

R = TypeVar("R")


@asynccontextmanager
async def open_room(
    room: RoomFactory, *, name: str = "room-1", config: Config | None = None
) -> AsyncIterator[RoomAlone]:
    """Run a room of this class, or of what a function makes, for the length of the block.

    It is supervised as in a pod: a crash restarts it.
    """
    lead_into_logging()
    alone, failure = RoomAlone(room, name, config or Config()), None
    async with trio.open_nursery() as nursery:
        await nursery.start(alone.run)
        try:
            yield alone
        except Exception as error:  # noqa: BLE001 - raised below, as it is and not in a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        failure.add_note("\n".join(["What was said in the room:", *alone.transcript]))
        raise failure


class RoomAlone:
    """A room under test, and who is in it. Made by `open_room`."""

    def __init__(self, room: RoomFactory, name: str, config: Config) -> None:
        self.name = name
        self.transcript: deque[str] = deque(maxlen=MOST_TOLD)
        """What was said so far, a line each."""
        self._limits = config.limits
        self._event_ids = EventIds("test")
        self._begun = trio.current_time()
        environment = RoomEnvironment(
            config.limits,
            self._event_ids,
            self.wall,
            Batching.of(config),
            None,
            Meters(),
            PatternMap(config.broker.receipts),
            RoomRules(config.access.rules),
        )
        self._letters = DeadLetters()
        self._tree = RoomTree({name: room}, environment, self._letters, {})
        self._guests = 0

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Supervise the room; `open_room` does."""
        await self._tree.supervisor.run(task_status.started)

    def wall(self) -> float:
        """Return the time that the room goes by, in unix seconds: it passes as trio's does."""
        return START + trio.current_time() - self._begun

    @property
    def roster(self) -> Roster[Any]:
        """Who is in the room, and what else of it outlives a crash; the room is opened for it."""
        self._tree.directory.open(self.name)
        roster = self._tree.directory.roster(self.name)
        if roster is None:
            raise RuntimeError(f"The room '{self.name}' cannot be opened.")
        return roster

    @property
    def state(self) -> Any:
        """The room's state."""
        return self.roster.state

    async def join(
        self, data: JSON = None, *, user: str | None = None, root: bool = False
    ) -> RoomGuest:
        """Let somebody join who brings this, and return it when it is in. Raises `Refused`.

        With `user` or `root` it has signed in; else it is nobody.
        """
        self._guests += 1
        guest = RoomGuest(self, f"{user or 'guest'}-{self._guests}", self._limits.emit_timeout)
        if user is not None or root:
            guest.member.identity = Identity(user or "root", user or "root", root, None)
        await guest.join(data)
        return guest

    async def emit(self, event: str, data: JSON = None) -> None:
        """Say something as the pod's own code does (`hub.emit_to_room`)."""
        said = Event(self.name, event, encode_data(data), self._event_ids(), 0, self.wall())
        self.roster  # noqa: B018 - it is opened
        self._tree.directory.open(self.name).tell(ServerEmit(said))
        await trio.testing.wait_all_tasks_blocked()

    async def ask(self, request: Request[R], timeout: float = PATIENCE) -> R:
        """Ask the room what its typed handlers (`@handles`) answer."""
        return await self._tree.directory.open(self.name).ask(request, timeout)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and all that is due in it happen.

        Raises `RuntimeError` where the test does not have a clock of its own.
        """
        clock = trio.lowlevel.current_clock()
        if not isinstance(clock, MockClock):
            sentence = "Take the fixture `autojump_clock` of pytest-trio: time is real here."
            raise RuntimeError(sentence)  # noqa: TRY004 - of where it is called
        before, clock.autojump_threshold = clock.autojump_threshold, 0.0
        await trio.sleep(seconds)
        await trio.testing.wait_all_tasks_blocked()
        clock.autojump_threshold = before

    def next_id(self) -> str:
        """Return an id for an event."""
        return self._event_ids()

    def note(self, line: str) -> None:
        """Write something into the transcript."""
        self.transcript.append(f"{trio.current_time() - self._begun:8.3f}  {line}")
