"""A room alone: what its tests see is what a client of a pod would."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from deployd.actors import JSON, Member, Refuse, Request, Room, handles, on
from deployd.client import NoAnswer, NothingHeard, Refused, RoomLost
from deployd.config import Access, Config, Rule
from deployd.testing import open_room


class Count(Request[int]):
    """Ask how many ticks there were."""


class Kettle(Room[int, str]):
    def __init__(self, water: str = "cold") -> None:
        self.water = water

    def initial_state(self) -> int:
        return 0

    async def on_start(self) -> None:
        self.every(1, self.tick)

    async def tick(self) -> None:
        self.state += 1

    async def authorize_join(self, member: Member[str], params: str | None) -> bool:
        if params == "stranger":
            raise Refuse("Not you.")
        member.data = f"{member.user_id} {params} {member.is_root}"
        return True

    async def on_leave(self, member: Member[str], reason: str) -> None:
        self.broadcast("gone", f"{member.data}: {reason}")

    async def on_server_emit(self, event: str, data: JSON) -> None:
        self.broadcast(event, [self.water, data])

    @handles(Count)
    async def count(self, message: Count) -> int:
        return self.state

    @on("who")
    def who(self, member: Member[str]) -> str:
        return member.data

    @on("crash")
    def crash(self, member: Member[str]) -> None:
        raise RuntimeError("on purpose")

    @on("hang")
    async def hang(self, member: Member[str]) -> None:
        await trio.sleep_forever()

    @on("out")
    def out(self, member: Member[str]) -> None:
        member.kick("as_asked", "You have asked for it.")


async def test_what_clients_would_hear_is_heard(autojump_clock: MockClock) -> None:
    async with open_room(lambda: Kettle("hot"), name="kettle-1") as room:
        ann, root = await room.join("milk", user="ann"), await room.join(root=True)
        assert (await ann.emit("who")).answer == "ann milk False"
        assert (await root.emit("who")).answer == "root None True"
        with pytest.raises(Refused, match="Not you"):
            await room.join("stranger")
        await room.emit("boils", 100)
        assert await ann.hear("boils") == ["hot", 100]
        await room.advance(3.5)
        assert (room.state, await room.ask(Count())) == (3, 3)
        with pytest.raises(Refused, match="failed on this message") as crashed:
            await ann.emit("crash")
        assert crashed.value.code == "room_crashed"
        assert (await ann.emit("who")).answer == "ann milk False"
        await root.leave("vanished")
        assert await ann.hear() == "root None True: vanished"
        await ann.emit("out")
        with pytest.raises(RoomLost, match="You have asked for it"):
            await ann.hear()
        await ann.join("sugar")
        assert (await ann.emit("who")).answer == "ann sugar False"
        with pytest.raises(NoAnswer):
            await ann.emit("hang")


async def test_an_error_carries_what_was_said_and_is_not_in_a_group(
    autojump_clock: MockClock,
) -> None:
    async def fails() -> None:
        async with open_room(Kettle) as room:
            ann = await room.join(user="ann")
            await ann.emit("who")
            await ann.hear("tea")

    with pytest.raises(NothingHeard) as failed:
        await fails()
    [told] = failed.value.__notes__
    assert told.splitlines() == [
        "What was said in the room:",
        "   0.000  ann-1 joins ",
        "   0.000  ann-1 is told joined",
        "   0.000  ann-1 emits who ",
        '   0.000  ann-1 is told receipt local "ann None False"',
    ]


async def test_time_that_is_real_cannot_be_let_pass_and_limits_are_those_of_the_settings() -> None:
    rules = {"room-*": Rule(members=1)}
    async with open_room(Room, config=Config(access=Access(rules=rules))) as room:
        ann = await room.join()
        assert (await ann.emit("said", "x" * 70_000)).scope == "local"
        assert ann.unread == ["said"]
        with pytest.raises(Refused, match="takes 1 members"):
            await room.join()
        with pytest.raises(RuntimeError, match="autojump_clock"):
            await room.advance(1)
