"""A room under test: what its tests see is what a client of a pod would, whichever way it runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from deployd.actors import JSON, Member, Refuse, Request, Room, handles, on
from deployd.client import ClosedForGood, Disconnected, NothingHeard, Refused, RoomLost
from deployd.config import Access, Config, Rule
from deployd.testing import RoomGuest, open_room
from deployd.testing.whereabouts import CHOICE, RoomsAt


@pytest.fixture(params=RoomsAt, ids=lambda each: each.value)
def venue(request: pytest.FixtureRequest) -> Iterator[RoomsAt]:
    with CHOICE.chosen(request.param):
        yield request.param


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


async def test_what_clients_would_hear_is_heard(venue: RoomsAt, autojump_clock: MockClock) -> None:
    async with open_room(lambda: Kettle("hot"), name="kettle-1") as room:
        ann, root = await room.join("milk", user="ann"), await room.join(root=True)
        assert (await ann.emit("who")).answer == "ann milk False"
        assert (await root.emit("who")).answer == "root None True"
        assert (ann.member.username, ann.member.rooms) == ("ann", ["kettle-1"])
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
        await root.leave()
        assert await ann.hear() == "root None True: left"
        await ann.emit("out")
        with pytest.raises(RoomLost, match="You have asked for it"):
            await ann.hear()
        await ann.join("sugar")
        assert (await ann.emit("who")).answer == "ann sugar False"
        with pytest.raises(Refused, match="has not answered within 5 s"):
            await ann.emit("hang")


async def test_a_room_that_crashes_on_command_keeps_its_state_and_its_members(
    venue: RoomsAt, autojump_clock: MockClock
) -> None:
    async with open_room(Kettle) as room:
        with pytest.raises(RuntimeError, match="Nobody has opened the room"):
            await room.crash()
        ann = await room.join("milk", user="ann")
        await room.advance(2.5)
        await room.crash()
        assert room.state == 2
        assert (await ann.emit("who")).answer == "ann milk False"
        await room.advance(1.5)
        assert (room.state, ann.unread) == (3, [])


async def test_a_pod_that_restarts_has_its_guests_back_and_nothing_else(
    venue: RoomsAt, autojump_clock: MockClock
) -> None:
    async with open_room(Kettle) as room:
        ann, ben = await room.join("milk", user="ann"), await room.join(user="ben")
        await room.advance(2.5)
        await ben.drop()
        await room.restart()
        assert (await ann.emit("who")).answer == "ann milk False"
        assert room.state == 0
        with pytest.raises(Disconnected):
            await ben.emit("who")


async def test_who_loses_the_connection_is_gone_until_it_comes_back(
    venue: RoomsAt, autojump_clock: MockClock
) -> None:
    async with open_room(Kettle) as room:
        ann, ben = await room.join(user="ann"), await room.join("tea", user="ben")
        await ben.drop()
        assert await ann.hear("gone") == "ben tea False: closed 1006"
        await room.emit("boils")
        await ben.come_back()
        assert (await ben.emit("who")).answer == "ben tea False"
        assert ben.unread == []
        await ben.close()
        assert await ann.hear("gone") == "ben tea False: closed 1000"


class Patient(Room[None]):
    grace = 20.0

    @on("think")
    async def think(self, member: Member) -> str:
        await trio.sleep(0.5)
        return "thought"

    async def on_drop(self, member: Member) -> None:
        self.broadcast("away", member.username)

    async def on_return(self, member: Member) -> None:
        self.broadcast("back", member.username)

    async def on_leave(self, member: Member, reason: str) -> None:
        self.broadcast("gone", member.username)


async def think_with(guest: RoomGuest) -> None:
    assert (await guest.emit("think")).answer == "thought"


async def test_a_room_with_grace_keeps_the_place_of_who_loses_the_connection(
    venue: RoomsAt, autojump_clock: MockClock
) -> None:
    async with open_room(Patient) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(think_with, ben)
            await trio.sleep(0.1)
            await ben.drop()
            assert await ann.hear() == "ben"
            await room.advance(5)
            await ben.come_back()
        assert await ann.hear("back") == "ben"
        await ben.drop()
        await room.advance(25)
        assert ann.unread == ["away", "gone"]


async def test_two_pods_have_a_room_each_and_hear_each_other_unless_they_are_split(
    venue: RoomsAt, autojump_clock: MockClock
) -> None:
    async with open_room(Kettle, pods=2) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben", pod=1)
        await room.emit("boils", 1)
        assert await ben.hear("boils") == ["cold", 1]
        await room.advance(1.5)
        await room.crash(pod=1)
        assert room.states == [1, 1]
        await room.split()
        assert (await ann.hear("system:degraded", within=5))["code"]
        await room.emit("boils", 2, pod=1)
        assert await ben.hear("boils") == ["cold", 2]
        with pytest.raises(NothingHeard):
            await ann.hear("boils")
        await room.heal()
        await room.emit("boils", 3, pod=1)
        assert (await ann.hear("boils", within=5))[1] in (2, 3)
        assert await ben.hear("boils") == ["cold", 3]
        await room.restart(pod=1)
        await room.emit("boils", 4)
        assert await ben.hear("boils") == ["cold", 4]
        with pytest.raises(IndexError, match="pods=3"):
            await room.join(pod=2)


async def test_tokens_end_on_the_clock_of_the_test(
    venue: RoomsAt, autojump_clock: MockClock
) -> None:
    async with open_room(Kettle) as room:
        ann = await room.join(token=room.token("ann", ttl=60))
        before = room.wall()
        await room.advance(59)
        assert ann.member.username == "ann"
        await room.advance(35)
        assert room.wall() == pytest.approx(before + 94, abs=0.1)
        with pytest.raises(ClosedForGood, match="expired"):
            await ann.emit("who")


async def test_an_error_carries_what_was_said_and_is_not_in_a_group(
    venue: RoomsAt, autojump_clock: MockClock
) -> None:
    async def fails() -> None:
        async with open_room(Kettle) as room:
            ann = await room.join(user="ann")
            await ann.emit("who")
            await ann.hear("tea")

    with pytest.raises(NothingHeard) as failed:
        await fails()
    [told] = failed.value.__notes__
    said = told.splitlines()
    assert said[0] == "What was said in the room:"
    assert [line[10:] for line in said[1:]] == [
        "ann-1 joins ",
        "ann-1 is told joined",
        "ann-1 emits who ",
        'ann-1 is told receipt local "ann None False"',
    ]


async def test_a_room_that_cannot_be_is_told_as_it_is(
    venue: RoomsAt, autojump_clock: MockClock
) -> None:
    class Broken(Room[None]):
        def initial_state(self) -> None:
            raise RuntimeError("on purpose")

    async with open_room(Broken) as room:
        with pytest.raises(Refused) as refused:
            await room.join()
        assert refused.value.code == "room_crashed"


async def test_time_that_is_real_cannot_be_let_pass_and_limits_are_those_of_the_settings(
    venue: RoomsAt,
) -> None:
    rules = {"room-*": Rule(members=1)}
    async with open_room(Room, config=Config(access=Access(rules=rules))) as room:
        ann = await room.join()
        assert (await ann.emit("said", "x" * 60_000)).scope == "local"
        assert ann.unread == ["said"]
        with pytest.raises(Refused, match="takes 1 members"):
            await room.join()
        with pytest.raises(RuntimeError, match="autojump_clock"):
            await room.advance(1)
    with pytest.raises(ValueError, match="1 to 9 pods"):
        async with open_room(Room, pods=10):
            pass
