"""Rooms on their own: fake members, fake time, no sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from deployd.actors import (
    JSON,
    ActorCell,
    ActorDefinitionError,
    Batching,
    DeadLetters,
    EventIds,
    Mailbox,
    Member,
    Request,
    Room,
    RoomEnvironment,
    Roster,
    Uplink,
    handles,
)
from deployd.actors.rooms.replies import Replies
from deployd.actors.rooms.room_actor import RoomActor
from deployd.actors.rooms.roster import RoomEmit
from deployd.actors.rooms.seat import Seat
from deployd.config import Config, Limits
from deployd.transport import Problem

from .seats import Desk
from .sinks import FakeSink

__all__ = ["ROSTERS", "Idle", "Nothing", "ask", "emit", "join", "room_of"]


class Nothing(Request[None]):
    """Ask a room for nothing, to see when it answers."""


class Idle(Room):
    """Answers what asks for nothing."""

    @handles(Nothing)
    async def nothing(self, message: Nothing) -> None:
        """Do nothing."""


async def live(room: ActorCell[Any]) -> None:
    """Be the least of supervisors: run a room again each time it crashes."""
    crashed = True
    while crashed:
        try:
            await room.run(lambda: None)
            crashed = False
        except (RuntimeError, ActorDefinitionError):
            pass


ROSTERS: dict[str, Roster[Any]] = {}
"""Of the room that runs, by its path."""


async def join(room: ActorCell[Any], desk: Desk) -> Member:
    """Let a client knock, and return its seat when it was answered."""
    seat = desk.knock(ROSTERS[room.path])
    await trio.testing.wait_all_tasks_blocked()
    return seat


@asynccontextmanager
async def room_of(
    room_class: type[Room[Any]], count: int, uplink: Uplink | None = None, **limits: Any
) -> AsyncIterator[tuple[ActorCell[Any], list[Member], list[FakeSink]]]:
    """Run a room with so many members in it."""
    config = Config(limits=Limits(**limits))
    environment = RoomEnvironment(
        config.limits, EventIds("pod"), lambda: 1_700_000_000.0, Batching.of(config), uplink
    )
    letters = DeadLetters()

    def cell(path: str, kind: type[Room[Any]]) -> ActorCell[Any]:
        roster = ROSTERS[path] = Roster(name=path)

        def make() -> RoomActor:
            return RoomActor(kind(), roster, environment)

        made: ActorCell[Any] = ActorCell(path, make, mailbox=Mailbox(), dead_letters=letters)
        roster.ref = made.ref
        return made

    room = cell("room", room_class)
    sinks = [FakeSink() for _ in range(count)]
    desks = [Desk(str(n), cell(str(n), Idle).ref, sink) for n, sink in enumerate(sinks)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live, room)
        members = [await join(room, desk) for desk in desks]
        assert [desk.told for desk in desks] == [[("join", None)]] * count
        for sink in sinks:
            sink.pieces.clear()
        yield room, members, sinks
        nursery.cancel_scope.cancel()


def ask(member: Member, event: str, data: JSON = None, request: int | None = 1) -> RoomEmit:
    """Say something and wait for what becomes of it; the member's sink is told."""
    client = member.client if isinstance(member, Seat) else member
    replies = Replies(client, 5.0, lambda: 0.0)
    late = lambda _: Problem("late", "")  # noqa: E731
    reply = replies.owe(request, "room", late, trio.current_time(), f"id-{request}")
    return RoomEmit(member, event, data, f"id-{request}", reply)


def emit(member: Member, data: JSON) -> RoomEmit:
    desk = Desk(member.client_id, member.ref, FakeSink())
    if isinstance(member, Seat):
        desk.replies = Replies(member.client, 5.0, lambda: 0.0)
    reply = desk.replies.unasked("room", lambda _: Problem("late", ""), "")
    return RoomEmit(member, "said", data, f"id-{data}", reply)
