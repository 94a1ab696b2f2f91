"""What Redis refuses for one channel, and servers that are not the one that was meant."""

from __future__ import annotations

import itertools
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from deployd.config.brokers import Redis
from deployd.tools.chaos.servers import free_port
from deployd.transport import (
    BrokerRefused,
    BrokerUnavailable,
    MessagesRefused,
    SubscriptionRefused,
)
from support.inboxes import wait_until
from support.redis_links import connect, linked, unwrapped
from support.redis_server import MakeRedisServer, RedisServer

HALL, ATTIC, POD = "room.hall", "room.attic", "pod.a"
DOCUMENTED = ["+publish", "+subscribe", "+unsubscribe", "+role", "+info", "resetchannels"]


def let(server: RedisServer, *rights: str) -> Redis:
    """Make a user with these rights, and return the settings of a pod that is it."""
    answer = server.ask("ACL", "SETUSER", "pod", "on", ">word", *rights)
    assert answer == "OK", answer
    return server.settings(username="pod", password="word")


# What is refused.


async def test_what_may_not_be_said_is_refused_alone(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    settings = let(server, *DOCUMENTED, "&deployd:db0:room.hall", "&deployd:db0:pod.*")
    async with linked(settings, HALL, POD) as (broker, heard):
        with pytest.raises(MessagesRefused, match="ACL") as caught:
            await broker.publish([(ATTIC, b"1"), (HALL, b"2"), (ATTIC, b"3"), (POD, b"4")])
        assert caught.value.indexes == (0, 2)
        await broker.publish([(HALL, b"5")])
        await heard.until_heard(3)
        assert heard.messages == [(HALL, b"2"), (POD, b"4"), (HALL, b"5")]
        assert not heard.losses


async def test_what_may_not_be_heard_is_refused_alone(make_redis_server: MakeRedisServer) -> None:
    settings = let(make_redis_server(), *DOCUMENTED, "&deployd:db0:room.hall")
    async with linked(settings) as (broker, heard):
        for call in (broker.subscribe, broker.resubscribe):
            with pytest.raises(SubscriptionRefused, match="ACL") as caught:
                await call([ATTIC, HALL, POD])
            assert caught.value.channels == (ATTIC, POD)
        await broker.publish([(HALL, b"1")])
        await heard.until_heard(1)
        assert not heard.losses


@pytest.mark.parametrize("database", [0, 1])
@pytest.mark.parametrize("rights", [DOCUMENTED, [*DOCUMENTED[:3], "resetchannels"]])
async def test_the_rights_that_are_documented_are_enough_in_any_database(
    make_redis_server: MakeRedisServer, rights: list[str], database: int
) -> None:
    server = make_redis_server()
    let(server, *rights, "&deployd:*")
    await connect(server.settings(username="pod", password="word", database=database))


async def test_a_command_that_is_denied_is_the_links_trouble(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server()
    settings = let(server, *DOCUMENTED, "&deployd:*")
    async with linked(settings, HALL) as (broker, heard):
        server.ask("ACL", "SETUSER", "pod", "-publish")
        with pytest.raises(BrokerRefused, match="ACL"):
            await broker.publish([(HALL, b"")])
        await heard.until_lost()


async def test_a_server_that_is_full_says_so_and_lets_in_later(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server("--maxclients", "2")
    async with linked(server.settings(), HALL):
        for _ in range(10):  # it hangs up at once, and what it says is read or not
            with pytest.raises(BrokerUnavailable, match="maxclients"):
                await connect(server.settings())
    await wait_until(lambda: not server.clients())
    await connect(server.settings())


# Who it is that one is with.


async def test_what_a_replica_took_was_not_taken(make_redis_server: MakeRedisServer) -> None:
    # Behind one address of a service the old master lives on, and takes a PUBLISH as ever.
    old, new = make_redis_server(), make_redis_server()
    for number in range(5):
        async with linked(old.settings(), HALL) as (broker, heard):
            await broker.publish([(HALL, b"%d" % number)])
            await heard.until_heard(1)
            assert old.ask("REPLICAOF", "127.0.0.1", new.port) == "OK"
            with pytest.raises(BrokerUnavailable, match="is a replica"):
                await broker.publish([(HALL, b"nobody else hears it")])
            await heard.until_lost()
        assert old.ask("REPLICAOF", "NO", "ONE") == "OK"


async def test_who_may_not_ask_for_the_role_is_not_made_to(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server()
    settings = let(server, *DOCUMENTED[:3], "resetchannels", "&deployd:*")
    async with linked(settings, HALL) as (broker, heard):
        before = server.ask("ACL", "LOG").count("role")
        for _ in range(5):
            await broker.publish([(HALL, b"")])
        await heard.until_heard(5)
        assert server.ask("ACL", "LOG").count("role") == before
        assert broker.node == ""


@asynccontextmanager
async def moving_address(ports: Sequence[int]) -> AsyncIterator[int]:
    """Listen on a port whose connections lead to one of these servers after the other."""
    turns = itertools.cycle(ports)

    async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
        async for data in source:
            await sink.send_all(data)
        await sink.aclose()

    async def lead(client: trio.SocketStream) -> None:
        server = await trio.open_tcp_stream("127.0.0.1", next(turns))
        try:
            async with server, trio.open_nursery() as nursery:
                nursery.start_soon(pump, client, server)
                nursery.start_soon(pump, server, client)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # how connections end here

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, lead, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_connections_that_lead_to_two_servers_are_no_link(
    make_redis_server: MakeRedisServer,
) -> None:
    servers = [make_redis_server(), make_redis_server()]
    with unwrapped():
        async with moving_address([server.port for server in servers]) as port:
            with pytest.raises(BrokerUnavailable, match="its address has moved"):
                await connect(Redis(host="127.0.0.1", port=port))
        async with moving_address([servers[0].port]) as port:
            await connect(Redis(host="127.0.0.1", port=port))


async def test_pods_of_one_server_know_that_it_is_one_by_whatever_name(
    make_redis_server: MakeRedisServer,
) -> None:
    server, other = make_redis_server(), make_redis_server()
    nodes = []
    for settings in (server.settings(), server.settings(host="localhost"), other.settings()):
        async with linked(settings) as (broker, _):
            nodes.append(broker.node)
    assert nodes[0] == nodes[1] != nodes[2]
    assert "" not in nodes


# A name with several addresses.


Resolve = Callable[..., None]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Give `redis.test` these addresses, in this order."""
    real = socket.getaddrinfo

    def resolve(*hosts: str) -> None:
        def look_up(host: Any, *rest: Any, **options: Any) -> Any:
            names = hosts if host == "redis.test" else (host,)
            return [found for name in names for found in real(name, *rest, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return resolve


@pytest.mark.parametrize("order", [("11", "12"), ("12", "11"), ("13", "12", "11"), ("13", "11")])
async def test_of_a_names_addresses_the_masters_is_used(
    make_redis_server: MakeRedisServer, resolve: Resolve, order: tuple[str, ...]
) -> None:
    port = free_port()
    make_redis_server(host="127.0.0.11", port=port)
    make_redis_server("--replicaof", f"127.0.0.11 {port}", host="127.0.0.12", port=port)
    resolve(*(f"127.0.0.{last}" for last in order))  # nobody listens on 13
    async with linked(Redis(host="redis.test", port=port), HALL) as (broker, _):
        assert broker.endpoint == f"127.0.0.11:{port}"


async def test_an_address_that_says_nothing_does_not_hide_the_others(
    make_redis_server: MakeRedisServer, resolve: Resolve
) -> None:
    server = make_redis_server(host="127.0.0.11")
    resolve("127.0.0.14", "127.0.0.11")
    with socket.create_server(("127.0.0.14", server.port)):
        await connect(Redis(host="redis.test", port=server.port))


async def test_two_masters_of_one_name_are_told(
    make_redis_server: MakeRedisServer, resolve: Resolve
) -> None:
    port = free_port()
    make_redis_server(host="127.0.0.11", port=port)
    make_redis_server(host="127.0.0.12", port=port)
    resolve("127.0.0.12", "127.0.0.11")
    with pytest.raises(BrokerUnavailable, match="do not hear each other") as caught:
        await connect(Redis(host="redis.test", port=port))
    assert f"127.0.0.11:{port} and 127.0.0.12:{port}" in str(caught.value)


async def test_a_host_may_be_an_address_of_ipv6(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server(host="::1")
    for settings in (
        server.settings(),
        server.settings(host="[::1]"),
        Redis(url=f"redis://[::1]:{server.port}"),
    ):
        async with linked(settings, HALL) as (broker, _):
            assert broker.endpoint == f"[::1]:{server.port}"
