"""Whoever vanishes without leaving keeps its place for a while: away, back, or gone for good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio
from attrs import define
from trio.testing import MockClock

from deployd.actors import Member, Presence, Room, on
from deployd.client import Refused, RoomEntered, Unconfirmed
from deployd.testing import RoomGuest, RoomUnderTest, open_room
from deployd.testing.whereabouts import CHOICE, RoomsAt


@pytest.fixture(params=[RoomsAt.ALONE, RoomsAt.POD], ids=lambda place: place.value, autouse=True)
def place(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run each test beside the sockets, and over them."""
    with CHOICE.chosen(request.param):
        yield


@define
class Player:
    points: int = 0


class Game(Room[list[str], Player]):
    grace = 20
    presence = Presence()

    def initial_state(self) -> list[str]:
        return []

    async def on_join(self, member: Member[Player]) -> None:
        member.data = Player()
        self.state.append(f"join {member.username}")

    async def on_drop(self, member: Member[Player]) -> None:
        assert member.away
        self.state.append(f"drop {member.username}")
        self.broadcast("waits_for", member.username)

    async def on_return(self, member: Member[Player]) -> None:
        assert not member.away
        self.state.append(f"return {member.username}")

    async def on_leave(self, member: Member[Player], reason: str) -> None:
        self.state.append(f"leave {member.username}: {reason}")

    @on("score")
    async def score(self, member: Member[Player], points: int) -> int:
        member.data.points += points
        return member.data.points

    @on("think")
    async def think(self, member: Member[Player], seconds: float) -> str:
        await trio.sleep(seconds)
        return "thought"

    @on("say")
    def say(self, member: Member[Player], what: str) -> None:
        self.broadcast("said", what)

    @on("put_out")
    def put_out(self, member: Member[Player], user: str) -> None:
        for other in list(self.members.values()):
            if other.user_id == user:
                other.kick("out", "Out you go.")

    @on("fall")
    def fall(self, member: Member[Player]) -> None:
        raise RuntimeError("on purpose")


async def told(guest: RoomGuest, event: str) -> list[Any]:
    """Return what it was told of one kind, and read it all."""
    heard = []
    for name in guest.unread:
        data = await guest.hear()
        if name == event:
            heard.append(data)
    return heard


async def test_who_vanishes_is_away_and_comes_back_to_its_place(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        assert (await ann.emit("score", 3)).answer == 3

        await ann.drop()
        assert await ben.hear("waits_for") == "ann"
        await room.advance(10)
        await ann.come_back()

        assert room.state == ["join ann", "join ben", "drop ann", "return ann"]
        assert (await ann.emit("score", 4)).answer == 7
        await ben.emit("say", "there you are")
        assert await ann.hear("said") == "there you are"


async def test_who_does_not_come_back_in_time_has_left(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room:
        ann, _ = await room.join(user="ann"), await room.join(user="ben")
        await ann.drop()
        await room.advance(19.5)
        assert room.state[-1] == "drop ann"
        await room.advance(1)
        assert room.state[-1] == "leave ann: did not come back"

        await ann.come_back()
        assert room.state[-1] == "join ann"
        assert (await ann.emit("score", 1)).answer == 1


async def test_who_leaves_or_closes_its_connection_is_gone_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Game) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await ann.leave()
        assert room.state[-1] == "leave ann: left"
        await ben.close()
        assert room.state[-1].startswith("leave ben: closed 1000")


async def test_what_was_asked_before_the_connection_was_lost_is_answered_after_it(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Game) as room, trio.open_nursery() as nursery:
        ann, _ = await room.join(user="ann"), await room.join(user="ben")
        answers: list[Any] = []

        async def ask(seconds: float) -> None:
            answers.append((await ann.emit("think", seconds)).answer)

        nursery.start_soon(ask, 0.5)
        await trio.sleep(0.1)
        await ann.drop()
        await room.advance(1)
        assert answers == []
        await ann.come_back()
        await room.advance(0.1)

        assert answers == ["thought"]


async def test_who_is_let_in_anew_knows_that_what_it_asked_before_is_lost(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Game) as room, trio.open_nursery() as nursery:
        ann, _ = await room.join(user="ann"), await room.join(user="ben")
        ends: list[str] = []

        async def ask() -> None:
            try:
                await ann.client.emit(room.name, "think", 3, timeout=600)
            except Unconfirmed:
                ends.append("unconfirmed")

        nursery.start_soon(ask)
        await trio.sleep(0.1)
        await ann.drop()
        await room.advance(30)
        assert ends == []
        await ann.come_back()
        await room.advance(1)

        assert ends == ["unconfirmed"]


async def test_what_comes_late_after_the_return_is_an_answer_too(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room, trio.open_nursery() as nursery:
        ann = await room.join(user="ann")
        answers: list[Any] = []

        async def ask() -> None:
            answers.append((await ann.emit("think", 3)).answer)

        nursery.start_soon(ask)
        await trio.sleep(0.1)
        await ann.drop()
        await ann.come_back()
        await room.advance(4)

        assert answers == ["thought"]


async def test_how_many_of_the_rooms_events_were_missed_is_told(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await room.advance(1)
        await ann.drop()
        await ben.emit("say", "one")
        await ben.emit("say", "two")
        await room.advance(5)
        await ann.come_back()

        begun, over = [
            [one["missed"], one["since"]]
            for name in ann.unread
            for one in [await ann.hear()]
            if name in ("system:degraded", "system:healed")
        ]
        assert begun == over
        assert begun[0] >= 2
        assert begun[1] < room.wall() - 4


async def test_a_place_outlives_a_crash_of_the_room_and_its_time_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Game) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await ann.drop()
        await room.advance(15)
        with pytest.raises(Refused):
            await ben.emit("fall")
        await room.advance(4)
        assert room.state[-1] == "drop ann"
        await room.advance(2)
        assert room.state[-1] == "leave ann: did not come back"


async def test_who_is_put_out_while_away_joins_anew(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await ann.drop()
        await ben.emit("put_out", "ann")
        assert room.state[-1] == "leave ann: kicked"
        await ann.come_back()
        assert room.state[-1] == "join ann"


async def test_the_others_see_who_is_away(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await room.advance(1)
        await told(ben, "presence")
        await ann.drop()
        await room.advance(1)
        (changed,) = await told(ben, "presence")
        assert [(one["user"], one["away"]) for one in changed["changed"]] == [("ann", True)]
        await ann.come_back()
        await room.advance(1)
        (changed,) = await told(ben, "presence")
        assert [(one["user"], "away" in one) for one in changed["changed"]] == [("ann", False)]
        await ann.drop()
        await room.advance(21)
        assert "went" in (await told(ben, "presence"))[-1]


async def test_who_is_away_when_the_room_ends_has_left_it(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    class Ending(Game):
        async def on_leave(self, member: Member[Player], reason: str) -> None:
            ended.append(f"{member.username}: {reason}")

        @on("end")
        def end(self, member: Member[Player]) -> None:
            self.stop("over")

    async with open_room(Ending) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await ann.drop()
        await ben.emit("end")
        await room.advance(1)
        assert ended == ["ann: the room has ended"]


async def test_a_place_counts_among_those_that_may_be_in(autojump_clock: MockClock) -> None:
    class Duel(Game):
        max_members = 2

    async with open_room(Duel) as room:
        ann, _ = await room.join(user="ann"), await room.join(user="ben")
        await ann.drop()
        with pytest.raises(Refused):
            await room.join(user="eve")
        await ann.come_back()
        assert room.state[-1] == "return ann"


async def test_nobody_else_comes_back_with_the_word_of_another(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room:
        ann = await room.join(user="ann")
        word = next(iter(_places(room)))
        await ann.drop()
        eve = await room.join(user="eve")
        eve.client._core.rooms.placed(room.name, word)
        await eve.drop()
        await eve.come_back()

        assert room.state[-1] != "return ann"
        await ann.come_back()
        assert room.state[-1] == "return ann"


async def test_a_word_is_good_for_one_return(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room:
        ann = await room.join(user="ann")
        word = next(iter(_places(room)))
        await ann.drop()
        await ann.come_back()
        assert word not in _places(room)


def _places(room: RoomUnderTest) -> list[str]:
    roster = room._pods[0].parts.watched.rooms.roster(room.name)
    return [] if roster is None else [seat.place for seat in roster.seats()]


async def test_clients_learn_whether_they_are_back_or_in_anew(autojump_clock: MockClock) -> None:
    async with open_room(Game) as room:
        ann = await room.join(user="ann")
        signals = ann.client.signals()
        await ann.drop()
        await ann.come_back()
        await ann.drop()
        await room.advance(30)
        await ann.come_back()

        entered = []
        with trio.move_on_after(1):
            async for signal in signals:
                entered += [signal.returned] if isinstance(signal, RoomEntered) else []
        assert entered[-2:] == [True, False]


async def test_a_room_without_grace_keeps_no_place(autojump_clock: MockClock) -> None:
    class Fleeting(Game):
        grace = 0

    async with open_room(Fleeting) as room:
        ann = await room.join(user="ann")
        await ann.drop()
        assert room.state[-1].startswith("leave ann")
        await ann.come_back()
        assert room.state[-1] == "join ann"


async def test_who_comes_back_on_another_pod_has_its_place_there(autojump_clock: MockClock) -> None:
    async with open_room(Game, pods=2) as room, trio.open_nursery() as nursery:
        ann, ben = await room.join(user="ann"), await room.join(user="ben", pod=1)
        await ann.emit("score", 3)
        answers: list[Any] = []

        async def ask() -> None:
            answers.append((await ann.emit("think", 0.5)).answer)

        nursery.start_soon(ask)
        await trio.sleep(0.1)
        await ann.drop()
        await room.advance(3)
        await ann.come_back(pod=1)
        await room.advance(1)

        assert answers == ["thought"]
        assert (await ann.emit("score", 4)).answer == 7
        await ben.emit("say", "there you are")
        assert await ann.hear("said") == "there you are"
        assert room.states == [
            ["join ann", "drop ann", "leave ann: came back elsewhere"],
            ["join ben", "return ann"],
        ]


async def test_who_comes_back_on_the_first_pod_that_opens_the_room_there(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Game, pods=2) as room:
        ann = await room.join(user="ann")
        await ann.emit("score", 3)
        await ann.drop()
        await ann.come_back(pod=1)
        await room.advance(1)

        assert (await ann.emit("score", 4)).answer == 7
        await ann.drop()
        await ann.come_back(pod=0)
        await room.advance(1)
        assert (await ann.emit("score", 5)).answer == 12


async def test_who_was_away_too_long_joins_the_other_pod_anew(autojump_clock: MockClock) -> None:
    async with open_room(Game, pods=2) as room:
        ann = await room.join(user="ann")
        await ann.emit("score", 3)
        await ann.drop()
        await room.advance(21)
        await ann.come_back(pod=1)
        await room.advance(1)

        assert (await ann.emit("score", 4)).answer == 4
        assert room.states[1] == ["join ann"]


async def test_whose_pod_cannot_be_reached_joins_anew(autojump_clock: MockClock) -> None:
    async with open_room(Game, pods=2) as room:
        ann = await room.join(user="ann")
        await ann.drop()
        await room.split()
        await ann.come_back(pod=1)
        await room.advance(3)

        assert (await ann.emit("score", 4)).answer == 4
        assert room.states[1] == ["join ann"]


async def test_data_that_only_one_process_can_hold_stays_there(autojump_clock: MockClock) -> None:
    class Held(Room[None, object]):
        grace = 20

        async def on_join(self, member: Member[object]) -> None:
            member.data = trio.Event()

        @on("has")
        def has(self, member: Member[object]) -> bool:
            return member.data is not None

    async with open_room(Held, pods=2) as room:
        ann = await room.join(user="ann")
        assert (await ann.emit("has")).answer is True
        await ann.drop()
        await ann.come_back(pod=1)
        await room.advance(1)
        assert (await ann.emit("has")).answer is False
