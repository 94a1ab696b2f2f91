"""Who comes in with what, what a room keeps of its members, and how it puts them out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
import trio.testing
from attrs import define, frozen

from deployd.actors import (
    JSON,
    ActorCell,
    ActorDefinitionError,
    Member,
    NotAMember,
    Refuse,
    Room,
    RoomError,
    on,
)
from deployd.actors.rooms.bounds import lower_of
from support.rooms import ROSTERS, Idle, ask, emit, room_of
from support.seats import Desk
from support.sinks import FakeSink


@frozen
class Ticket:
    row: int
    seat: str


@define
class Guest:
    ticket: Ticket
    said: int = 0


class Theatre(Room[None, Guest]):
    async def authorize_join(self, member: Member[Guest], params: Ticket) -> bool:
        if params.row > 9:
            raise Refuse("There are nine rows.", code="no_such_row", rows=9)
        member.data = Guest(params)
        return params.seat != "taken"

    async def on_join(self, member: Member[Guest]) -> None:
        self.broadcast("comes", member.data.ticket.seat)
        if member.data.ticket.seat == "broken":
            raise Refuse("It is broken.", code="broken")

    async def on_leave(self, member: Member[Guest], reason: str) -> None:
        self.broadcast("goes", [member.data.ticket.seat, member.data.said, reason])

    async def on_message(self, member: Member[Guest], event: str, data: JSON) -> None:
        member.data.said += 1
        if data == "crash":
            raise RuntimeError("on purpose")
        self.broadcast("said", member.data.said)


def desk(room: ActorCell[Any], name: str) -> Desk:
    return Desk(name, room.ref, FakeSink())


async def knocks(room: ActorCell[Any], guest: Desk, params: JSON, request: int = 1) -> Any:
    """Return the last message that the guest is told, when the room has answered."""
    guest.knock(ROSTERS[room.path], request, params)
    await trio.testing.wait_all_tasks_blocked()
    return next(m for m in map(orjson.loads, guest.sink.texts[::-1]) if m.get("id") == request)


async def test_whoever_comes_brings_what_the_room_asks_for_or_is_told_what_is_wrong() -> None:
    async with room_of(Theatre, 0) as (room, _, __):
        ann, ben = desk(room, "ann"), desk(room, "ben")
        wrong = await knocks(room, ann, {"row": "1"}, 1)
        assert wrong["data"] == {"code": "wrong_data", "path": "row"}
        assert wrong["error"] == (
            "The data of 'join' does not fit: row must be a whole number, not '1'."
        )
        far = await knocks(room, ann, {"row": 10, "seat": "a"}, 2)
        assert (far["error"], far["room"]) == ("There are nine rows.", "room")
        assert far["data"] == {"code": "no_such_row", "rows": 9}
        assert (await knocks(room, ann, {"row": 1, "seat": "taken"}, 3))["data"] == {
            "code": "room_forbidden"
        }
        assert (await knocks(room, ann, {"row": 1, "seat": "a"}, 4))["type"] == "join"
        broken = await knocks(room, ben, {"row": 1, "seat": "broken"})
        assert broken["data"] == {"code": "broken"}
        assert ann.sink.said == [("comes", "a")]
        assert set(ROSTERS[room.path].members) == {"ann"}
        assert room.incarnation == 1


async def test_what_a_room_keeps_of_a_member_outlives_a_crash_and_ends_with_the_seat() -> None:
    async with room_of(Theatre, 0) as (room, _, __):
        ann = desk(room, "ann")
        await knocks(room, ann, {"row": 1, "seat": "a"})
        seat = ann.member.seats["room"]
        for data in (1, "crash", 2):
            room.ref.tell(emit(seat, data))
        await trio.testing.wait_all_tasks_blocked()
        assert ann.sink.said == [("comes", "a"), ("said", 1), ("said", 3)]
        assert room.incarnation == 2
        assert ann.member.data is None
        seat.leave("left")
        await trio.testing.wait_all_tasks_blocked()
        await knocks(room, ann, {"row": 1, "seat": "b"}, 2)
        assert ann.member.seats["room"].data == Guest(Ticket(1, "b"))


async def test_a_room_that_asks_for_nothing_keeps_nothing_of_the_wish() -> None:
    async with room_of(Room, 0) as (room, _, __):
        ann = desk(room, "ann")
        assert (await knocks(room, ann, {"row": "x" * 1000}))["type"] == "join"
        assert ann.member.seats["room"].params is None


class Strict(Room):
    @on("out")
    async def out(self, member: Member, who: str) -> None:
        if who == "wait":
            self.broadcast("waits", None)
            await trio.lowlevel.checkpoint()
        other = self.members["1"]
        self.broadcast("warns", who)
        other.kick("rude", "Mind your manners.")
        self.broadcast("put out", who)
        other.kick("rude", "Once is enough.")
        if who == "crash":
            raise RuntimeError("on purpose")

    async def on_leave(self, member: Member, reason: str) -> None:
        self.broadcast("gone", reason)


@pytest.mark.parametrize("who", ["ben", "wait", "crash"])
async def test_who_is_kicked_is_out_at_once_and_told_why(who: str) -> None:
    async with room_of(Strict, 2) as (room, members, sinks):
        room.ref.tell(ask(members[0], "out", who))
        await trio.testing.wait_all_tasks_blocked()
        waits = [("waits", None)] if who == "wait" else []
        put_out = [("put out", who)] if who != "crash" else []
        assert sinks[0].said == [*waits, ("warns", who), *put_out, ("gone", "kicked")]
        heard = [orjson.loads(text) for text in sinks[1].texts]
        assert [m.get("event") for m in heard if m["type"] == "emit"] == [
            *(name for name, _ in waits),
            "warns",
        ]
        desk = members[1].owner  # type: ignore[attr-defined] # a seat's
        assert desk.out == ["room"]
        assert heard[-1]["error"] == "Mind your manners."
        assert heard[-1]["data"] == {"code": "rude"}
        assert (heard[-1]["room"], set(ROSTERS[room.path].members)) == ("room", {"0"})
        told = [orjson.loads(text) for text in sinks[0].texts]
        answer = next(m for m in told if "id" in m)
        assert answer["type"] == ("error" if who == "crash" else "receipt")
        assert "a part of it was done" in answer.get("error", "a part of it was done")


async def test_only_members_are_kicked_and_with_codes_that_clients_leave_to_the_room() -> None:
    raised: list[Exception] = []

    class Gate(Room):
        async def authorize_join(self, member: Member) -> bool:
            try:
                member.kick("rude", "Not yet.")
            except RoomError as error:
                raised.append(error)
            return True

        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            for code in ("room_busy", "Rude"):
                with pytest.raises(ActorDefinitionError):
                    member.kick(code, "No.")
            with pytest.raises(RoomError, match="has not joined"):
                member.as_it_is().kick("rude", "No.")

    async with room_of(Gate, 1) as (room, members, _):
        assert "raise Refuse to keep it out" in str(raised[0])
        room.ref.tell(emit(members[0], 1))
        await trio.testing.wait_all_tasks_blocked()
        assert room.incarnation == 1


class Choosing(Room):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        one, two, _ = self.members.values()
        self.broadcast("all", 1)
        self.broadcast("one", 1, to=one)
        self.broadcast("some", 1, to=[one, two], exclude=two)
        self.broadcast("none", 1, to=[])
        self.broadcast("others", 1, exclude=one)
        self.broadcast("last", 1, exclude=[one, two])
        self.broadcast("every", 1, exclude=[])
        self.broadcast("also", 1, exclude=self.members.get("gone"))
        for nobody in (self.members.get("gone"), [one, None], self.members, [member.as_it_is()]):
            with pytest.raises(NotAMember):
                self.broadcast("secret", 1, to=nobody)  # type: ignore[arg-type] # what is tried


async def test_a_broadcast_may_be_for_some_and_what_is_meant_for_nobody_reaches_nobody() -> None:
    async with room_of(Choosing, 3) as (room, members, sinks):
        room.ref.tell(emit(members[0], 1))
        await trio.testing.wait_all_tasks_blocked()
        heard = [" ".join(name for name, _ in sink.said) for sink in sinks]
    assert heard == [
        "all one some every also",
        "all others every also",
        "all others last every also",
    ]


def test_what_a_room_asks_of_those_who_come_is_judged_when_the_class_is_written() -> None:
    with pytest.raises(ActorDefinitionError, match=r"authorize_join \(.*takes bytes: bytes is"):

        class Odd(Room):
            async def authorize_join(self, member: Member, params: bytes) -> bool:
                return True

    with pytest.raises(ActorDefinitionError, match=r"takes .self, member, one, two. and is"):

        class TooMany(Room):
            async def authorize_join(self, member: Member, one: int, two: int) -> bool:
                return True

    class Base(Theatre):
        """Inherits it."""

    class Plain(Base):
        async def authorize_join(self, member: Member) -> bool:  # type: ignore[override] # allowed
            return True

    assert Base.__params__ is not None
    assert Plain.__params__ is None
    assert Idle.__params__ is None


class Small(Room):
    max_members = 2
    message_rate = 3.0


class Plain(Room):
    message_rate = 3.0


@pytest.mark.parametrize("room_class", [Small, Plain])
async def test_each_member_may_say_so_much_a_second_as_the_room_takes(
    room_class: type[Room], mock_clock: trio.testing.MockClock
) -> None:
    async with room_of(room_class, 2) as (room, members, sinks):
        for number in range(5):
            room.ref.tell(ask(members[0], "said", number, number))
        room.ref.tell(emit(members[1], "other"))
        await trio.testing.wait_all_tasks_blocked()
        assert [data for _, data in sinks[1].said] == [0, 1, 2, "other"]
        last = orjson.loads(sinks[0].texts[-1])
        assert (last["data"], last["id"]) == ({"code": "too_fast", "retryAfter": 0.333}, 4)
        mock_clock.jump(0.34)
        room.ref.tell(emit(members[0], "later"))
        await trio.testing.wait_all_tasks_blocked()
        assert sinks[1].said[-1] == ("said", "later")


async def test_a_room_lets_in_so_many_and_another_when_one_has_gone() -> None:
    async with room_of(Small, 2) as (room, members, _):
        ann = desk(room, "ann")
        full = await knocks(room, ann, None)
        assert full["data"] == {"code": "room_full"}
        assert "it takes 2 members" in full["error"]
        members[0].leave("left")  # type: ignore[attr-defined] # a seat's
        assert (await knocks(room, ann, None, 2))["type"] == "join"


def test_of_two_limits_the_lower_counts_and_0_is_none() -> None:
    assert [lower_of(*both) for both in ((0, 0), (0, 5), (5, 0), (5, 4))] == [0, 5, 5, 4]
