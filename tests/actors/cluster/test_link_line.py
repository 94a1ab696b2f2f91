"""A room that is full holds up what comes for all others: for a while, and not for long."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import define, field

from deployd.actors.cluster.line import HELD_UP, MOST_SLEPT, REGAINED, STUCK, Lenience
from deployd.transport import Event
from deployd.transport.brokers.contract import Channel, Message
from support.fake_broker import FakeBroker, FakeBus
from support.links import SETTINGS, SimPod, links, passes

# Decided -------------------------------------------------------------------------------------


def test_rooms_may_hold_the_line_up_for_a_while_and_regain_it_slowly() -> None:
    lenience = Lenience()
    assert lenience.left(100.0) == HELD_UP
    lenience.spend(100.0, 100.0 + HELD_UP - 1.0)
    assert lenience.left(100.0 + HELD_UP - 1.0) == pytest.approx(1.0)
    lenience.spend(104.0, 110.0)
    assert lenience.left(110.0) == 0.0
    assert lenience.left(111.0) == pytest.approx(REGAINED)
    assert lenience.left(10_000.0) == HELD_UP


def test_what_the_pod_has_slept_its_rooms_may_take_to_catch_up_and_no_more() -> None:
    lenience = Lenience()
    lenience.slept(20.0)
    assert lenience.left(0.0) == lenience.left(1000.0) == HELD_UP + 20.0
    lenience.spend(0.0, 22.0)
    assert lenience.left(22.0) == pytest.approx(3.0)
    lenience.slept(1e9)
    assert lenience.left(22.0) == HELD_UP + MOST_SLEPT


# Done ----------------------------------------------------------------------------------------


class Keeping(FakeBroker):
    """Keeps what comes while the pod is full, as the real ones do."""

    def __init__(self, bus: FakeBus) -> None:
        super().__init__(bus)
        self.kept: deque[Message] = deque()
        self.standing = False

    def hear(self, channel: Channel, payload: bytes) -> None:
        self.kept.append((channel, payload))
        if not self.standing:
            self.go_on()

    def go_on(self) -> None:
        self.standing = False
        assert self.inbox is not None
        while self.kept and not self.standing:
            super().hear(*self.kept.popleft())
            self.standing = self.inbox.full(self.go_on)


@define(eq=False, slots=False)
class Small(SimPod):
    """A pod whose room `tea` has place for three events, and takes one each `pace` seconds."""

    pace: float = 0.01
    mailbox: deque[Event] = field(factory=deque)

    def deliver(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        if room != "tea":
            return super().deliver(room, events, nbytes)
        fit = max(0, 3 - len(self.mailbox))
        self.mailbox.extend(events[:fit])
        return max(0, len(events) - fit)

    async def deliver_in_turn(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        while len(self.mailbox) >= 3:  # noqa: ASYNC110 - what `work` does is told to nobody
            await trio.sleep(0.004)
        return self.deliver(room, events, nbytes)

    async def work(self) -> None:
        while True:
            await trio.sleep(self.pace)
            if self.mailbox:
                super().deliver("tea", [self.mailbox.popleft()], 10)


@asynccontextmanager
async def a_small_room(
    pace: float, make: type[FakeBroker] = Keeping
) -> AsyncIterator[tuple[SimPod, Small]]:
    bus = FakeBus()
    a, b = SimPod("a", bus, SETTINGS), Small("b", bus, SETTINGS)
    b.pace = pace
    b.make = lambda: make(bus)
    async with links([a, b], ["tea", "pub"]), trio.open_nursery() as nursery:
        nursery.start_soon(b.work)
        await passes(lambda: a.well and b.well)
        await trio.sleep(3)
        yield a, b
        nursery.cancel_scope.cancel()


async def test_what_comes_is_taken_at_the_rooms_own_rate(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_small_room(0.01) as (a, b):
        for n in range(300):
            a.say("tea", n)
        a.say("pub", 1)
        await passes(lambda: b.data("pub") == [1])
        await passes(lambda: b.data("tea") == list(range(300)))
        assert b.given_up == []
        assert b.gaps == []
        assert b.state.counters.undelivered == 0
        await trio.sleep(5)
        assert a.outages == b.outages == []


async def test_a_room_that_takes_nothing_holds_nobody_up_for_long_and_loses_what_is_for_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_small_room(1000.0) as (a, b):
        said = trio.current_time()
        for n in range(10):
            a.say("tea", n)
            a.say("pub", n)
            await trio.sleep(0.004)
        await passes(lambda: b.data("pub") == list(range(10)))
        assert trio.current_time() - said <= STUCK + 0.1
        assert [room for _, room, _ in b.given_up] == ["tea"] * len(b.given_up)
        assert sum(count for *_, count in b.given_up) == b.state.counters.undelivered == 7
        await trio.sleep(5)
        assert a.outages == b.outages == []


async def test_a_room_that_is_always_too_slow_holds_nobody_up_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_small_room(0.2) as (a, b):
        for n in range(600):
            a.say("tea", n)
            a.say("pub", n)
            await trio.sleep(0.05)
        await trio.sleep(1)
        assert b.data("pub") == list(range(600))
        latest = [heard.at - 0.05 * heard.data for heard in b.heard if heard.room == "pub"]  # type: ignore[operator]
        assert max(latest) - min(latest) <= HELD_UP + 1.0
        lost = sum(count for *_, count in b.given_up)
        assert lost == b.state.counters.undelivered > 300
        taken = b.data("tea")
        assert taken == sorted(taken, key=lambda n: int(str(n)))
        await trio.sleep(5)
        assert a.outages == b.outages == []


async def test_of_a_broker_that_keeps_nothing_nothing_overtakes_what_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_small_room(0.01, FakeBroker) as (a, b):
        for n in range(40):
            a.say("tea", n)
            if n >= 20:
                await trio.sleep(0.0035)
        await trio.sleep(2)
        heard = b.data("tea")
        assert len(heard) + b.state.counters.undelivered == 40
        assert heard == sorted(heard, key=lambda n: int(str(n)))


async def test_what_waits_for_a_room_when_the_link_is_lost_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_small_room(1000.0) as (a, b):
        for n in range(5):
            a.say("tea", n)
        await trio.sleep(0.1)
        b.cut()
        await trio.testing.wait_all_tasks_blocked()
        assert b.state.counters.undelivered >= 1
        assert b.given_up
