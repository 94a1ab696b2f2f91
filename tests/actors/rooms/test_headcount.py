"""Who has heard, here and elsewhere: added up once, when both are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import trio.testing

from deployd.actors import Room, Uplink
from deployd.actors.rooms.headcount import Headcount, here_alone
from deployd.actors.rooms.roster import RemoteEmits
from deployd.transport import Event, Outcome, Reach, Scope
from support.rooms import ROSTERS, room_of
from support.sinks import FakeSink


def test_nothing_is_told_before_both_halves_are_known_and_then_it_is_told_once() -> None:
    told: list[Outcome] = []
    count = Headcount(told.append)
    count.elsewhere(Reach(Scope.CLUSTER, 2, 2, 7))
    assert told == []
    count.here(3)
    count.here(9)
    count.elsewhere(Scope.LOCAL)
    assert told == [Reach(Scope.CLUSTER, 3, 3, 10)]


def test_a_pod_in_whose_room_nobody_is_is_not_counted() -> None:
    told: list[Outcome] = []
    count = Headcount(told.append)
    count.here(0)
    count.elsewhere(Reach(Scope.PARTIAL, 1, 2, 7))
    assert told == [Reach(Scope.PARTIAL, 1, 2, 7)]
    assert here_alone(0) == Reach(Scope.LOCAL, 0, 0, 0)
    assert here_alone(2) == Reach(Scope.LOCAL, 1, 1, 2)


class Written:
    """Stands for the way to the other pods: `told` is what they learn, with the writes by then."""

    def __init__(self) -> None:
        self.told_of: list[tuple[int, int, list[int]]] = []
        self.sinks: list[FakeSink] = []

    def enter(self, room: str | None) -> None:
        """Be told who listens."""

    async def heard(self, room: str) -> None:
        """Be heard at once."""

    def told(self, room: str, events: Sequence[Event], members: int) -> None:
        writes = [len(sink.pieces) for sink in self.sinks]
        self.told_of.append((len(events), members, writes))


async def test_other_pods_are_told_who_has_heard_when_it_is_written_and_not_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Written()
    async with room_of(Room, 2, uplink=cast("Uplink", uplink)) as (room, _, sinks):
        uplink.sinks = sinks
        event = Event("room", "said", b"1", "other-1", 1, 0.0, "other")
        room.ref.tell(RemoteEmits([event], 64))
        await trio.testing.wait_all_tasks_blocked()
        assert uplink.told_of == []  # of a room whose receipts do not say who has heard
        ROSTERS["room"].counted = True
        room.ref.tell(RemoteEmits([event], 64))
        await trio.testing.wait_all_tasks_blocked()
        assert uplink.told_of == [(1, 2, [2, 2])]
