"""What waits while the broker is away: how much, how long, and how it comes out again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import trio
import trio.testing

from deployd.actors import Healed
from deployd.transport import BrokerRefused, BrokerUnavailable, Scope
from deployd.transport.brokers.contract import Message, room_channel
from support.fake_broker import FakeBroker, FakeBus
from support.links import SETTINGS, SimPod, links, passes, sim_pods

ROOMS = ["tea", "kept-1", "kept-2"]


async def test_what_waited_is_replayed_in_order_once_and_before_what_is_said_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 3, ROOMS) as pods:
        a, b, c = pods
        await passes(lambda: all(pod.well for pod in pods))
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        said = [a.say(f"kept-{1 + n % 2}", n) for n in range(5000)]
        assert {a.outcome(id_) for id_ in said} == {Scope.QUEUED}
        await trio.sleep(10)
        bus.start()
        n = 5000
        while not a.well:
            said.append(a.say(f"kept-{1 + n % 2}", n))
            n += 1
            await trio.sleep(0.01)
        said += [a.say(f"kept-{1 + k % 2}", k) for k in range(n, n + 10)]
        await passes(lambda: all(pod.well for pod in pods))
        await trio.sleep(1)
        for pod in (b, c):
            for parity in (0, 1):
                expected = list(range(parity, n + 10, 2))
                assert pod.data(f"kept-{1 + parity}") == expected
            assert all(heard.replayed for heard in pod.heard[:5000])
            assert not pod.heard[-1].replayed
            assert pod.link.sequences.missed == 0
        healed = a.outages[-1][1]
        assert isinstance(healed, Healed)
        assert (healed.lost, healed.replayed) == (0, n)


async def test_the_replay_waits_for_pods_that_come_back_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    late = FakeBus()

    class Gate(FakeBroker):
        """Lets pod c in 1.5 s after everybody else."""

        async def connect(self, inbox: object, nursery: trio.Nursery) -> None:
            if not late.up:
                raise BrokerUnavailable("fake:1 is not there for c.")
            await super().connect(inbox, nursery)  # type: ignore[arg-type]

    a, b, c = (SimPod(name, bus, SETTINGS) for name in "abc")
    c.make = lambda: Gate(bus)
    async with links([a, b, c], ROOMS):
        await passes(lambda: a.well and b.well and c.well)
        await trio.sleep(20)
        late.up = False
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        for n in range(10):
            a.say("kept-1", n)
        await trio.sleep(0.01)
        bus.start()
        await passes(lambda: a.closed and b.closed)
        late.up = True
        await passes(lambda: a.well and b.well and c.well)
        assert b.data("kept-1") == c.data("kept-1") == list(range(10))


async def test_the_replay_waits_for_a_pod_that_was_cut_off_long_before_and_comes_back_last(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus, out = FakeBus(), dict.fromkeys("abc", False)

    class Gate(FakeBroker):
        """Lets nobody in who is out."""

        name = ""

        async def connect(self, inbox: object, nursery: trio.Nursery) -> None:
            if out[self.name]:
                raise BrokerRefused("fake:1 refuses the password.")
            await super().connect(inbox, nursery)  # type: ignore[arg-type]

    def make(name: str) -> FakeBroker:
        gate = Gate(bus)
        gate.name = name
        return gate

    pods = a, b, c = [SimPod(name, bus, SETTINGS) for name in "abc"]
    for pod in pods:
        pod.make = partial(make, pod.name)
    async with links(pods, ROOMS):
        await passes(lambda: all(pod.well and len(pod.state.peers) == 2 for pod in pods))
        await trio.sleep(5)
        for pod in pods:  # each is asked again after 30 s, and they were 9 s apart
            out[pod.name] = True
            pod.cut()
            await trio.sleep(9)
        b.say("kept-1", "b")
        await trio.sleep(5)  # a is asked for the second time, in vain
        out.update(a=False, b=False, c=False)
        await passes(lambda: b.closed and c.closed, 30)
        assert not a.closed
        await passes(lambda: all(pod.healed for pod in pods), 40)
        assert a.data("kept-1") == c.data("kept-1") == ["b"]


async def test_a_pod_that_never_comes_back_is_not_waited_for_for_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    async with links([a], ROOMS):
        async with trio.open_nursery() as nursery:
            b.uplink.enter("kept-1")
            await nursery.start(b.run)
            await passes(lambda: a.well and b.well and len(a.state.peers) == 1)
            bus.kill()
            nursery.cancel_scope.cancel()
        a.say("kept-1", 1)
        bus.start()
        assert await passes(lambda: a.healed) <= SETTINGS.max_backoff + 1.5 + 2.5
        assert len(a.state.peers) == 0
        [account] = [news for _, news in a.outages if isinstance(news, Healed)]
        assert account.unheard == 1
        a.cut()
        await trio.testing.wait_all_tasks_blocked()
        a.say("kept-1", 2)
        assert await passes(lambda: a.healed) <= 3
        healed = a.outages[-1][1]
        assert isinstance(healed, Healed)
        assert healed.unheard == 1  # not waited for again, and as deaf as before


async def test_a_buffer_that_is_full_or_too_old_loses_and_says_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    for pod in (a, b):
        pod.state.buffer._ttl = 30.0
        pod.state.buffer._max_messages = 10
    async with links([a, b], ROOMS):
        await passes(lambda: a.well and b.well)
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        old = [a.say("kept-1", n) for n in range(8)]
        await trio.sleep(20)
        new = [a.say("kept-1", n) for n in range(8, 12)]
        assert [a.outcome(id_) for id_ in old] == [Scope.QUEUED] * 8
        assert [a.outcome(id_) for id_ in new] == [Scope.QUEUED] * 2 + [Scope.LOCAL] * 2
        await trio.sleep(15)
        bus.start()
        await passes(lambda: a.well and b.well)
        assert b.data("kept-1") == [8, 9]
        counters = a.state.counters
        assert (counters.expired, counters.overflowed, counters.lost) == (8, 2, 10)
        a.say("kept-1", 12)
        await trio.testing.wait_all_tasks_blocked()
        assert b.link.sequences.missed == 2  # 10 and 11; what came before 8 was never followed


async def test_bytes_bound_the_buffer_too(autojump_clock: trio.testing.MockClock) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1, ROOMS, buffer_bytes=10_000) as [a]:
        await passes(lambda: a.well)
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        outcomes = [a.outcome(a.say("kept-1", "x" * 1000)) for _ in range(10)]
        assert outcomes == [Scope.QUEUED] * 7 + [Scope.LOCAL] * 3
        assert a.state.buffer.nbytes <= 10_000


async def test_a_second_failure_in_the_middle_of_a_replay_loses_and_repeats_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    deaths: list[int] = []

    class Dies(FakeBroker):
        """Is killed in the second batch of events, before it or after it is taken."""

        batches = 0

        async def publish(self, batch: Sequence[Message]) -> None:
            if batch[0][0] == room_channel("kept-1"):
                self.batches += 1
            fatal = self.batches == 2 and len(deaths) < 4
            if fatal and len(deaths) % 2:
                deaths.append(1)
                self.server.kill()
            await super().publish(batch)
            if fatal and not len(deaths) % 2:
                deaths.append(0)
                self.server.kill()
                await self._answer()

    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    a.make = lambda: Dies(bus)
    async with links([a, b], ROOMS):
        await passes(lambda: a.well and b.well)
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        said = [a.say("kept-1", n) for n in range(9000)]
        for _ in range(60):
            bus.start()
            await trio.sleep(1)
        await passes(lambda: a.well and b.well)
        assert len(deaths) == 4
        assert {a.outcome(id_) for id_ in said} == {Scope.QUEUED}
        assert b.data("kept-1") == list(range(9000))
        assert a.state.counters.lost == 0


async def test_a_failure_while_the_link_proves_itself_is_no_second_outage(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ROOMS) as [a, b]:
        await passes(lambda: a.well and b.well)
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        a.say("kept-1", 1)
        for _ in range(3):
            bus.start()
            await passes(lambda: a.state.breaker.proofs == 2)
            bus.kill()
            await trio.testing.wait_all_tasks_blocked()
            assert not a.closed
        assert len(a.outages) == 1
        assert a.state.counters.trips == 1
        bus.start()
        await passes(lambda: a.well and b.well)
        assert b.data("kept-1") == [1]


async def test_what_is_too_large_is_refused_first_and_lost_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()

    class Small(FakeBroker):
        max_payload = 20_000

    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    a.make = b.make = lambda: Small(bus)
    async with links([a, b], ROOMS):
        await passes(lambda: a.well and b.well)
        assert a.uplink.refusal("tea", 30_000) is not None
        assert a.uplink.refusal("tea", 10_000) is None
        small, large, last = a.say("tea", 1), a.say("tea", "x" * 30_000), a.say("tea", 2)
        await trio.testing.wait_all_tasks_blocked()
        assert [a.outcome(id_) for id_ in (small, large, last)] == [
            Scope.CLUSTER,
            Scope.LOCAL,
            Scope.CLUSTER,
        ]
        assert b.data("tea") == [1, 2]
        assert (a.state.counters.too_large, a.state.counters.lost) == (1, 1)
        assert b.link.sequences.missed == 1
        assert a.outages == []


async def test_what_became_too_large_while_it_waited_is_lost_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    limit = [100_000]

    class Small(FakeBroker):
        def __init__(self, bus: FakeBus) -> None:
            super().__init__(bus)
            self.max_payload = limit[0]

    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    a.make = b.make = lambda: Small(bus)
    async with links([a, b], ROOMS):
        await passes(lambda: a.well and b.well)
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        said = [a.say("kept-1", data) for data in (1, "x" * 50_000, 2)]
        limit[0] = 20_000
        bus.start()
        await passes(lambda: a.well and b.well)
        assert b.data("kept-1") == [1, 2]
        assert [a.outcome(id_) for id_ in said] == [Scope.QUEUED] * 3
        assert (a.state.counters.too_large, a.state.counters.lost) == (1, 1)


async def test_an_outbox_that_is_full_turns_away_and_counts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ROOMS, outbox_messages=10) as [a, b]:
        await passes(lambda: a.well and b.well)
        bus.freeze()
        first = a.say("tea", 0)
        await trio.testing.wait_all_tasks_blocked()
        said = [first, *(a.say("tea", n) for n in range(1, 15))]
        assert [a.outcome(id_) for id_ in said] == [None] * 11 + [Scope.LOCAL] * 4
        bus.thaw()
        await trio.testing.wait_all_tasks_blocked()
        assert [a.outcome(id_) for id_ in said[:11]] == [Scope.CLUSTER] * 11
        assert (a.state.counters.overflowed, a.state.counters.lost) == (4, 4)
        assert b.data("tea") == list(range(11))


async def test_what_finds_no_place_in_a_room_is_counted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ROOMS) as [a, b]:
        await passes(lambda: a.well and b.well)
        b.full = True
        for n in range(7):
            a.say("tea", n)
        await passes(lambda: b.state.counters.undelivered == 7)
        assert sum(count for *_, count in b.given_up) == 7


async def test_the_sequences_of_rooms_that_are_silent_for_longest_are_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ROOMS) as [a, b]:
        await passes(lambda: a.well and b.well)
        from deployd.actors.cluster import numbering

        most, numbering.NUMBERED_ROOMS = numbering.NUMBERED_ROOMS, 4  # type: ignore[misc]
        try:
            for n in range(20):
                a.say("tea", n)
                a.say(f"other-{n}", n)
            await trio.testing.wait_all_tasks_blocked()
        finally:
            numbering.NUMBERED_ROOMS = most  # type: ignore[misc]
        assert [heard.sequence for heard in b.heard if heard.room == "tea"] == list(range(1, 21))


async def test_channels_are_heard_while_somebody_is_in_and_for_a_while_after(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    channel = room_channel("tea")
    async with sim_pods(bus, 1, linger=5.0) as [pod]:
        await passes(lambda: pod.well)
        assert list(bus.listeners(channel)) == []
        pod.uplink.enter("tea")
        with trio.fail_after(0.1):
            await pod.uplink.heard("tea")
        assert list(bus.listeners(channel)) == [pod.broker]
        pod.uplink.leave("tea")
        await trio.sleep(4.9)
        assert list(bus.listeners(channel)) == [pod.broker]
        await trio.sleep(0.2)
        assert list(bus.listeners(channel)) == []
        pod.uplink.enter("tea")
        await pod.uplink.heard("tea")
        bus.kill()
        await trio.sleep(5)
        with trio.fail_after(0.01):
            await pod.uplink.heard("tea")  # a broker that is away is not waited for
        bus.start()
        await passes(lambda: pod.well)
        assert list(bus.listeners(channel)) == [pod.broker]


async def test_who_waits_to_be_heard_is_let_go_when_the_broker_is_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1) as [pod]:
        await passes(lambda: pod.well)
        bus.freeze()
        pod.uplink.enter("tea")
        waited: list[float] = []

        async def wait() -> None:
            began = trio.current_time()
            await pod.uplink.heard("tea")
            waited.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(0.5)
            assert waited == []
            bus.kill()
        assert waited == [pytest.approx(0.5)]


async def test_of_fifty_pods_each_hears_its_own_rooms_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 50) as pods:
        for number, pod in enumerate(pods):
            pod.uplink.enter(f"room-{number % 10}")
            pod.uplink.enter(f"alone-{number}")
        await passes(lambda: all(pod.well for pod in pods))
        for _ in range(3):
            for number, pod in enumerate(pods):
                pod.say(f"room-{number % 10}", number)
                pod.say(f"alone-{number}", number)
        pods[0].say(None, "all")
        await trio.sleep(1)
        for number, pod in enumerate(pods):
            rooms = {heard.room for heard in pod.heard}
            assert rooms == ({f"room-{number % 10}", None} if number else {"room-0"})
            assert pod.state.counters.received == 4 * 3 + (number != 0)
            assert len(pod.link.subscriptions) == 3
            assert len(pod.state.peers) == 49
