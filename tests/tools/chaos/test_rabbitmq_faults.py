"""What the tool does to RabbitMQ, as a pod's driver sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from deployd.tools.chaos.servers import CannotBefall, Deployment
from deployd.tools.chaos.servers.rabbitmq_deployment import RabbitDeployment
from deployd.transport import BrokerError, BrokerRefused, MessagesRefused
from deployd.transport.brokers.contract import EVERYONE
from deployd.transport.brokers.rabbitmq.renewals import TRIES
from support.deployments import PLAIN, Trouble, linked, refusal, regained, served
from support.servers import where_installed

TOGETHER = 60.0
"""Seconds until the side that has lost has restarted."""
SILENCE = 1.0
"""Seconds in which nothing is heard, that would be within milliseconds."""


def lasting(topology: str, folders: pytest.TempPathFactory) -> Iterator[RabbitDeployment]:
    """Start servers once for many tests, each of which has a loop of its own."""
    deployment = RabbitDeployment(topology, 3, folders.mktemp("rabbitmq"))

    async def start() -> None:
        async with trio.open_nursery() as nursery:
            await deployment.start(nursery)

    try:
        with where_installed():
            trio.run(start)
        yield deployment
    finally:
        trio.run(deployment.end)


@pytest.fixture(scope="session")
def single(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitDeployment]:
    yield from lasting("single", tmp_path_factory)


@pytest.fixture(scope="session")
def cluster(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitDeployment]:
    yield from lasting("cluster", tmp_path_factory)


@asynccontextmanager
async def during(deployment: Deployment, trouble: Trouble) -> AsyncIterator[None]:
    """Let something be for the length of the block; all is well afterwards."""
    undo = await deployment.do(trouble)
    try:
        yield
    finally:
        assert undo is not None
        await undo()
    await regained(lambda: served(deployment))


@pytest.mark.parametrize("name", ["broker.kill", "broker.stop"])
async def test_a_server_ends_and_serves_again(single: Deployment, name: str) -> None:
    async with linked(single, 0) as (_, heard), during(single, Trouble(name)):
        await heard.until_lost(20)


async def test_a_frozen_server_answers_nobody(single: Deployment) -> None:
    async with linked(single, 0) as (one, _), during(single, Trouble("broker.freeze")):
        with trio.move_on_after(SILENCE) as waited:
            await one.publish([(PLAIN, b"unheard")])
        assert waited.cancelled_caught


@pytest.mark.parametrize("of", ["memory", "disk"])
async def test_an_alarm_blocks_who_publishes(single: Deployment, of: str) -> None:
    async with linked(single, 0) as (one, heard), during(single, Trouble("broker.alarm", of=of)):
        with trio.move_on_after(SILENCE), pytest.raises(BrokerError):
            await one.publish([(PLAIN, b"blocked")])
        await heard.until_lost()


async def test_a_connection_is_forced_to_close_again_and_again(single: Deployment) -> None:
    forced = Trouble("broker.answer", error="320")
    async with linked(single, 0) as (_, heard), during(single, forced):
        await heard.until_lost()
        assert "forced" in str(await refusal(single, 1)).lower()


async def test_what_may_be_said_nowhere_is_refused(single: Deployment) -> None:
    async with linked(single, 0) as (one, _):
        await one.publish([(PLAIN, b"allowed, and remembered")])
        async with during(single, Trouble("broker.answer", error="403")):
            with pytest.raises(MessagesRefused):
                await one.publish([(PLAIN, b"denied")])


async def test_a_pod_may_say_nothing_in_rooms_and_another_may(single: Deployment) -> None:
    async with linked(single, 0) as (one, heard), linked(single, 1) as (two, _):
        await one.publish([(PLAIN, b"before")])
        async with during(single, Trouble("broker.deny", pods=(0,))):
            with pytest.raises(MessagesRefused):
                await one.publish([(PLAIN, b"denied")])
            await one.publish([(EVERYONE, b"to all")])
            await two.publish([(PLAIN, b"said")])
            await heard.until_heard(2)
        await one.publish([(PLAIN, b"again")])
        assert not heard.losses


async def test_a_binding_is_forgotten_in_silence_and_that_of_others_is_not(
    single: Deployment,
) -> None:
    async with linked(single, 0) as (one, deaf), linked(single, 1) as (_, other):
        assert await single.do(Trouble("broker.forget", pods=(0,))) is None
        await one.publish([(PLAIN, b"said")])
        await other.until_heard(1)
        with trio.move_on_after(SILENCE):
            await deaf.until_heard(1)
        assert not deaf.messages
        assert not deaf.losses
        await one.resubscribe([PLAIN])
        await one.publish([(PLAIN, b"again")])
        await deaf.until_heard(1)


async def test_an_exchange_is_deleted_and_nobody_hears(single: Deployment) -> None:
    async with linked(single, 0) as (one, heard):
        assert await single.do(Trouble("broker.forget_exchange", of="rooms")) is None
        await one.resubscribe([PLAIN])
        await one.publish([(PLAIN, b"again")])
        await heard.until_heard(1)


async def test_a_pods_queue_is_deleted_and_it_is_told(single: Deployment) -> None:
    async with linked(single, 0) as (_, lost), linked(single, 1) as (two, other):
        assert await single.do(Trouble("broker.forget_queue", pods=(0,))) is None
        await lost.until_lost()
        await two.publish([(PLAIN, b"still")])
        await other.until_heard(1)


async def test_a_full_server_cuts_pods_and_takes_none(single: Deployment) -> None:
    async with linked(single, 0) as (_, heard), during(single, Trouble("broker.full")):
        await heard.until_lost()
        assert "limit" in str(await refusal(single, 1))


async def test_a_password_that_has_changed_is_a_refusal(single: Deployment) -> None:
    async with linked(single, 0) as (_, heard), during(single, Trouble("broker.password")):
        await heard.until_lost()
        assert isinstance(await refusal(single, 1), BrokerRefused)


async def test_a_limit_holds_until_all_is_restored(single: Deployment) -> None:
    assert await single.do(Trouble("broker.limit", size=2000)) is None
    async with linked(single, 0) as (one, _):
        with pytest.raises(BrokerError):
            await one.publish([(PLAIN, bytes(3000))])
    await single.restore()
    async with linked(single, 0) as (one, heard):
        await one.publish([(PLAIN, bytes(3000))])
        await heard.until_heard(1)


async def test_what_is_said_in_some_rooms_is_refused(single: Deployment) -> None:
    refused = Trouble("broker.refuse", share=0.5)
    async with linked(single, 0) as (one, heard), during(single, refused):
        await one.publish([("room.strict", b"taken")])
        with pytest.raises(BrokerError):
            await one.publish([(PLAIN, b"refused")])
        with trio.move_on_after(SILENCE):
            await heard.until_heard(1)
        assert [payload for _, payload in heard.messages] in ([], [b"refused"])


async def test_what_rabbitmq_cannot_do_is_a_sentence(single: Deployment) -> None:
    for name in ("broker.unsubscribe", "broker.confirm_late", "broker.disk_full", "broker.split"):
        assert str(single.cannot(Trouble(name))).endswith(".")
    with pytest.raises(CannotBefall):
        await single.do(Trouble("broker.answer", error="LOADING"))


async def test_servers_of_a_cluster_serve_together_and_one_is_back(cluster: Deployment) -> None:
    await served(cluster, 0, 1)
    async with during(cluster, Trouble("broker.kill", servers=(2,))):
        await regained(lambda: served(cluster, 0, 1))


async def test_a_server_forgets_what_is_bound_on_another(cluster: Deployment) -> None:
    async with (
        linked(cluster, 0) as (one, near),
        linked(cluster, 1) as (two, far),
    ):
        assert await cluster.do(Trouble("broker.forget_bindings", server=0, other=1)) is None
        await one.publish([(PLAIN, b"from 0")])
        await near.until_heard(1)
        await two.publish([(PLAIN, b"from 1")])
        await far.until_heard(1)
        await near.until_heard(2)
        assert [payload for _, payload in far.messages] == [b"from 1"]


async def test_a_pod_has_another_queue_where_a_server_has_forgotten_the_one_it_had(
    cluster: RabbitDeployment,
) -> None:
    async with linked(cluster, 0) as (one, near), linked(cluster, 1) as (two, _):
        await cluster.tell(
            "[ets:delete(rabbit_queue, amqqueue:get_name(Q)) || Q <- ets:tab2list(rabbit_queue), "
            f"node(amqqueue:get_pid(Q)) =:= '{cluster.servers[0].name}'].",
            1,
        )
        for number in range(TRIES):
            await two.publish([(PLAIN, b"%d" % number)])
            await one.resubscribe([PLAIN])
        await two.publish([(PLAIN, b"heard")])
        await near.until_heard(1)
        assert [payload for _, payload in near.messages] == [b"heard"]
        assert not near.losses


async def test_servers_that_are_split_do_not_hear_each_other_and_come_together(
    cluster: RabbitDeployment,
) -> None:
    pair = (0, 1)
    await served(cluster, *pair)
    async with during(cluster, Trouble("broker.split", server=0, other=1)):
        with trio.fail_after(TOGETHER):
            for one, other in (pair, pair[::-1]):
                while cluster.servers[other].name in await seen(cluster, one):  # noqa: ASYNC110
                    await trio.sleep(0.1)
        with pytest.raises(trio.TooSlowError), trio.fail_after(2 * SILENCE):
            await served(cluster, *pair)
    await regained(lambda: together(cluster))
    await served(cluster, *pair)


async def together(cluster: RabbitDeployment) -> None:
    with trio.fail_after(TOGETHER):
        while True:
            views = [await seen(cluster, each) for each in range(3)]
            if all(server.name in view for server in cluster.servers for view in views):
                return
            await trio.sleep(0.2)


async def seen(cluster: RabbitDeployment, place: int) -> str:
    return await cluster.tell("rabbit_nodes:all_running().", place)
