"""A room of thousands: told in slices, between which all else has its turn."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from deployd.actors import JSON, Member, Room
from deployd.actors.rooms import speech
from support.rooms import emit, room_of
from support.sinks import FakeSink

CROWD = 35
SLICE = 10


class Echo(Room):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.broadcast(event, data)


class Steps(trio.abc.Instrument):
    """Counts how many are told in one step of a task at most."""

    def __init__(self, sinks: list[FakeSink]) -> None:
        self._sinks = sinks
        self._told = self.most = 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        told = sum(bool(sink.pieces) for sink in self._sinks)
        self.most, self._told = max(self.most, told - self._told), told


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "SLICE", SLICE)


async def test_no_more_than_a_slice_is_written_in_one_turn_and_each_hears_all_in_order() -> None:
    async with room_of(Echo, CROWD) as (room, members, sinks):
        for number in range(5):
            room.ref.tell(emit(members[0], number))
        steps = Steps(sinks)
        trio.lowlevel.add_instrument(steps)
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(steps)
    assert steps.most == SLICE
    assert [sink.said for sink in sinks] == [[("said", number) for number in range(5)]] * CROWD


async def test_whatever_ends_the_room_meanwhile_all_have_been_told_the_same() -> None:
    async with room_of(Echo, CROWD) as (room, members, sinks):
        room.ref.tell(emit(members[0], "last"))
        while not any(sink.pieces for sink in sinks):
            await trio.lowlevel.checkpoint()
        assert not all(sink.pieces for sink in sinks)
    # Its task was cancelled between two slices.
    assert [sink.said for sink in sinks] == [[("said", "last")]] * CROWD
