"""Rooms on their own: fake members, fake time, no sockets."""

from __future__ import annotations

import orjson
import trio
import trio.lowlevel

from deployd.actors import (
    JSON,
    Exit,
    Member,
    Room,
)
from deployd.actors.rooms.roster import ServerEmit
from deployd.actors.rooms.speech import CONGESTION_GRACE
from deployd.transport import Event
from support.rooms import Idle, Nothing, emit, join, room_of
from support.seats import Desk
from support.sinks import FakeSink


async def test_what_waits_is_written_to_each_member_in_one_piece() -> None:
    async with room_of(Room, 3) as (room, members, sinks):
        for n in range(10):
            room.ref.tell(emit(members[0], n))
        await trio.testing.wait_all_tasks_blocked()
        assert [len(sink.pieces) for sink in sinks] == [1, 1, 1]
        assert sinks[2].said == [("said", n) for n in range(10)]


async def test_a_batch_is_never_larger_than_a_quarter_of_what_may_wait_for_a_client() -> None:
    async with room_of(Room, 1, message_buffer_size=16) as (room, members, sinks):
        for n in range(10):
            room.ref.tell(emit(members[0], n))
        await trio.testing.wait_all_tasks_blocked()
        assert len(sinks[0].pieces) == 3
        assert len(sinks[0].said) == 10


async def test_a_room_pauses_for_a_crowd_that_lags_and_goes_on_when_it_has_caught_up(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with room_of(Room, 3) as (room, members, sinks):
        for sink in sinks[:2]:
            sink.lagging = True
        for n in (1, 2):
            room.ref.tell(emit(members[0], n))
            await trio.testing.wait_all_tasks_blocked()
        assert [len(sink.said) for sink in sinks] == [1, 1, 1]
        for sink in sinks:
            sink.caught_up.set()
        await trio.testing.wait_all_tasks_blocked()
        assert [len(sink.said) for sink in sinks] == [2, 2, 2]


async def test_a_crowd_that_never_catches_up_holds_the_room_only_for_the_grace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with room_of(Idle, 1) as (room, members, sinks):
        sinks[0].lagging = True
        started = trio.current_time()
        room.ref.tell(emit(members[0], 1))
        await trio.lowlevel.checkpoint()
        await room.ref.ask(Nothing(), timeout=5)
        assert trio.current_time() - started == CONGESTION_GRACE


async def test_few_members_that_lag_do_not_hold_the_room_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with room_of(Idle, 3) as (room, _, sinks):
        sinks[0].lagging = True
        started = trio.current_time()
        for _ in range(3):
            await room.ref.ask(Nothing(), timeout=5)
            await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == started


class Greeter(Room):
    async def on_start(self) -> None:
        self.every(10, self.tick)

    async def tick(self) -> None:
        self.broadcast("tick", None)

    async def on_join(self, member: Member) -> None:
        self.broadcast("came", member.client_id, exclude=member)
        self.send_to(member, "welcome", None)

    async def on_server_emit(self, event: str, data: JSON) -> None:
        self.broadcast(event, [data])


async def test_a_timer_speaks_without_any_message_and_a_joiner_hears_nothing_said_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with room_of(Greeter, 2) as (room, members, sinks):
        await trio.sleep(25)
        assert sinks[0].said == [("tick", None), ("tick", None)]
        room.ref.tell(ServerEmit(Event("room", "news", b'{"n":1}', "id", 0, 0.0)))
        late = Desk("late", members[0].ref, FakeSink())
        room.ref.tell(ServerEmit(Event("room", "old", b"1", "id", 0, 0.0)))
        await join(room, late)
        assert sinks[0].said[2:] == [("news", [{"n": 1}]), ("old", [1]), ("came", "late")]
        assert late.sink.said == [("welcome", None)]


class Picky(Room):
    async def authorize_join(self, member: Member) -> bool:
        return member.client_id != "late"

    async def on_start(self) -> None:
        if self.members:
            self.broadcast("back", len(self.members))

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        raise RuntimeError("on purpose")


async def test_a_room_decides_who_may_join() -> None:
    async with room_of(Picky, 1) as (room, members, _):
        late = Desk("late", members[0].ref, FakeSink())
        await join(room, late)
        assert late.told == [("room_forbidden", None)]


async def test_what_a_room_says_on_its_way_back_reaches_the_members_it_kept() -> None:
    async with room_of(Picky, 2) as (room, members, sinks):
        room.ref.tell(emit(members[0], 1))
        await trio.testing.wait_all_tasks_blocked()
        assert room.incarnation == 2
        assert [sink.said for sink in sinks] == [[("back", 2)], [("back", 2)]]
        assert b"room_crashed" in sinks[0].texts[-1] + sinks[0].texts[0]


class Slow(Room):
    async def on_server_emit(self, event: str, data: JSON) -> None:
        await trio.sleep(10)


async def test_an_empty_room_does_not_stop_before_it_has_handled_what_it_took(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with room_of(Slow, 0, room_cleanup_interval=15) as (room, _, __):
        await trio.sleep(10)
        room.ref.tell(ServerEmit(Event("room", "first", b"1", "a", 0, 0.0)))
        room.ref.tell(
            ServerEmit(Event("room", "second", b"2", "b", 0, 0.0))
        )  # waits when the room has been empty 15 s
        await trio.sleep(25)
        assert room.statistics().handled == 2
        await trio.sleep(100)
        assert room.statistics().kind == "Slow"
        assert room.ref.tell(
            ServerEmit(Event("room", "third", b"3", "c", 0, 0.0))
        )  # nobody runs it, so it waits
        assert room.statistics().mailbox.waiting == 1


class Closing(Room):
    """Ends an auction, and another one a while after; ticks meanwhile."""

    async def on_start(self) -> None:
        self.every(1, self.tick)
        self.after(40, self.close)

    async def tick(self) -> None:
        """Be no reason to stay."""

    async def close(self) -> None:
        closed.append(trio.current_time())
        if len(closed) == 1:
            self.after(40, self.close)
            self.cancel(self.after(1000, self.close))


closed: list[float] = []


async def test_a_room_that_nobody_watches_stays_until_it_has_done_what_is_to_be_done_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    closed.clear()
    async with room_of(Closing, 0, room_cleanup_interval=15) as (room, _, __):
        start = trio.current_time()
        await trio.sleep(85)
        assert [at - start for at in closed] == [40, 80]
        assert room.promised is False
        await trio.sleep(10)
        assert room.ref.tell(ServerEmit(Event("room", "late", b"1", "a", 0, 0.0)))
        assert room.statistics().mailbox.waiting == 1  # it has ended: nobody runs it


class Silent(Room):
    async def on_start(self) -> None:
        self.every(10, self.tick)

    async def tick(self) -> None:
        self.broadcast("tick", None)

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        return data != "forbidden"

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        """Say nothing."""


async def test_an_event_of_its_own_never_carries_the_id_of_an_emit_that_said_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with room_of(Silent, 1) as (room, members, sinks):
        room.ref.tell(emit(members[0], "heard"))
        await trio.sleep(15)
        room.ref.tell(emit(members[0], "forbidden"))
        await trio.sleep(10)
        messages = [orjson.loads(text) for text in sinks[0].texts]
        ticks = [message["meta"]["id"] for message in messages if message["type"] == "emit"]
        assert len(ticks) == 2
        assert not {"id-heard", "id-forbidden"} & set(ticks)


class Farewell(Room):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if data == "crash":
            raise RuntimeError("on purpose")
        self.broadcast(event, data)

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        self.broadcast("bye", exit.kind.value)


async def test_a_room_with_an_on_stop_of_its_own_loses_nothing_and_its_last_words_arrive() -> None:
    async with room_of(Farewell, 2) as (room, members, sinks):
        for data in ("before", "crash", "after"):
            room.ref.tell(emit(members[0], data))
        await trio.testing.wait_all_tasks_blocked()
        said = [("said", "before"), ("bye", "crashed"), ("said", "after")]
        assert [sink.said for sink in sinks] == [said, said]
