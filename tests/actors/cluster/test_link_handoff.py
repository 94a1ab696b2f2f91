"""What a pod could not say before it ended, and its next start does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio.testing
from attrs import define, field

from deployd.actors import Exit, Hint, read_hints, write_hints
from deployd.actors.cluster.handoff import hints_of, publications_of
from deployd.actors.cluster.publication import Publication
from deployd.transport import Event, Scope
from support.fake_broker import FakeBus
from support.links import SETTINGS, SimPod, links, passes


def event(number: int, room: str | None = "kept-1", time: float = 1000.0) -> Event:
    return Event(room, "said", b'{"n":%d}' % number, f"old-{number}", number, time, "old")


def test_hints_come_out_as_they_were_written_room_by_room_and_in_order() -> None:
    waiting = [Publication(event(n, room), 0.0, 9) for n in (1, 2) for room in ("kept-1", None)]
    hints = hints_of("old", 7, waiting)
    assert [(hint.room, [e.sequence for e in hint.events]) for hint in hints] == [
        ("kept-1", [1, 2]),
        (None, [1, 2]),
    ]
    assert read_hints(write_hints(hints)) == hints


@pytest.mark.parametrize("damage", [b"", b"\0\xff\n", b'{"v":1', b'{"v":1,"o":"x","p":"n"}\n'])
def test_what_was_not_written_whole_is_passed_over(damage: bytes) -> None:
    [hint] = hints_of("old", 7, [Publication(event(1), 0.0, 9)])
    assert read_hints(write_hints([hint]) + damage) == [hint]


def test_what_is_too_old_is_not_said() -> None:
    hint = Hint("old", 7, "kept-1", [event(1, time=10.0), event(2, time=20.0)])
    assert [one.event.sequence for one in publications_of(hint, 15.0)] == [2]


@define
class Kept:
    """Keeps hints in memory, or fails to."""

    hints: Sequence[Hint] = field(factory=list)
    fails: bool = False
    times_said: int = 0

    def keep(self, hints: Sequence[Hint]) -> bool:
        if not self.fails:
            self.hints = [*self.hints, *hints]
        return not self.fails

    def said(self) -> None:
        self.hints, self.times_said = [], self.times_said + 1


async def test_what_waits_when_a_pod_ends_is_said_by_its_next_start_once_and_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus, kept = FakeBus(), Kept()
    listener = SimPod("b", bus, SETTINGS)
    async with links([listener], ["kept-1"]):
        first = SimPod("a1", bus, SETTINGS, handoff=kept)
        async with links([first]):
            await passes(lambda: first.well and len(first.state.peers) == 1)
            first.say("kept-1", 0)
            await passes(lambda: listener.data("kept-1") == [0])
            bus.kill()
            await passes(lambda: not first.closed)
            ids = [first.say("kept-1", n) for n in range(1, 4)]
            assert [first.outcome(each) for each in ids] == [Scope.QUEUED] * 3
        first.supervisor.terminated(Exit.shutdown("the pod has stopped"))
        assert first.state.counters.lost == 0
        assert sum(len(hint.events) for hint in kept.hints) == 3
        bus.start()
        second = SimPod("a2", bus, SETTINGS, handoff=kept)
        async with links([second]):
            await passes(lambda: second.healed)
            await passes(lambda: len(listener.data("kept-1")) == 4)
            assert [heard.id for heard in listener.heard[1:]] == ids
            assert listener.data("kept-1") == [0, 1, 2, 3]
            assert (kept.hints, kept.times_said) == ([], 1)
            assert second.state.counters.replayed == 3
            await trio.sleep(5)
    assert listener.gaps == []
    assert listener.link.sequences.missed == 0


async def test_what_cannot_be_kept_is_counted_as_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    for handoff in (None, Kept(fails=True)):
        pod = SimPod("a", bus, SETTINGS, handoff=handoff)
        async with links([pod]):
            await passes(lambda pod=pod: pod.well)  # type: ignore[misc]
            bus.kill()
            await passes(lambda pod=pod: not pod.closed)  # type: ignore[misc]
            pod.say("kept-1", 1)
        pod.supervisor.terminated(Exit.shutdown("the pod has stopped"))
        assert pod.state.counters.lost == 1
        bus.start()
