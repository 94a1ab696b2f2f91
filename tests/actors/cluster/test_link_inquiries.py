"""Asking all pods for their rooms: who is waited for, how long, and what is bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from structlog.testing import capture_logs

from deployd.actors.cluster.inquiries import ANSWERED, MOST_ASKED, Inquiries
from deployd.actors.cluster.membership import Peers
from deployd.transport import MessageTooLarge
from deployd.transport.brokers import (
    EVERYONE,
    AskRooms,
    Beat,
    Message,
    RoomAnswer,
    RoomEntry,
    RoomQuery,
    pod_channel,
    unpack,
)

TEA = RoomEntry("tea", 2, 1.0, 0.0, {})
ALL = RoomQuery()


class Desk:
    """A pod that asks and answers; what it says to the broker stands in `said`."""

    def __init__(self, *others: str) -> None:
        self.peers = Peers("me")
        for other in others:
            self.peers.note(Beat(other, 1), 0.0, 0.0)
        self.inquiries = Inquiries("me", self.peers, trio.current_time)
        self.said: list[Message] = []
        self.looked = 0
        self.refusing = False

    async def say(self, messages: Sequence[Message]) -> None:
        if self.refusing:
            raise MessageTooLarge(messages[0][0], 20, 10)
        self.said += messages

    def rooms_of(self, query: RoomQuery) -> tuple[list[RoomEntry], bool]:
        self.looked += 1
        return [TEA], False

    def questions(self) -> list[AskRooms]:
        asked = [unpack(payload) for channel, payload in self.said if channel == EVERYONE]
        return [each for each in asked if isinstance(each, AskRooms)]

    def answers(self, pod: str, number: int, *rooms: RoomEntry) -> None:
        assert self.inquiries.hears(RoomAnswer(pod, number, rooms))


@asynccontextmanager
async def running(*others: str) -> AsyncIterator[Desk]:
    desk = Desk(*others)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.inquiries.run, desk.say, desk.rooms_of)
        yield desk
        nursery.cancel_scope.cancel()


async def test_who_asks_waits_for_all_that_are_heard_and_no_longer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running("a", "b") as desk, trio.open_nursery() as nursery:
        found: list[RoomAnswer] = []

        async def ask() -> None:
            found.extend(await desk.inquiries.ask(ALL, 0.5))

        nursery.start_soon(ask)
        await trio.sleep(0.01)
        [question] = desk.questions()
        assert question == AskRooms("me", 1, ALL)
        desk.answers("a", 1, TEA)
        await trio.sleep(0.01)
        assert not found
        desk.answers("b", 1)
        await trio.sleep(0.01)
        assert {each.origin for each in found} == {"a", "b"}
        assert trio.current_time() < 0.1


async def test_who_does_not_answer_is_not_waited_for_beyond_the_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running("a", "b") as desk, trio.open_nursery() as nursery:
        found: list[RoomAnswer] = []

        async def ask() -> None:
            found.extend(await desk.inquiries.ask(ALL, 0.5))
            assert trio.current_time() == pytest.approx(0.5)

        nursery.start_soon(ask)
        await trio.sleep(0.2)
        desk.answers("a", 1, TEA)
        await trio.sleep(0.4)
        assert [each.origin for each in found] == ["a"]
        desk.answers("b", 1, TEA)  # late: nobody waits for it
        assert len(found) == 1


async def test_nobody_is_asked_where_nobody_is_heard() -> None:
    async with running() as desk:
        assert await desk.inquiries.ask(ALL, 60.0) == []
        assert not desk.said


async def test_those_who_ask_the_same_at_once_share_a_question(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running("a") as desk, trio.open_nursery() as nursery:
        for where in ({"x": 1, "y": 2}, {"y": 2, "x": 1}, {"x": 2}):
            nursery.start_soon(desk.inquiries.ask, RoomQuery("*", where), 0.5)
        await trio.sleep(0.01)
        assert len(desk.questions()) == 2
        await trio.sleep(0.2)
        # The first may be lost: who comes later does not wait for the answers to it.
        nursery.start_soon(desk.inquiries.ask, RoomQuery("*", {"x": 2}), 0.5)
        await trio.sleep(0.01)
        assert len(desk.questions()) == 3


async def test_no_more_questions_wait_than_a_bound(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running("a") as desk, trio.open_nursery() as nursery:
        for number in range(MOST_ASKED):
            nursery.start_soon(desk.inquiries.ask, RoomQuery(f"r{number}"), 0.5)
        await trio.sleep(0.01)
        began = trio.current_time()
        assert await desk.inquiries.ask(RoomQuery("one more"), 0.5) == []
        assert trio.current_time() == began
        await trio.sleep(0.6)
        nursery.start_soon(desk.inquiries.ask, RoomQuery("one more"), 0.5)  # all are over
        await trio.sleep(0.01)
        assert len(desk.questions()) == MOST_ASKED + 1


async def test_a_link_that_is_lost_ends_all_that_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running("a") as desk, trio.open_nursery() as nursery:
        nursery.start_soon(desk.inquiries.ask, ALL, 60.0)
        await trio.sleep(0.01)
        desk.inquiries.lost()
        await trio.sleep(0.01)
        assert not nursery.child_tasks


async def test_other_pods_that_are_known_are_answered_on_their_own_channel(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running("a") as desk:
        assert desk.inquiries.hears(AskRooms("a", 5, ALL))
        assert desk.inquiries.hears(AskRooms("me", 6, ALL))  # its own, which all hear
        assert not desk.inquiries.hears(AskRooms("stranger", 7, ALL))
        assert not desk.inquiries.hears(RoomAnswer("stranger", 7, [TEA]))
        await trio.sleep(0.01)
        [(channel, payload)] = desk.said
        assert channel == pod_channel("a")
        assert unpack(payload) == RoomAnswer("me", 5, [TEA])


async def test_a_flood_of_questions_is_answered_at_a_pace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running("a") as desk:
        for _ in range(4):
            for number in range(MOST_ASKED):
                desk.inquiries.hears(AskRooms("a", number, ALL))
            await trio.sleep(0.01)
        assert desk.looked <= ANSWERED * 1.05
        await trio.sleep(1)
        desk.inquiries.hears(AskRooms("a", 1, ALL))
        await trio.sleep(0.01)
        assert desk.said


async def test_a_broker_that_does_not_take_an_answer_is_told_once_and_the_link_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running("a") as desk:
        desk.refusing = True
        with capture_logs() as lines:
            for number in range(3):
                desk.inquiries.hears(AskRooms("a", number, ALL))
                await trio.sleep(0.01)
        assert len(lines) == 2  # the first, and when the number doubles
        desk.refusing = False
        desk.inquiries.hears(AskRooms("a", 9, ALL))
        await trio.sleep(0.01)
        assert len(desk.said) == 1
