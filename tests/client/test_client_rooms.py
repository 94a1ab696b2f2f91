"""Rooms and events of a client whose pod does as it is told; time is fake."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.client import (
    CameUp,
    CannotSend,
    ClientClosed,
    ClientEvent,
    Degraded,
    Disconnected,
    Misuse,
    NoAnswer,
    Refused,
    RoomEntered,
    RoomLost,
    Scope,
    Unread,
)
from deployd.client.endings import Ending
from deployd.transport import Event, Failed, Join, Joined, Leave, Left, Problem
from support.fake_pod import FakePod, client_of


async def test_it_connects_joins_speaks_and_hears(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        assert (c.id, c.connected, c.degraded) == ("client-1", True, None)
        await c.join("tea")
        receipt = await c.emit("tea", "said", {"text": "hello"})
        assert (receipt.scope, receipt.id, receipt.room) == (Scope.LOCAL, "e-1", "tea")
        assert receipt.pods is None
        pod.wire.tell("tea", "said", {"text": "hi"})
        event = await anext(c.events("tea"))
        assert (event.room, event.name, event.data) == ("tea", "said", {"text": "hi"})
        await c.leave("tea")
        assert c.rooms == frozenset()
    assert pod.wire.over
    ids = [message.id for message in pod.asked]
    assert ids == sorted(set(ids), key=str)


async def test_a_room_that_was_left_is_not_asked_for_again(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        await c.leave("tea")
        pod.asked.clear()
        pod.wire.end()
        await trio.sleep(1)
        await c.ready()
        assert pod.asked == []


async def test_who_stays_after_all_has_left_and_is_in(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        pod.deaf = {Leave}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(c.leave, "tea")
            await wait_all_tasks_blocked()
            nursery.start_soon(c.join, "tea")
            await wait_all_tasks_blocked()
            pod.deaf = set()
            number = next(m.id for m in pod.asked if isinstance(m, Leave))
            pod.wire.say(Left("tea", 0.0, number))
        assert trio.current_time() == 0.0
        assert c.rooms == pod.wire.inside == {"tea"}


async def test_a_join_that_is_refused_is_over_and_may_be_tried_again(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    pod.no["tea"] = [Problem("room_forbidden", "Not you.", "tea"), Problem("busy", "B.", None, 2.0)]
    async with client_of(pod) as c:
        await c.ready()
        with pytest.raises(Refused, match="Not you") as caught:
            await c.join("tea")
        assert (caught.value.code, caught.value.room) == ("room_forbidden", "tea")
        with pytest.raises(Refused) as caught:
            await c.join("tea")
        assert caught.value.retry_after == 2.0
        assert c.rooms == frozenset()
        await c.join("tea")


async def test_a_join_in_vain_is_not_wanted_afterwards(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.deaf = {Join}
    async with client_of(pod) as c:
        await c.ready()
        with pytest.raises(NoAnswer):
            await c.join("tea")
        with trio.move_on_after(1):
            await c.join("milk")
        assert c.rooms == frozenset()
        pod.deaf = set()
        await trio.sleep(10)
        for room in ("tea", "milk"):
            pod.wire.say(Joined(room, 0.0, 77))  # the answer, too late
        await trio.sleep(1)
        assert pod.count(Leave) == 2
        pod.wire.end()
        await wait_all_tasks_blocked()
        await c.ready()
        assert pod.count(Join) == 2


async def test_a_join_waits_for_a_connection(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.refuse = [Ending(1006, "connection refused")] * 3
    async with client_of(pod) as c:
        await c.join("tea")
        assert c.connected


async def test_without_a_connection_a_join_says_why(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.refuse = [Ending(1006, "connection refused")] * 100
    async with client_of(pod) as c:
        with pytest.raises(Disconnected, match=r"connection refused\), after 3 s"):
            await c.join("tea", timeout=3)


async def test_rooms_are_asked_for_at_the_pods_pace(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        for number in range(40):
            await c.join(f"room-{number}")
        pod.no = {f"room-{n}": [Problem("too_fast", "Slower.", None, 2.0)] for n in range(0, 40, 5)}
        pod.wire.end()
        await wait_all_tasks_blocked()
        await c.ready(timeout=60)
        assert len(c.rooms) == 40


async def test_a_room_that_a_pod_refuses_after_its_restart_is_lost_and_others_are_not(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        for room in ("tea", "milk"):
            await c.join(room)
        pod.no["tea"] = [Problem("forbidden", "Not any more.", "tea")]
        pod.wire.end()
        with pytest.raises(RoomLost, match="Not any more") as caught:
            await anext(c.events("tea"))
        assert caught.value.code == "forbidden"
        await c.ready()
        assert c.rooms == {"milk"}
        await c.join("tea")
        pod.wire.tell("tea", "said", 1)
        assert (await anext(c.events("tea"))).data == 1


async def test_a_busy_room_is_tried_until_it_lets_us_in_again(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        pod.no["tea"] = [Problem("room_busy", "Later.", "tea")] * 5
        pod.wire.end()
        await wait_all_tasks_blocked()
        await c.ready(timeout=60)
        await c.emit("tea", "said")


async def test_what_a_room_says_first_waits_for_who_reads_later(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        for number in range(5):
            pod.wire.tell("tea", "said", number, number + 1)
        await wait_all_tasks_blocked()
        async for event in c.events("tea"):
            if event.data == 2:
                break
        assert [(await anext(c.events("tea"))).data for _ in range(2)] == [3, 4]


async def test_all_events_are_there_from_when_they_are_asked_for(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        everything = c.events()
        pod.wire.tell("tea", "said", 1)
        pod.wire.tell(None, "news", 2)
        pod.wire.tell("other", "said", 3)
        assert [(await anext(everything)).data for _ in range(3)] == [1, 2, 3]
        assert (await anext(c.events("tea"))).data == 1


async def test_what_nobody_reads_is_bounded(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod, most_unread=10, unread=Unread.DROP_OLDEST) as c:
        await c.ready()
        await c.join("tea")
        for number in range(25):
            pod.wire.tell("tea", "said", number)
        await wait_all_tasks_blocked()
        assert len(c.events("tea")) == 10
        assert c.events("tea").missed == 15


async def test_a_block_that_is_over_ends_what_is_read_and_refuses_the_rest(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    heard = []
    async with trio.open_nursery() as nursery, client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        pod.wire.tell("tea", "said", 1)

        async def hear() -> None:
            async for event in c.events("tea"):
                heard.append(event.data)  # noqa: PERF401 - as they come

        nursery.start_soon(hear)
        await wait_all_tasks_blocked()
    assert heard == [1]
    for act in (c.ready, lambda: c.join("tea"), lambda: c.emit(None, "said")):
        with pytest.raises(ClientClosed):
            await act()


async def test_events_keep_their_numbers_and_say_when_they_come_late(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        pod.wire.say(Event("tea", "said", b"1", "e-9", 7, 1000.9, replayed=1))
        event = await anext(c.events("tea"))
        assert (event.id, event.sequence, event.time, event.replayed) == ("e-9", 7, 1000, True)


async def test_a_room_without_a_name_is_not_everyone(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        with pytest.raises(CannotSend, match="None for everyone"):
            await c.emit("", "said")


@pytest.mark.parametrize("wrong", [{"heartbeat": 0.0}, {"most_unread": 0}])
async def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match="above 0 s"):
        async with client_of(FakePod(), **wrong):
            pass


async def test_a_leave_that_was_not_sent_yet_is_over_when_somebody_stays(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        pod.wire.say(Failed(Problem("too_fast", "Slower.", None, 5.0), 0.0))
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(c.leave, "tea")
            await wait_all_tasks_blocked()
            nursery.start_soon(c.join, "tea")
        assert trio.current_time() == 0.0
        assert pod.count(Leave) == 0


async def test_all_that_it_is_told_can_be_read_in_the_order_in_which_it_came(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        told = c.told()
        await c.ready()
        await c.join("tea")
        pod.wire.tell("tea", "said", 1)
        pod.wire.tell(None, "system:degraded", {"code": "cut_off", "reason": "x", "since": 1.0})
        pod.wire.tell("tea", "said", 2)
        seen = [await anext(told) for _ in range(5)]
        kinds = [CameUp, RoomEntered, ClientEvent, Degraded, ClientEvent]
        assert [type(one) for one in seen] == kinds
