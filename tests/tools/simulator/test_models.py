"""What the models of brokers do wrong when they are told to, and what they never do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from deployd.tools.simulator.faults import WEIGHTS, Fault, Kind
from deployd.tools.simulator.injection import inject
from deployd.tools.simulator.nats import SimulatedNats
from deployd.tools.simulator.network import SimulatedNetwork
from deployd.tools.simulator.rabbitmq import RabbitNetwork, SimulatedRabbit
from deployd.tools.simulator.redis import RedisNetwork, SimulatedRedis
from deployd.transport import BrokerUnavailable
from deployd.transport.brokers.contract import Broker, room_channel
from support.broker_stages import joined
from support.inboxes import Heard

HALL = room_channel("plain-1")


def said(heard: Heard) -> list[int]:
    return [int(payload) for _, payload in heard.messages]


@asynccontextmanager
async def pair(first: Broker, second: Broker) -> AsyncIterator[tuple[Heard, Heard]]:
    """Two pods that hear the hall, for longer than anything takes to spread."""
    async with joined(first, HALL) as (_, one), joined(second, HALL) as (_, two):
        await trio.sleep(1)
        yield one, two


async def test_interest_is_known_elsewhere_in_its_own_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(2, 1, spread=0.3)
    speaker, hearer = (SimulatedNats(network, n, n) for n in range(2))
    async with joined(speaker), joined(hearer, HALL) as (_, heard):
        for number in range(8):
            await speaker.publish([(HALL, b"%d" % number)])
            await trio.sleep(0.1)
        assert said(heard) == list(range(8))[-len(said(heard)) :]
        assert 0 < len(heard.messages) < 8


async def test_what_one_says_stays_in_order_and_what_others_say_may_overtake_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    orders = set()
    for seed in range(20):
        network = SimulatedNetwork(2, seed, road=0.05)
        far, near, hearer = (SimulatedNats(network, n, n % 2) for n in (0, 1, 3))
        async with joined(far), pair(near, hearer) as (_, heard):
            for number in range(0, 6, 2):
                await far.publish([(HALL, b"%d" % number)])
                await near.publish([(HALL, b"%d" % (number + 1))])
            await trio.sleep(1)
        for of in (0, 1):
            assert [n for n in said(heard) if n % 2 == of] == list(range(of, 6, 2))
        orders.add(tuple(said(heard)))
    assert len(orders) > 1


async def test_what_is_between_two_servers_is_lost_with_the_one_that_had_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(2, 1, road=0.05)
    speaker, hearer = (SimulatedNats(network, n, n) for n in range(2))
    async with pair(speaker, hearer) as (own, heard):
        lost = 0
        for number in range(20):
            await speaker.publish([(HALL, b"%d" % number)])
        network.kill(0)
        await trio.sleep(1)
        lost = 20 - len(heard.messages)
        assert said(heard) == list(range(20))[: len(heard.messages)]
        assert own.losses
        assert not heard.losses
    assert lost


async def test_a_pod_that_knows_all_servers_goes_to_one_that_is_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = SimulatedNetwork(3, 1)
    network.kill(0)
    network.lame(1)
    roaming = SimulatedNats(network, 0, 0, roams=True)
    async with joined(roaming):
        assert [server.number for server in roaming.servers] == [2]
    with pytest.RaisesGroup(BrokerUnavailable, flatten_subgroups=True):
        async with joined(SimulatedNats(network, 0, 0)):
            pytest.fail("connected")


async def test_a_master_that_is_cut_off_goes_on_until_it_is_found_to_be_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = RedisNetwork(2, 1)
    beside, across = SimulatedRedis(network, 0, 0), SimulatedRedis(network, 1, 1)
    async with pair(beside, across) as (_, heard):
        network.split(0, 1)
        assert heard.losses
        async with joined(SimulatedRedis(network, 1, 1), HALL) as (new, other):
            await beside.publish([(HALL, b"1")])
            await new.publish([(HALL, b"2")])
            await trio.sleep(1)
            assert said(other) == [2]
            network.join(0, 1)
            with pytest.raises(BrokerUnavailable, match="replica"):
                await beside.publish([(HALL, b"3")])


async def test_a_failover_leads_all_to_the_replica(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = RedisNetwork(2, 1)
    async with pair(SimulatedRedis(network, 0, 0), SimulatedRedis(network, 1, 1)) as (_, heard):
        take_over = inject(network, Fault(1.0, Kind.FAILOVER))
        assert heard.losses
        with pytest.RaisesGroup(BrokerUnavailable, flatten_subgroups=True):
            async with joined(SimulatedRedis(network, 0, 0)):
                pytest.fail("connected")
        assert take_over is not None
        take_over()
        async with joined(SimulatedRedis(network, 0, 0)) as (broker, _):
            assert broker.node == "node1"


async def test_a_node_that_has_forgotten_another_remembers_what_is_bound_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = RabbitNetwork(2, 1)
    speaker, hearer = (SimulatedRabbit(network, n, n) for n in range(2))
    async with pair(speaker, hearer) as (_, heard):
        inject(network, Fault(1.0, Kind.FORGET_SIDE, node=0, other=1))
        await speaker.publish([(HALL, b"1")])
        await hearer.publish([(HALL, b"2")])
        await trio.sleep(1)
        await hearer.resubscribe([HALL])
        await speaker.publish([(HALL, b"3")])
        await trio.sleep(1)
        assert said(heard) == [2, 3]


async def test_a_batch_that_is_refused_ends_the_link_taken_or_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    taken = 0
    for seed in range(20):
        network = RabbitNetwork(1, seed)
        speaker, hearer = (SimulatedRabbit(network, n, 0) for n in range(2))
        async with pair(speaker, hearer) as (own, heard):
            undo = inject(network, Fault(1.0, Kind.NACK, pod=0, amount=100))
            with pytest.raises(BrokerUnavailable, match="refused a message"):
                await speaker.publish([(HALL, b"1")])
            assert own.losses
            await trio.sleep(1)
            taken += len(heard.messages)
            assert undo is not None
            undo()
            await hearer.publish([(HALL, b"2")])
    assert 0 < taken < 20


async def test_what_is_confirmed_late_was_delivered_long_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = RabbitNetwork(1, 1)
    speaker, hearer = (SimulatedRabbit(network, n, 0) for n in range(2))
    async with pair(speaker, hearer) as (_, heard), trio.open_nursery() as nursery:
        inject(network, Fault(1.0, Kind.LATE, amount=3000))
        began = trio.current_time()
        nursery.start_soon(speaker.publish, [(HALL, b"1")])
        await heard.until_heard(1)
        assert trio.current_time() - began < 0.1
        with trio.CancelScope() as all_of_it:
            await trio.sleep(2.5)
            assert nursery.child_tasks
        assert not all_of_it.cancelled_caught
    assert trio.current_time() - began > 3


async def test_what_was_under_way_when_a_connection_ends_was_taken_or_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    taken = 0
    for seed in range(20):
        network = SimulatedNetwork(1, seed)
        speaker, hearer = (SimulatedNats(network, n, 0) for n in range(2))
        async with pair(speaker, hearer) as (_, heard), trio.open_nursery() as nursery:

            async def speak(speaker: SimulatedNats = speaker) -> None:
                with pytest.raises(BrokerUnavailable):
                    await speaker.publish([(HALL, b"1")])

            nursery.start_soon(speak)
            await trio.testing.wait_all_tasks_blocked()
            network.cut(0)
            await trio.sleep(1)
            taken += len(heard.messages)
    assert 0 < taken < 20


def test_each_kind_of_fault_is_of_some_broker_and_can_be_made() -> None:
    of_pods = {Kind.CRASH, Kind.STOP, Kind.PAUSE}
    scenarios_alone = {Kind.SWALLOW, Kind.DROP_BEATS}
    assert set(Kind) - scenarios_alone == {kind for weights in WEIGHTS.values() for kind in weights}
    for broker, weights in WEIGHTS.items():
        for kind in set(weights) - of_pods:
            network = {"redis": RedisNetwork, "rabbitmq": RabbitNetwork}.get(
                broker, SimulatedNetwork
            )(2, 1)

            async def make(network: SimulatedNetwork = network, kind: Kind = kind) -> None:
                undo = inject(network, Fault(1.0, kind, 1.0, 0, 0, 1))
                if undo is not None:
                    undo()

            trio.run(make)
