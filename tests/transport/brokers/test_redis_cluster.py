"""Row 22 of the fault catalogue: slots that move, masters that fail, and no loss in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import attrs
import pytest
import trio

from deployd.tools.chaos.servers import RedisServer
from deployd.transport import BrokerRefused, BrokerUnavailable
from deployd.transport.brokers.redis.node import SHARDED
from support.inboxes import HANGS
from support.redis_links import connect, linked
from support.redis_pods import talking
from support.redis_server import MakeRedisCluster, RedisCluster

HALL = "room.hall"
ROOMS = [f"room.{number}" for number in range(20)]


@pytest.fixture
def settling_cluster(redis_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """The cluster of all tests, of which slots may be moved about."""
    yield redis_cluster
    redis_cluster.settle()


def replica_of(cluster: RedisCluster, master: RedisServer) -> RedisServer:
    return next(
        node for node in cluster.nodes if f"slave\n127.0.0.1\n{master.port}" in node.ask("ROLE")
    )


async def test_probes_prove_every_master(redis_cluster: RedisCluster) -> None:
    async with linked(redis_cluster.settings()) as (broker, heard):
        probes = broker.probes("pod.a")
        assert {redis_cluster.owner(probe)[1].port for probe in probes} == {
            node.port for node in redis_cluster.masters()
        }
        assert len(probes) == 3
        await broker.subscribe(probes)
        await broker.publish([(probe, b"") for probe in probes])
        await heard.until_heard(3)


async def test_a_prefix_with_a_hash_tag_keeps_a_deployment_on_one_master(
    redis_cluster: RedisCluster,
) -> None:
    async with linked(redis_cluster.settings(prefix="{shop}:"), HALL) as (broker, heard):
        assert broker.probes("pod.a") == ["pod.a-0"]
        await broker.publish([(HALL, b"1")])
        await heard.until_heard(1)


async def test_one_node_of_a_cluster_leads_to_all(redis_cluster: RedisCluster) -> None:
    node = redis_cluster.nodes[4]
    await connect(attrs.evolve(node.settings(), cluster=True))
    gone = ("127.0.0.1:1", f"127.0.0.1:{node.port}")
    await connect(redis_cluster.settings(nodes=gone))
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1 is out of reach"):
        await connect(redis_cluster.settings(nodes=("127.0.0.1:1", "127.0.0.1:2")))


async def test_a_cluster_has_no_databases(redis_cluster: RedisCluster) -> None:
    with pytest.raises(BrokerRefused, match=r"broker\.redis\.database"):
        await connect(redis_cluster.settings(database=1))


async def test_one_connection_that_is_cut_ends_the_link(redis_cluster: RedisCluster) -> None:
    async with linked(redis_cluster.settings(), HALL) as (_, heard):
        node = redis_cluster.owner(HALL)[1]
        chosen = [client for client in node.clients() if client.get("ssub", "0") == "1"]
        node.ask("CLIENT", "KILL", "ID", chosen[0]["id"])
        await heard.until_lost()


async def test_a_frozen_master_does_not_delay_close(settling_cluster: RedisCluster) -> None:
    node = settling_cluster.owner(HALL)[1]
    async with linked(settling_cluster.settings(), HALL) as (broker, _):
        node.freeze()
        with trio.move_on_after(0.2) as patience:
            await broker.publish([(HALL, b"")])
        with trio.fail_after(HANGS):
            await broker.close()
        node.thaw()
        assert patience.cancelled_caught


@pytest.mark.parametrize(
    "verbs", [{"publish": b"SPUBLISH6"}, {"subscribe": b"SSUBSCRIBE6"}], ids=str
)
async def test_a_cluster_older_than_redis_7_is_refused(
    redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch, verbs: dict[str, bytes]
) -> None:
    module = "deployd.transport.brokers.redis.cluster"
    monkeypatch.setattr(f"{module}.SHARDED", attrs.evolve(SHARDED, **verbs))
    with pytest.raises(BrokerRefused, match="upgrade the cluster to Redis 7"):
        await connect(redis_cluster.settings())


async def test_a_slot_that_moves_ends_the_links_that_know_it_elsewhere(
    settling_cluster: RedisCluster,
) -> None:
    async with (
        linked(settling_cluster.settings(), ROOMS[0]) as (_, hearer),
        linked(settling_cluster.settings()) as (sender, bystander),
    ):
        settling_cluster.move_slot(ROOMS[0])
        await hearer.until_lost()
        with pytest.raises(BrokerUnavailable, match="slots"):
            await sender.publish([(ROOMS[0], b"")])
        await bystander.until_lost()


async def test_a_topology_that_changes_ends_even_an_idle_link(
    settling_cluster: RedisCluster,
) -> None:
    async with linked(settling_cluster.settings()) as (_, heard):
        settling_cluster.move_slot(ROOMS[0])
        await heard.until_lost()


def kill_a_master(cluster: RedisCluster) -> None:
    cluster.owner(ROOMS[0])[1].kill()


def hand_over(cluster: RedisCluster) -> None:
    assert replica_of(cluster, cluster.owner(ROOMS[0])[1]).ask("CLUSTER", "FAILOVER") == "OK"


@pytest.mark.parametrize(
    "fault", [hand_over, kill_a_master], ids=["a replica takes over", "a master is killed"]
)
async def test_a_failover_loses_nothing_in_silence(
    make_redis_cluster: MakeRedisCluster, fault: Callable[[RedisCluster], None]
) -> None:
    await lose_nothing_in_silence(make_redis_cluster(), fault)


async def test_a_slot_that_moves_loses_nothing_in_silence(settling_cluster: RedisCluster) -> None:
    await lose_nothing_in_silence(
        settling_cluster, partial(RedisCluster.move_slot, channel=ROOMS[0])
    )


async def lose_nothing_in_silence(
    cluster: RedisCluster, fault: Callable[[RedisCluster], None]
) -> None:
    async with talking(cluster.settings(), ROOMS) as talk:
        await talk.until_taken(1000)
        await trio.to_thread.run_sync(fault, cluster)
        await talk.sender.until_well(2)
        await talk.hearer.until_well(2)
        await talk.until_taken(len(talk.taken) + 1000)
        await talk.hush()
        assert not talk.missing(declared=False), f"{talk.missing(declared=True)} were declared"
        assert not talk.doubled()
