from __future__ import annotations

from typing import Any

import pytest
import trio

from deployd.config.brokers import Redis
from deployd.tools.chaos.servers import RedisServer
from deployd.transport import BrokerRefused, BrokerUnavailable
from support.inboxes import HANGS, wait_until
from support.redis_links import connect, linked
from support.redis_pods import talking
from support.redis_server import MakeRedisSentinel, MakeRedisServer

HALL = "room.hall"
Sentinels = tuple[RedisServer, RedisServer, list[RedisServer]]


def settings(sentinels: list[RedisServer], master: str = "mymaster", **changes: Any) -> Redis:
    nodes = tuple(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
    return Redis(sentinels=nodes, sentinel_master=master, **changes)


async def test_sentinel_leads_to_the_master_and_after_a_failover_to_the_next(
    redis_sentinels: Sentinels,
) -> None:
    master, replica, sentinels = redis_sentinels
    async with talking(settings(sentinels), [HALL]) as talk:
        assert talk.sender.lives[0].broker.endpoint == f"127.0.0.1:{master.port}"
        await trio.to_thread.run_sync(master.kill)
        await talk.sender.until_well(2)
        await talk.hearer.until_well(2)
        assert talk.sender.lives[-1].broker.endpoint == f"127.0.0.1:{replica.port}"
        await talk.until_taken(len(talk.taken) + 50)
        await talk.hush()
        assert not talk.missing(declared=False)


async def test_a_master_that_hands_over_ends_the_link(redis_sentinels: Sentinels) -> None:
    _, replica, sentinels = redis_sentinels
    async with linked(settings(sentinels), HALL) as (_, heard):
        assert sentinels[0].ask("SENTINEL", "FAILOVER", "mymaster") == "OK"
        await wait_until(lambda: replica.ask("ROLE").startswith("master"), 20)
        # For ten seconds more the old one does not know.
        await heard.until_lost()


async def test_a_sentinel_that_hangs_keeps_nobody_waiting(redis_sentinels: Sentinels) -> None:
    _, _, sentinels = redis_sentinels
    sentinels[0].freeze()
    with trio.fail_after(HANGS):
        await connect(settings(sentinels))
    with pytest.raises(trio.TooSlowError), trio.fail_after(0.3):
        await connect(settings(sentinels[:1]))


async def test_a_master_that_no_sentinel_knows_is_unavailable(redis_sentinels: Sentinels) -> None:
    with pytest.raises(BrokerUnavailable, match=r"broker\.redis\.sentinelMaster"):
        await connect(settings(redis_sentinels[2], "nobody"))


async def test_a_replica_that_a_sentinel_names_is_not_believed(
    redis_sentinels: Sentinels,
) -> None:
    master, replica, sentinels = redis_sentinels
    for sentinel in sentinels:
        sentinel.ask("SENTINEL", "REMOVE", "mymaster")
        sentinel.ask("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", replica.port, 9)
    with pytest.raises(BrokerUnavailable, match=f"{replica.port} is a replica"):
        await connect(settings(sentinels))
    assert master.ask("ROLE").startswith("master")


async def test_a_master_with_a_password_is_signed_in_to(redis_sentinels: Sentinels) -> None:
    master, _, sentinels = redis_sentinels
    master.ask("CONFIG", "SET", "requirepass", "word")
    with pytest.raises(BrokerRefused, match=r"broker\.redis\.password"):
        await connect(settings(sentinels))
    await connect(settings(sentinels, password="word"))


async def test_sentinels_may_have_a_password_of_their_own_or_the_masters(
    make_redis_server: MakeRedisServer, make_redis_sentinel: MakeRedisSentinel
) -> None:
    master = make_redis_server("--requirepass", "word", login=["-a", "word"])
    for sentinels_own, changes in (
        ("word", {}),
        ("own", {"sentinel_password": "own"}),
        ("own", {"sentinel_password": "own", "sentinel_username": "default"}),
    ):
        sentinel = make_redis_sentinel(
            master.port,
            f"requirepass {sentinels_own}",
            "sentinel auth-pass mymaster word",
            login=["-a", sentinels_own],
        )
        await connect(settings([sentinel], password="word", **changes))
    for changes in ({}, {"sentinel_password": "wrong"}):
        with pytest.raises(BrokerRefused, match=r"sentinelUsername and .*sentinelPassword") as said:
            await connect(settings([sentinel], password="word", **changes))
        assert "wrong" not in str(said.value)


async def test_sentinels_that_call_one_master_by_two_names_do_not_end_the_link(
    make_redis_server: MakeRedisServer, make_redis_sentinel: MakeRedisSentinel
) -> None:
    master = make_redis_server()
    names = ("sentinel resolve-hostnames yes", "sentinel announce-hostnames yes")
    by_name = make_redis_sentinel(master.port, *names, master="localhost")
    by_address = make_redis_sentinel(master.port)
    words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
    assert by_name.ask(*words).split()[0] == "localhost"
    assert by_address.ask(*words).split()[0] == "127.0.0.1"
    for order in ([by_name, by_address], [by_address, by_name]):
        async with linked(settings(order), HALL) as (_, heard):
            # Each second one of them is believed, whoever answers first.
            await trio.sleep(1.2)
            order[0].freeze()
            await trio.sleep(1.2)
            order[0].thaw()
            assert not heard.losses
