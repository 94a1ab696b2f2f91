"""A link and its broker's failures, in fake time: seconds here are the link's own."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from deployd.actors import Degraded, Healed, OutageCode
from deployd.actors.cluster import BreakerState
from deployd.transport import Scope
from deployd.transport.brokers.contract import pod_channel
from support.fake_broker import FakeBroker, FakeBus
from support.links import SETTINGS, SimPod, links, passes, sim_pods


async def test_a_link_without_its_broker_boots_and_heals_when_it_comes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    bus.kill()
    async with sim_pods(bus, 1) as [pod]:
        await passes(lambda: pod.uplink.degraded is not None, 0.1)
        await trio.sleep(30)
        assert not pod.closed
        assert pod.outcome(pod.say("tea", 1)) is Scope.LOCAL
        bus.start()
        assert await passes(lambda: pod.well) <= 3
        assert [type(news) for _, news in pod.outages] == [Degraded, Healed]


async def test_a_killed_broker_is_noticed_at_once_and_healed_from_within_three_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 3) as pods:
        await passes(lambda: all(pod.well for pod in pods))
        await trio.sleep(12.3)
        bus.kill()
        died = trio.current_time()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == died
        for pod in pods:
            assert pod.state.breaker.state is not BreakerState.CLOSED
            [(_, news)] = pod.outages
            assert isinstance(news, Degraded)
            # A beat is a second old at most, and tells of the second before it.
            assert died - 2.1 <= news.since <= died
        await trio.sleep(20)
        bus.start()
        assert await passes(lambda: all(pod.well for pod in pods)) <= 3
        for pod in pods:
            assert [type(news) for _, news in pod.outages] == [Degraded, Healed]


async def test_a_frozen_broker_is_noticed_and_healed_from_within_three_seconds_each(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus) as [a, b]:
        await passes(lambda: a.well and b.well)
        await trio.sleep(5.5)
        bus.freeze()
        assert await passes(lambda: not a.closed and not b.closed) <= 3
        await trio.sleep(17)
        bus.thaw()
        assert await passes(lambda: a.well and b.well) <= 3


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5, 0.75])
async def test_a_broker_that_is_frozen_for_a_second_is_waited_for(
    autojump_clock: trio.testing.MockClock, offset: float
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await passes(lambda: a.well and b.well)
        await trio.sleep(5 + offset)
        bus.freeze()
        said = a.say("tea", 1)
        await trio.sleep(1)
        assert a.outcome(said) is None
        bus.thaw()
        await trio.sleep(5)
        assert a.outcome(said) is Scope.CLUSTER
        assert b.data("tea") == [1]
        assert a.outages == b.outages == []


async def test_a_pod_that_has_gone_deaf_finds_out_by_itself(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus) as [a, b]:
        await passes(lambda: a.well and b.well)
        await trio.sleep(7.7)
        bus.deaf.add(pod_channel(a.name))
        assert await passes(lambda: not a.closed) <= 3
        assert b.well
        await trio.sleep(20)
        assert not a.closed
        assert b.closed
        [(_, told)] = b.outages  # a says nothing while it does not trust its link
        assert isinstance(told, Degraded)
        assert (told.code, told.missing) == (OutageCode.PARTITIONED, 1)
        bus.deaf.clear()
        await passes(lambda: a.well and b.well)


async def test_a_broker_that_refuses_us_is_asked_every_thirty_seconds_at_most(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    bus.refusing = True
    async with sim_pods(bus, 1) as [pod]:
        await trio.sleep(125)
        assert pod.state.breaker.state is BreakerState.AUTH
        assert 4 <= len(pod.attempts) <= 5
        gaps = [b - a for a, b in zip(pod.attempts, pod.attempts[1:], strict=False)]
        assert min(gaps) >= 30
        assert "broker.fake.password" in pod.state.breaker.reason
        bus.refusing = False
        assert await passes(lambda: pod.well, 35) <= 33


async def test_a_broker_that_flaps_is_not_hammered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await passes(lambda: a.well and b.well)
        before = len(a.attempts)
        for _ in range(15):
            bus.kill()
            await trio.sleep(2)
            bus.start()
            await trio.sleep(2)
        assert len(a.attempts) - before <= 90  # 60 s at an average backoff below a second
        assert a.state.counters.trips <= 15
        assert await passes(lambda: a.well and b.well) <= 7


class SlowToClose(FakeBroker):
    """Takes most of what a broker may take to close."""

    async def close(self) -> None:
        await trio.sleep(0.9)
        await super().close()


async def test_what_is_in_doubt_is_settled_before_the_connection_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    pod = SimPod("pod", bus, SETTINGS, make=lambda: SlowToClose(bus))
    async with links([pod], ["tea"]):
        await passes(lambda: pod.well)
        bus.freeze()
        said = [pod.say("tea", 1)]
        await trio.sleep(0.01)
        said.append(pod.say("kept-1", 2))
        for broker in list(bus.brokers):
            broker.cut("connection reset")
        await trio.testing.wait_all_tasks_blocked()
        assert not pod.closed
        assert [type(news) for _, news in pod.outages] == [Degraded]
        assert [pod.outcome(id_) for id_ in said] == [Scope.LOCAL, Scope.QUEUED]


async def test_a_pod_that_stops_tells_of_no_outage(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 1) as [pod]:
        await passes(lambda: pod.well)
    assert not pod.closed
    assert pod.state.breaker.reason == "the link has stopped"
    assert (pod.outages, pod.state.counters.trips) == ([], 0)
