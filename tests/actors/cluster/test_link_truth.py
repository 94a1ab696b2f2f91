"""What no canary sees: pods that do not hear each other, subscriptions that are gone, lost ends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import pytest
import trio
import trio.testing
from attrs import evolve

from deployd.actors import Degraded, Gap, Healed, OutageCode
from deployd.actors.cluster import BreakerState
from deployd.tools.simulator.nats import SimulatedNats
from deployd.tools.simulator.network import SimulatedNetwork
from deployd.transport import MessagesRefused, Scope
from deployd.transport.brokers import Beat, unpack
from deployd.transport.brokers.contract import EVERYONE, Channel, Message, pod_channel, room_channel
from support.fake_broker import FakeBroker, FakeBus
from support.links import SETTINGS, SimPod, links, passes, sim_pods

TEA = room_channel("tea")


async def acquainted(*pods: SimPod) -> None:
    """Wait until all hear each other, and their rooms."""
    await passes(lambda: all(pod.well and len(pod.state.peers) == len(pods) - 1 for pod in pods))
    await trio.sleep(2.5)


async def test_the_last_event_is_missed_within_three_seconds_though_nothing_comes_after_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await acquainted(a, b)
        a.say("tea", 1)
        await trio.testing.wait_all_tasks_blocked()
        bus.dropping.add(TEA)
        said_at = trio.current_time()
        said = a.say("tea", 2)
        await trio.testing.wait_all_tasks_blocked()
        bus.dropping.clear()
        assert a.outcome(said) is Scope.CLUSTER  # the broker took it
        assert await passes(lambda: b.gaps) <= 3
        await passes(lambda: TEA in bus.renewed, 0.5)  # it may be deaf to others, not to itself
        _, gap = b.gaps[0]
        assert (gap.room, gap.missed, gap.whole_at) == ("tea", 1, None)
        assert gap.since <= said_at
        await passes(lambda: len(b.gaps) == 2)  # and it hears all again
        assert b.gaps[1][1] == evolve(gap, whole_at=b.gaps[1][1].whole_at)
        await trio.sleep(10)
        assert len(b.gaps) == 2
        assert a.gaps == []
        assert b.link.sequences.missed == 1


async def test_what_was_said_while_a_link_was_gone_is_told_as_soon_as_it_is_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await acquainted(a, b)
        a.cut()
        await trio.testing.wait_all_tasks_blocked()
        said = a.say("tea", 1)
        assert a.outcome(said) is Scope.LOCAL
        await trio.sleep(1.2)
        await passes(lambda: a.well)
        assert await passes(lambda: b.gaps, 1) <= 0.3


async def test_what_was_lost_of_a_pod_that_died_after_it_is_a_part_of_the_outage_that_followed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await acquainted(a, b)
        await trio.sleep(0.4)
        assert a.broker is not None
        a.broker.side = 1  # nobody hears what it says, and it will not come back
        said_at = trio.current_time()
        a.say("tea", 1)
        await trio.sleep(1.5)
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        [(_, told)] = b.outages
        assert isinstance(told, Degraded)
        assert told.since <= said_at


async def test_a_pod_that_has_just_begun_is_in_a_room_when_pods_on_other_servers_reach_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(2, 1, spread=0.3)
    a, b = [
        SimPod(f"pod{n}", FakeBus(), SETTINGS, make=partial(SimulatedNats, network, n, n))
        for n in range(2)
    ]
    async with trio.open_nursery() as nursery:
        await nursery.start(a.run)
        await passes(lambda: a.well)
        await nursery.start(b.run)
        b.uplink.enter("tea")
        await passes(lambda: b.closed)
        await b.uplink.heard("tea")
        a.say("tea", 1)
        await passes(lambda: b.data("tea") == [1], 0.1)
        nursery.cancel_scope.cancel()


async def test_a_pod_that_begins_alone_on_servers_that_tell_each_other_late_listens_for_a_beat(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(2, 1, spread=0.1)
    a = SimPod("pod0", FakeBus(), SETTINGS, make=partial(SimulatedNats, network, 0, 0))
    async with links([a]):
        assert 1.25 <= await passes(lambda: a.well) <= 2


async def test_a_subscription_that_is_gone_is_found_where_anything_is_said_and_made_anew(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea", "cake"]) as [a, b]:
        await acquainted(a, b)
        bus.deaf.add(TEA)
        began = trio.current_time()
        for n in range(20):
            a.say("tea", n)
            a.say("cake", n)
            await trio.sleep(0.2)
        assert b.gaps[0][0] - began <= 3
        assert TEA in bus.renewed
        await trio.sleep(3)
        last = b.gaps[-1][1]
        heard = {heard.data for heard in b.heard if heard.room == "tea"}
        assert last.whole_at is not None
        assert last.missed == 20 - len(heard)
        assert 19 in heard  # it is mended
        assert b.data("cake") == list(range(20))
        assert b.outages == a.outages == []  # the link was well all the time


async def test_a_subscription_that_is_gone_is_found_in_thirty_seconds_where_nothing_is_said(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1, ["tea"]) as [a]:
        await passes(lambda: a.well)
        bus.deaf.add(TEA)
        await passes(lambda: TEA in bus.renewed, 30)
        assert not a.gaps
        assert not a.outages


async def test_a_channel_of_everyone_that_is_gone_is_made_anew_and_no_pod_called_missing_for_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await acquainted(a, b)
        bus.deaf.add(EVERYONE)
        await passes(lambda: EVERYONE in bus.renewed, 4)
        await trio.sleep(3)
        assert a.well
        assert b.well


async def test_pods_that_a_broker_has_split_tell_it_on_both_sides_and_until_it_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await acquainted(a, b)
        assert isinstance(b.broker, FakeBroker)
        b.broker.side = 1
        cut_at = trio.current_time()
        receipts = []
        for n in range(300):
            receipts.append((trio.current_time(), a.say("tea", n)))
            await trio.sleep(0.1)
        for pod in (a, b):
            [(at, told)] = pod.outages
            assert isinstance(told, Degraded)
            assert (told.code, told.missing) == (OutageCode.PARTITIONED, 1)
            assert told.since <= cut_at
            assert at - cut_at <= 3
            assert pod.closed  # the broker is well
            assert len(pod.state.peers) == 0
        assert {EVERYONE, pod_channel(a.name), pod_channel(b.name)} <= set(bus.renewed)
        assert len(bus.renewed) <= 2 * 3 * 30 / 2.5
        told_at = a.outages[0][0]
        assert {a.outcome(id_) for at, id_ in receipts if at > told_at + 0.1} == {Scope.LOCAL}
        b.broker.side = 0
        await passes(lambda: a.well and b.well, 3)
        await passes(lambda: b.gaps, 3)
        await trio.sleep(1)
        assert isinstance(b.outages[-1][1], Healed)
        assert b.gaps[-1][1].missed == b.link.sequences.missed == 300
        assert b.gaps[-1][1].whole_at is not None


async def test_dead_pods_are_not_counted_and_pods_that_come_late_are_within_ten_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1) as [a]:
        await passes(lambda: a.well)
        for n in range(4):
            pod = SimPod(f"late{n}", bus, SETTINGS)
            async with trio.open_nursery() as nursery:
                await nursery.start(pod.run)
                await passes(lambda: len(a.state.peers) >= 1, 10)
                await trio.sleep(2)
                assert a.link.figures.health()["pods"] == 2
                pod.broker = None
                nursery.cancel_scope.cancel()  # without a goodbye
            await passes(lambda: len(a.state.peers) == 0, 10)
        assert a.link.figures.health()["pods"] == 1
        assert a.link.figures.health()["missing_pods"] == 4  # dead or cut off: who knows?


async def test_a_pod_that_says_goodbye_is_missing_to_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    async with links([a]):
        async with links([b]):
            await acquainted(a, b)
        assert len(a.state.peers) == 0
        await trio.sleep(10)
        assert a.outages == []


class Distant(FakeBroker):
    """A connection to a server of its own: others hear of its subscriptions 0.3 s later."""

    async def subscribe(self, channels: list[Channel]) -> None:  # type: ignore[override]
        self.node = f"server of {id(self)}"
        self.since = {**getattr(self, "since", {}), **dict.fromkeys(channels, trio.current_time())}
        await super().subscribe(channels)

    def hear(self, channel: Channel, payload: bytes) -> None:
        own = b'"o":"%b"' % self.owner.encode() in payload
        if own or trio.current_time() - self.since.get(channel, 0.0) >= 0.3:
            super().hear(channel, payload)

    owner = ""


async def test_who_comes_in_waits_until_the_room_is_heard_from_another_server(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    for pod in (a, b):

        def make(name: str = pod.name) -> Distant:
            broker = Distant(bus)
            broker.node, broker.owner = f"server of {name}", name
            return broker

        pod.make = make
    async with links([a, b]):
        await acquainted(a, b)
        for n in range(5):
            began = trio.current_time()
            await b.come(f"room-{n}")
            assert 0.3 <= trio.current_time() - began <= 1.0
            a.say(f"room-{n}", n)
            await trio.sleep(0.01)
            assert b.data(f"room-{n}") == [n]


@pytest.mark.parametrize("busy", [0, 200])
async def test_what_a_pod_hears_and_says_does_not_grow_with_what_the_others_say_elsewhere(
    autojump_clock: trio.testing.MockClock, busy: int
) -> None:
    bus, heard, nbytes = FakeBus(), 0, 0
    settings = evolve(SETTINGS, canary_interval=1.0)

    class Counted(FakeBroker):
        def hear(self, channel: Channel, payload: bytes) -> None:
            nonlocal heard, nbytes
            heard, nbytes = heard + 1, nbytes + len(payload)
            super().hear(channel, payload)

    one, *others = (SimPod(name, bus, settings) for name in ["one", *(f"p{n}" for n in range(15))])
    one.make = lambda: Counted(bus)
    async with links([one, *others]):
        for number, pod in enumerate(others):
            await pod.come(f"room-{number // 2}")  # the last is alone in its room
        await trio.sleep(5)
        before, bytes_before, said_before = heard, nbytes, one.state.counters.published
        for n in range(busy):
            for number, pod in enumerate(others):
                pod.say(f"room-{number // 2}", n)
            await trio.sleep(0.05)
        await trio.sleep(10 - busy * 0.05)
        assert [len(pod.heard) for pod in others] == [busy] * 14 + [0]
        # Ten seconds: a beat a second of each, its own included, and canaries, both ways.
        assert 16 * 9 <= heard - before <= 16 * 11 + 15
        # A mark of the one room of each adds some 30 bytes to its beat.
        assert nbytes - bytes_before <= 16 * 11 * 230
        assert one.state.counters.published == said_before
        assert one.gaps == []


async def test_pods_that_begin_at_different_times_beat_in_step_and_no_clock_silences_any(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    beats: dict[str, list[float]] = {}

    class Listening(FakeBroker):
        def hear(self, channel: Channel, payload: bytes) -> None:
            message = unpack(payload)
            if channel == EVERYONE and isinstance(message, Beat) and message.word == "here":
                beats.setdefault(message.origin, []).append(trio.current_time())
            super().hear(channel, payload)

    one, others = SimPod("one", bus, SETTINGS), [SimPod(f"p{n}", bus, SETTINGS) for n in range(5)]
    one.make = lambda: Listening(bus)
    async with links([one]), trio.open_nursery() as nursery:
        for pod in others:
            await trio.sleep(0.37)
            await nursery.start(pod.run)
        await trio.sleep(10)
        for times in beats.values():
            gaps = [after - before for before, after in pairwise(times)]
            assert all(0.74 <= gap <= 1.11 for gap in gaps)
            assert all(abs(time - round(time)) < 0.01 for time in times[-5:])
        nursery.cancel_scope.cancel()


async def test_whom_a_pod_hears_is_said_when_it_changes_and_in_each_tenth_beat(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        await trio.sleep(30)
        bus.published.clear()
        await trio.sleep(40)
        of_a = [beat.hears for beat in beats(bus) if beat.origin == a.name]
        assert len(of_a) == 40
        assert of_a.count((b.name,)) == of_a.count(None) / 9 == 4
        bus.published.clear()
        late = SimPod("late", bus, SETTINGS)
        async with links([late]):
            await passes(lambda: len(a.state.peers) == 2)
            await passes(lambda: any("late" in (beat.hears or ()) for beat in beats(bus)), 1.3)


def beats(bus: FakeBus) -> list[Beat]:
    """Return the beats that were said to everyone, but for greetings."""
    said = [unpack(payload) for channel, payload in bus.published if channel == EVERYONE]
    return [beat for beat in said if isinstance(beat, Beat) and beat.word == "here"]


async def test_a_gap_of_everyone_is_told_to_everyone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        a.say(None, 1)
        await trio.testing.wait_all_tasks_blocked()
        bus.dropping.add(EVERYONE)
        a.say(None, 2)
        await trio.testing.wait_all_tasks_blocked()
        bus.dropping.clear()
        await passes(lambda: b.gaps, 3)
        gap = b.gaps[0][1]
        assert isinstance(gap, Gap)
        assert (gap.room, gap.missed) == (None, 1)
        assert pod_channel(a.name) not in bus.renewed


class Muted(FakeBroker):
    """A connection that may hear everything, and not speak on some channels."""

    silent: tuple[Channel, ...] = (TEA, EVERYONE)

    async def publish(self, batch: Sequence[Message]) -> None:
        denied = [n for n, (channel, _) in enumerate(batch) if channel in self.silent]
        await super().publish([one for n, one in enumerate(batch) if n not in denied])
        if denied:
            raise MessagesRefused(denied, "fake:1 lets this pod not speak here.")


async def test_where_a_pod_may_not_speak_is_no_trouble_of_its_link(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    b.make = lambda: Muted(bus)
    async with links([a, b]):
        await passes(lambda: a.closed and b.closed)
        began = trio.current_time()
        await b.come("tea")
        assert trio.current_time() - began <= 1
        a.say("tea", 1)
        await trio.sleep(0.1)
        assert b.data("tea") == [1]
        told = b.say("tea", 2)
        await trio.sleep(30)
        assert b.outcome(told) is Scope.LOCAL
        assert b.state.counters.denied == 1
        assert b.state.counters.trips == 0
        assert TEA not in bus.renewed


async def test_a_pod_that_may_not_speak_to_itself_is_refused_and_does_not_try_again_soon(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    pod = SimPod("a", bus, SETTINGS)

    def make() -> FakeBroker:
        broker = Muted(bus)
        broker.silent = (pod_channel("a"),)
        return broker

    pod.make = make
    async with links([pod]):
        await passes(lambda: pod.state.breaker.state is BreakerState.AUTH)
        await trio.sleep(20)
        assert len(pod.attempts) == 1


async def test_what_stands_in_line_at_a_slow_broker_is_not_missed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class SlowInRooms(FakeBroker):
        async def publish(self, messages: Sequence[Message]) -> None:
            if any(channel == TEA for channel, _ in messages):
                await trio.sleep(1.3)
            await super().publish(messages)

    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await acquainted(a, b)
        a.make = lambda: SlowInRooms(bus)
        a.cut()
        await acquainted(a, b)
        told = len(b.gaps)
        for number in range(100):
            a.say("tea", number)
            await trio.sleep(0.1)
        await trio.sleep(5)
        assert len(b.gaps) == told
        assert b.link.sequences.missed == 0
        assert a.state.counters.trips == 1
