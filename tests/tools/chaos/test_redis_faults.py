"""What the tool does to Redis, as a pod's driver sees it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import trio

from deployd.tools.chaos.proxy import FaultProxy, fault_proxy
from deployd.tools.chaos.servers import CannotBefall, Deployment, Endpoint
from deployd.tools.chaos.servers.redis import RedisServer
from deployd.tools.chaos.servers.redis_deployment import all_but
from deployd.transport import BrokerRefused, MessagesRefused
from support.deployments import PLAIN, Trouble, linked, refusal, regained, served, started


@pytest.fixture(autouse=True)
def _wanted(servers_wanted: None) -> None:
    """All of these need servers."""


@pytest.mark.parametrize("topology", ["single", "cluster"])
async def test_a_pod_may_say_nothing_in_a_room_and_another_may(
    topology: str, tmp_path: Path
) -> None:
    other = "room.another"
    async with (
        started("redis", topology, tmp_path) as deployment,
        linked(deployment, 0, [PLAIN, other]) as (one, heard),
        linked(deployment, 1) as (two, _),
    ):
        undo = await deployment.do(Trouble("broker.deny", pods=(0,)))
        with pytest.raises(MessagesRefused):
            await one.publish([(PLAIN, b"denied")])
        await one.publish([(other, b"elsewhere")])
        await two.publish([(PLAIN, b"said")])
        await heard.until_heard(2)
        assert undo is not None
        await undo()
        await one.publish([(PLAIN, b"again")])
        await heard.until_heard(3)
        assert not heard.losses


def test_all_names_but_one_match() -> None:
    patterns = list(all_but("ab"))
    for name, matches in {"ab": False, "a": True, "abc": True, "x": True, "ax": True}.items():
        assert any(fnmatchcase(name, each.replace("[^", "[!")) for each in patterns) is matches


async def test_a_slow_pod_is_cut_off_and_no_other(tmp_path: Path) -> None:
    async with (
        started("redis", "single", tmp_path) as deployment,
        linked(deployment, 0) as (_, slow),
        linked(deployment, 1) as (two, quick),
    ):
        assert await deployment.do(Trouble("broker.cut_slow", pods=(0,))) is None
        await slow.until_lost()
        await two.publish([(PLAIN, b"still")])
        await quick.until_heard(1)


async def test_a_full_server_cuts_pods_and_takes_none(tmp_path: Path) -> None:
    async with started("redis", "single", tmp_path) as deployment:
        async with linked(deployment, 0) as (_, heard):
            undo = await deployment.do(Trouble("broker.full"))
            await heard.until_lost()
        assert "max" in str(await refusal(deployment, 1))
        assert undo is not None
        await undo()
        await served(deployment)


async def test_a_password_that_has_changed_is_a_refusal(tmp_path: Path) -> None:
    async with started("redis", "single", tmp_path) as deployment:
        async with linked(deployment, 0) as (_, heard):
            undo = await deployment.do(Trouble("broker.password"))
            await heard.until_lost()
        assert isinstance(await refusal(deployment, 0), BrokerRefused)
        assert undo is not None
        await undo()
        await served(deployment)


async def test_a_server_that_may_not_write_is_a_replica_or_has_no_memory(tmp_path: Path) -> None:
    async with started("redis", "single", tmp_path) as deployment:
        async with linked(deployment, 0) as (_, heard):
            undo = await deployment.do(Trouble("broker.read_only", how="replica"))
            await heard.until_lost()
        assert "replica" in str(await refusal(deployment, 0))
        assert undo is not None
        await undo()
        undo = await deployment.do(Trouble("broker.read_only", how="maxmemory"))
        await served(deployment)  # nothing is stored of what pods say
        assert undo is not None
        await undo()
        await served(deployment)


async def test_sentinels_name_another_master_and_the_old_one_is_its_replica(tmp_path: Path) -> None:
    async with started("redis", "sentinel", tmp_path, count=2) as deployment:
        assert await deployment.do(Trouble("broker.demote")) is None
        await regained(lambda: served(deployment))
        undo = await deployment.do(Trouble("broker.failover"))
        assert [each.running for each in deployment.servers] == [True, False]
        await regained(lambda: served(deployment))
        assert undo is not None
        await undo()
        await regained(lambda: served(deployment))


async def test_what_is_done_to_the_first_server_is_done_to_whoever_is_the_master_by_then(
    tmp_path: Path,
) -> None:
    async with started("redis", "sentinel", tmp_path, count=2) as deployment:
        await deployment.do(Trouble("broker.demote"))
        await deployment.restore()
        undo = await deployment.do(Trouble("broker.kill", servers=()))
        assert undo is not None
        await undo()  # who is the master is what it was when they stopped
        await deployment.restore()
        async with linked(deployment, 0) as (_, heard):
            await deployment.do(Trouble("broker.kill"))
            await heard.until_lost()


def masters(deployment: Deployment) -> list[bool]:
    """Return of each server whether it is a master."""
    return [isinstance(each, RedisServer) and each.is_master for each in deployment.servers]


async def test_the_first_servers_of_a_cluster_are_its_masters_after_a_failover_too(
    tmp_path: Path,
) -> None:
    async with started("redis", "cluster", tmp_path) as deployment:
        await lose_a_master(deployment)
        assert masters(deployment) != [True] * 3 + [False] * 3
        await deployment.restore()
        assert masters(deployment) == [True] * 3 + [False] * 3


async def test_a_master_that_is_split_off_goes_on_for_those_beside_it(tmp_path: Path) -> None:
    async with started("redis", "sentinel", tmp_path, count=2) as deployment:
        async with linked(deployment, 0) as (one, heard):
            undo = await deployment.do(Trouble("broker.split"))
            await one.publish([(PLAIN, b"beside")])  # the road of pods is another
            await heard.until_heard(1)
            await heard.until_lost(30)  # sentinels name another master
        await regained(lambda: served(deployment))
        assert undo is not None
        await undo()
        await regained(lambda: served(deployment))


async def test_a_cluster_fails_over_moves_a_slot_and_is_down(tmp_path: Path) -> None:
    async with started("redis", "cluster", tmp_path) as deployment:
        await lose_a_master(deployment)
        async with linked(deployment, 0) as (_, heard):
            assert await deployment.do(Trouble("broker.move")) is None
            await heard.until_lost()
        await regained(lambda: served(deployment))
        async with linked(deployment, 0) as (_, heard):
            undo = await deployment.do(Trouble("broker.answer", error="CLUSTERDOWN"))
            await heard.until_lost()
        assert undo is not None
        await undo()
        await regained(lambda: served(deployment))
        for cannot in (Trouble("broker.split"), Trouble("broker.read_only", how="replica")):
            with pytest.raises(CannotBefall):
                await deployment.do(cannot)


async def lose_a_master(deployment: Deployment) -> None:
    async with linked(deployment, 0) as (_, heard):
        undo = await deployment.do(Trouble("broker.failover"))
        await heard.until_lost()
    await regained(lambda: served(deployment))
    assert undo is not None
    await undo()
    await regained(lambda: served(deployment))


@pytest.mark.parametrize("topology", ["single", "cluster", "sentinel"])
async def test_a_pod_goes_through_its_proxies_wherever_servers_send_it(
    topology: str, tmp_path: Path
) -> None:
    async with (
        started("redis", topology, tmp_path) as deployment,
        AsyncExitStack() as stack,
    ):
        through: dict[Endpoint, Endpoint] = {}
        proxies: list[FaultProxy] = []
        for own in deployment.addresses:
            proxy = await stack.enter_async_context(fault_proxy(own.port, protocol="redis"))
            proxies.append(proxy)
            through[own] = Endpoint("127.0.0.1", proxy.port)
        for proxy in proxies:
            for toxic in deployment.toxics(through):
                proxy.toxics.add(toxic)
        async with linked(deployment, 0, through=through) as (one, heard):
            await one.publish([(PLAIN, b"heard")])
            await heard.until_heard(1)
            for proxy in proxies[: len(deployment.servers)]:
                proxy.reset_connections()
            with trio.fail_after(5):
                await heard.until_lost()
