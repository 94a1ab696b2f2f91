"""Somebody in a room under test: what a client of a pod can do, without a connection."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson
import trio
import trio.testing

from ..actors import Actor, ActorCell, DeadLetters, Exit, Member, Roster
from ..actors.rooms import Replies, Reply, RoomEmit, Seat
from ..client import JSON, ClientReceipt, NoAnswer, NothingHeard, Refused, RoomLost
from ..transport import NATIVE, Problem, encode_data
from ..transport.protocols import (
    ClientEvent,
    Failed,
    FromPod,
    Joined,
    Left,
    Receipted,
    decode_from_pod,
)

__all__ = ["PATIENCE", "RoomGuest"]

PATIENCE: Final = 1.0
"""Seconds of the test's clock in which something has to come."""


class Surroundings(Protocol):
    """The room that a guest is in."""

    name: str

    @property
    def roster(self) -> Roster[Any]:
        """Who is in it."""

    def wall(self) -> float:
        """Return the time (unix seconds)."""

    def next_id(self) -> str:
        """Return an id for an event."""

    def note(self, line: str) -> None:
        """Write something into the transcript."""


class RoomGuest:
    """A client in a room under test. Made by `RoomAlone.join`."""

    def __init__(self, room: Surroundings, client_id: str, timeout: float) -> None:
        self.id = client_id
        self.lost: RoomLost | None = None
        """Why the room has put it out, or None."""
        self._room = room
        ear = _Ear(self._told)
        cell: ActorCell[Any] = ActorCell(client_id, Actor, dead_letters=DeadLetters())
        self._cell = cell  # its references do not hold it
        self.member = Member[Any](client_id, cell.ref, ear, "127.0.0.1", NATIVE)
        self._replies = Replies(self.member, math.inf, room.wall)
        self._timeout = timeout
        self._asked = 0
        self._answers: dict[object, FromPod] = {}
        self._unread: deque[ClientEvent] = deque()
        self._changed = trio.Event()

    async def join(self, data: JSON = None) -> None:
        """Join the room, or join it again. Raises `Refused`."""
        roster, reply = self._room.roster, self._owe("")
        self._room.note(f"{self.id} joins {_shown(data)}")
        seat = self.member.seats.get(self._room.name) or Seat(self.member, roster, self)
        seat.knock(reply, data)
        await self._answer(reply, "join")
        self.lost = None

    async def emit(self, event: str, data: JSON = None) -> ClientReceipt:
        """Say something, and return the receipt with the room's answer. Raises `Refused`."""
        self._check()
        event_id = self._room.next_id()
        reply = self._owe(event_id)
        self._room.note(f"{self.id} emits {event} {_shown(data)}")
        said: JSON = orjson.loads(encode_data(data))
        ref = self._room.roster.ref
        speaker = self.member.seats.get(self._room.name) or self.member.as_it_is()
        if ref is not None:
            ref.tell(RoomEmit(speaker, event, said, event_id, reply))
        receipt = await self._answer(reply, f"emit of {event}")
        if not isinstance(receipt, Receipted):
            raise Refused("unknown", f"The room answered with something else: {receipt}.")
        return ClientReceipt.read(receipt)

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
                self._check()
                await self._changed.wait()
        raise NothingHeard(within)

    @property
    def unread(self) -> list[str]:
        """The names of the events that it was told and has not read."""
        return [event.name for event in self._unread]

    async def leave(self, reason: str = "left") -> None:
        """Leave the room, or be gone from it for another reason."""
        seat = self.member.seats.get(self._room.name)
        self._room.note(f"{self.id} is gone: {reason}")
        if seat is not None:
            seat.leave(reason, freely=True)
        await trio.testing.wait_all_tasks_blocked()

    # What the room tells ------------------------------------------------------------------------

    def room_ended(self, seat: Seat, exit: Exit) -> None:  # noqa: A002
        """See `SeatOwner`."""
        self.tell_problem(Problem("room_closed", f"The room '{seat.name}' has ended.", seat.name))

    def tell_problem(self, problem: Problem) -> None:
        """See `SeatOwner`."""
        self._replies.refuse(problem)

    def put_out(self, name: str, reason: str) -> None:
        """See `SeatOwner`."""
        self._replies.say(Left(name, self._room.wall(), reason=reason))

    def _told(self, message: FromPod) -> None:
        self._room.note(f"{self.id} is told {_line(message)}")
        if isinstance(message, ClientEvent):
            self._unread.append(message)
        elif isinstance(message, Joined | Receipted | Failed) and message.id is not None:
            self._answers[message.id] = message
        elif isinstance(message, Failed) and not self.member.rooms:
            problem = message.problem
            self.lost = RoomLost(problem.code, problem.message, problem.room)
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    # Answers ------------------------------------------------------------------------------------

    def _owe(self, event_id: str) -> Reply:
        self._asked += 1
        late = Problem("timeout", "The room does not answer.")
        now = trio.current_time()
        return self._replies.owe(self._asked, self._room.name, lambda _: late, now, event_id)

    async def _answer(self, reply: Reply, what: str) -> FromPod:
        with trio.move_on_after(self._timeout):
            while reply.id not in self._answers:
                await self._changed.wait()
        answer = self._answers.pop(reply.id, None)
        if answer is None:
            raise NoAnswer(what, self._timeout)
        if isinstance(answer, Failed):
            raise Refused.of(answer.problem)
        return answer

    def _check(self) -> None:
        if self.lost is not None:
            raise self.lost


class _Ear:
    """Where a guest's frames go; it reads them at once."""

    deflates = lagging = False
    written = waiting = (0, 0)

    def __init__(self, told: Callable[[FromPod], None]) -> None:
        self._told = told

    def write(self, data: bytes, messages: int = 1) -> None:
        """Read whole frames of a server (RFC 6455 section 5.2)."""
        while data:
            extended = {126: 2, 127: 8}.get(data[1], 0)
            start = 2 + extended
            size = int.from_bytes(data[2:start]) if extended else data[1]
            message = decode_from_pod(data[start : start + size].decode())
            data = data[start + size :]
            if message is not None:
                self._told(message)

    async def flushed(self) -> None:
        """Be done."""


def _line(message: FromPod) -> str:
    if isinstance(message, ClientEvent):
        return f"{message.name} {_shown(message.data)}"
    if isinstance(message, Failed):
        return f"error {message.problem.code}: {message.problem.message}"
    if isinstance(message, Receipted):
        return f"receipt {message.scope} {(message.answer or b'').decode()}"
    return type(message).__name__.lower()


def _shown(data: JSON) -> str:
    return "" if data is None else orjson.dumps(data).decode()
