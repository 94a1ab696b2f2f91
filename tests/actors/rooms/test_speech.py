"""What a room says to the other pods: in one turn, through a link that writes down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
import trio.testing

from deployd.actors import JSON, Member, Room, Uplink
from deployd.actors.cluster import Settle
from deployd.actors.rooms.roster import RemoteEmits
from deployd.transport import Event, Scope
from support.rooms import emit, room_of
from support.sinks import FakeSink


class Written:
    """The way to other pods, which go nowhere."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, event: Event, settle: Settle | None = None) -> Scope | None:
        self.events.append(event)
        return Scope.LOCAL

    def enter(self, room: str | None) -> None:
        """Be told who listens."""

    def leave(self, room: str | None) -> None:
        """Be told who does not."""

    async def heard(self, room: str) -> None:
        """Be heard at once."""


@asynccontextmanager
async def joined_room(
    room_class: type[Room[Any]],
) -> AsyncIterator[tuple[Any, list[Member], FakeSink, Written]]:
    written = Written()
    async with room_of(room_class, 2, uplink=cast("Uplink", written)) as (room, members, sinks):
        yield room, members, sinks[0], written


async def test_what_is_relayed_and_then_told_has_two_ids_for_pods_drop_a_second_of_one() -> None:
    class Both(Room):
        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            self.relay("relayed", data)
            self.broadcast("told", data)
            self.relay("relayed", data)

    async with joined_room(Both) as (room, members, _, written):
        room.ref.tell(emit(members[0], 1))
        await trio.testing.wait_all_tasks_blocked()
        assert [event.name for event in written.events] == ["relayed", "told", "relayed"]
        assert len({event.id for event in written.events}) == 3
        assert written.events[0].id == "id-1"


async def test_the_first_that_is_told_has_the_id_of_what_it_answers() -> None:
    class Twice(Room):
        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            self.broadcast("first", data)
            self.broadcast("second", data)

    async with joined_room(Twice) as (room, members, _, written):
        for number in (1, 2):
            room.ref.tell(emit(members[0], number))
        await trio.testing.wait_all_tasks_blocked()
        assert [event.id == f"id-{event.encoded.decode()}" for event in written.events] == [
            *(True, False),
            *(True, False),
        ]


async def test_what_other_pods_said_is_not_said_to_them_again() -> None:
    class Echo(Room):
        async def on_remote_emit(self, event: str, data: JSON) -> None:
            self.broadcast(event, data)
            self.relay(event, data)

    async with joined_room(Echo) as (room, _, sink, written):
        room.ref.tell(RemoteEmits([Event("room", "said", b"7", "far-1", 1, 0.0, "far")], 100))
        await trio.testing.wait_all_tasks_blocked()
        assert sink.said == [("said", 7)]
        assert written.events == []
