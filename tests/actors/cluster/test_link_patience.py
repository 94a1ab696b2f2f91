"""How long a link waits for its broker: not long for one that hangs, long for all else."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from deployd.actors.cluster.patience import QUICK, SLOWEST, UNKNOWN, Patience, RoundTrips
from deployd.transport.brokers.contract import Channel, Inbox, Message
from support.fake_broker import FakeBroker, FakeBus
from support.links import SETTINGS, SimPod, links, passes, sim_pods

# Decided -------------------------------------------------------------------------------------


def patience(*trips: float, heard_at: float = -1.0) -> Patience:
    round_trips = RoundTrips()
    for seconds in trips:
        round_trips.note(seconds)
    return Patience(1.3, 0.1, round_trips, heard_at)


def test_a_round_trip_that_was_never_measured_is_taken_for_one_that_takes_a_while() -> None:
    assert patience().limit == 1.3 + UNKNOWN - QUICK


@pytest.mark.parametrize("way", [0.0, 0.001, 0.05])
def test_a_broker_that_is_near_is_given_the_time_out(way: float) -> None:
    assert patience(*[way, 2 * way] * 20).limit == 1.3


def test_one_slow_answer_makes_room_for_others_at_once_and_for_some_time() -> None:
    slow = patience(*[0.001] * 20, 1.0)
    assert slow.limit > 1.3 + 0.8
    for _ in range(60):
        slow.trips.note(0.001)
    assert slow.limit == 1.3


@given(st.integers())
def test_a_way_of_half_a_second_give_or_take_three_tenths_never_exceeds_it(
    seed: int,
) -> None:
    slow, chance = patience(), random.Random(seed)
    for _ in range(300):
        slow.trips.note(chance.uniform(0.2, 0.8) + chance.uniform(0.2, 0.8))
        assert slow.limit > 1.6


@given(st.lists(st.floats(0, 100), max_size=50))
def test_however_slow_it_was_a_broker_that_hangs_is_noticed(trips: list[float]) -> None:
    assert patience(*trips).limit <= 1.3 + SLOWEST - QUICK


def test_silence_counts_from_the_last_that_was_heard_and_what_is_asked_from_when_it_was() -> None:
    near = patience(0.0)
    assert near.due(10.0) == pytest.approx(11.3)
    near.heard_at = 9.9
    assert near.due(10.0) == pytest.approx(9.9 + 0.1 + 1.3)
    near.heard_at = 9.0
    assert near.due(10.0) == pytest.approx(11.3)


def test_a_broker_that_brings_other_things_has_twice_the_time_and_no_more() -> None:
    near = patience(0.0, heard_at=10.5)
    assert near.due(10.0) == pytest.approx(10.5 + 0.1 + 1.3)
    near.heard_at = 12.5
    assert near.due(10.0) == pytest.approx(10.0 + 2 * 1.3)


# Done ----------------------------------------------------------------------------------------

PHASES = [n / 8 for n in range(8)]


@pytest.mark.parametrize("phase", PHASES)
async def test_a_frozen_broker_is_noticed_in_a_second_and_a_half_whenever_it_freezes(
    autojump_clock: trio.testing.MockClock, phase: float
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 3, ["tea"]) as pods:
        await passes(lambda: all(pod.well for pod in pods))
        await trio.sleep(5 + phase)
        bus.freeze()
        pods[0].say("tea", 1)
        for pod in pods:
            assert await passes(lambda pod=pod: not pod.closed) <= 1.5  # type: ignore[misc]
        assert trio.current_time() <= 5 + phase + 1.5 + 1.0


@pytest.mark.parametrize("phase", PHASES)
async def test_a_broker_that_pauses_for_a_second_is_waited_for_whenever_it_does(
    autojump_clock: trio.testing.MockClock, phase: float
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await passes(lambda: a.well and b.well)
        await trio.sleep(5 + phase)
        for _ in range(5):
            bus.freeze()
            a.say("tea", 1)
            await trio.sleep(1.0)
            bus.thaw()
            await trio.sleep(1.0 + phase)
        assert a.outages == b.outages == []


class SlowWay(FakeBroker):
    """A connection on whose way everything takes 500 ms, give or take 300, and keeps its order."""

    slow = False

    def __init__(self, bus: FakeBus, seed: int) -> None:
        super().__init__(bus)
        self._chance = random.Random(seed)
        self._last_out = self._last_in = 0.0
        self._coming: deque[tuple[float, Channel, bytes]] = deque()
        self._come = trio.Event()

    def way(self) -> float:
        return self._chance.uniform(0.2, 0.8) if self.slow else 0.0005

    def arrives(self, last: float) -> float:
        return max(last, trio.current_time() + self.way())

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        await super().connect(inbox, nursery)
        nursery.start_soon(self._bring)

    async def publish(self, batch: Sequence[Message]) -> None:
        self._last_out = self.arrives(self._last_out)
        await trio.sleep_until(self._last_out)
        await super().publish(batch)
        self._last_in = self.arrives(self._last_in)
        await trio.sleep_until(self._last_in)

    def hear(self, channel: Channel, payload: bytes) -> None:
        self._last_in = self.arrives(self._last_in)
        self._coming.append((self._last_in, channel, payload))
        self._come.set()

    async def _bring(self) -> None:
        while True:
            await self._come.wait()
            self._come = trio.Event()
            while self._coming:
                due, channel, payload = self._coming.popleft()
                await trio.sleep_until(due)
                super().hear(channel, payload)


def slow_pods(bus: FakeBus, seed: int, *, slow: bool = True) -> tuple[SimPod, SimPod]:
    pods = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    for number, pod in enumerate(pods):

        def make(number: int = number) -> SlowWay:
            way = SlowWay(bus, 2 * seed + number)
            way.slow = slow
            return way

        pod.make = make
    return pods


@pytest.mark.parametrize("seed", range(5))
async def test_a_way_that_is_slow_is_no_outage(
    autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    bus = FakeBus()
    a, b = slow_pods(bus, seed)
    async with links([a, b], ["tea"]):
        await passes(lambda: a.well and b.well)
        for number in range(600):
            a.say("tea", number)
            await trio.sleep(0.1)
        await passes(lambda: b.data("tea") == list(range(600)))
        assert a.state.counters.trips == b.state.counters.trips == 0
        assert a.outages == b.outages == []


@pytest.mark.parametrize("seed", range(5))
async def test_a_pause_on_a_slow_way_is_none_either(
    autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    bus = FakeBus()
    a, b = slow_pods(bus, seed)
    async with links([a, b], ["tea"]):
        await passes(lambda: a.well and b.well)
        await trio.sleep(10)
        for _ in range(10):
            bus.freeze()
            a.say("tea", 1)
            await trio.sleep(1.0)
            bus.thaw()
            await trio.sleep(5.3)
        assert a.outages == b.outages == []
