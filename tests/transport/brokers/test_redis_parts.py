"""What the Redis drivers decide without a server."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import pytest
from redis import exceptions
from redis.crc import key_slot

from deployd.config.brokers import Redis
from deployd.transport import BrokerError, BrokerRefused, BrokerUnavailable
from deployd.transport.brokers.redis.cluster import RedisClusterDriver
from deployd.transport.brokers.redis.connection import pack
from deployd.transport.brokers.redis.driver import RedisDriver, redis_driver
from deployd.transport.brokers.redis.errors import translate
from deployd.transport.brokers.redis.login import (
    Login,
    ServerAddress,
    read_login,
    read_sentinel_logins,
    read_server,
    read_servers,
)
from deployd.transport.brokers.redis.masters import Look, choose
from deployd.transport.brokers.redis.node import Names
from deployd.transport.brokers.redis.slots import Slots

A, B = ServerAddress("a", 1), ServerAddress("b", 2)


def test_a_url_takes_the_place_of_the_other_settings() -> None:
    plain = Redis(host="h", port=1, username="u", password="p", database=2)
    assert read_server(plain) == ServerAddress("h", 1)
    assert read_login(plain) == Login("u", "p", 2)
    url = Redis(host="h", url="rediss://us%40er:p%2Fw@[::1]:7000/4", ca_file="ca.pem")
    assert read_server(url) == ServerAddress("::1", 7000)
    assert read_login(url) == Login("us@er", "p/w", 4, tls=True, ca_file="ca.pem")
    assert read_server(Redis(url="redis://other")) == ServerAddress("other", 6379)
    assert "p/w" not in repr(read_login(url))
    assert read_servers(("a:1", "[::1]:2")) == [A, ServerAddress("::1", 2)]


def test_sentinels_are_asked_with_what_they_may_want() -> None:
    def passwords(**changes: Any) -> list[tuple[str, str]]:
        return [(each.username, each.password) for each in read_sentinel_logins(Redis(**changes))]

    assert passwords() == [("", "")]
    assert passwords(username="u", password="p") == [("", ""), ("u", "p")]
    own = {"sentinel_username": "s", "sentinel_password": "own"}
    assert passwords(username="u", password="p", **own) == [("s", "own")]


HOSTS = [ServerAddress(host, 1, "a") for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3")]
DOWN, REFUSED = BrokerUnavailable("down"), BrokerRefused("refused")


@pytest.mark.parametrize(
    ("seen", "chosen"),
    [
        (["x", "x", DOWN], 0),  # one server of two addresses
        ([DOWN, "x", DOWN], 1),
        ([DOWN, "", REFUSED], 1),  # whoever may not ask is believed
        (["", "x", "x"], 0),
    ],
)
def test_of_several_addresses_the_masters_is_taken(
    seen: Sequence[str | BrokerError], chosen: int
) -> None:
    assert choose(A, looks(seen)) == HOSTS[chosen]


@pytest.mark.parametrize(
    ("seen", "kind", "sentence"),
    [
        (["x", DOWN, "y"], BrokerUnavailable, "10.0.0.1:1 and 10.0.0.3:1"),
        ([DOWN, DOWN, DOWN], BrokerUnavailable, "down"),
        ([DOWN, REFUSED, DOWN], BrokerRefused, "refused"),
    ],
)
def test_addresses_without_a_master_or_with_two_are_told(
    seen: Sequence[str | BrokerError], kind: type[BrokerError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        choose(A, looks(seen))


def looks(seen: Sequence[str | BrokerError]) -> list[Look]:
    return [
        Look(server, each) if isinstance(each, str) else Look(server, error=each)
        for server, each in zip(HOSTS, seen, strict=True)
    ]


def test_nodes_or_the_word_cluster_mean_a_cluster() -> None:
    assert isinstance(redis_driver(Redis()), RedisDriver)
    assert isinstance(redis_driver(Redis(cluster=True)), RedisClusterDriver)
    assert isinstance(redis_driver(Redis(nodes=("a:1", "b:2"))), RedisClusterDriver)


def test_names_hold_prefix_and_database() -> None:
    names = Names("deployd:", 3)
    assert names.name("room.a") == b"deployd:db3:room.a"
    assert names.channel(b"deployd:db3:room.a") == "room.a"
    assert Names("app1", 0).name("x") != Names("app", 10).name("x")


@pytest.mark.parametrize(
    ("prefix", "spreads"), [("", True), ("{a}", False), ("{}", True), ("{", True), ("}{", True)]
)
def test_a_hash_tag_is_known_as_redis_knows_it(prefix: str, spreads: bool) -> None:
    assert Names(prefix, 0).spreads == spreads


def test_commands_are_packed_byte_for_byte() -> None:
    assert (
        pack(b"PUBLISH", b"a", b"\r\n\x00") == b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$3\r\n\r\n\0\r\n"
    )


def test_probes_spread_over_all_masters_however_small_their_share() -> None:
    slots = Slots(((0, 16382, "x", A), (16383, 16383, "y", B)))
    names = Names("deployd:", 0)
    probes = slots.spread("pod.a", names)
    assert {slots.owners()[_slot(names, probe)] for probe in probes} == {A, B}


def _slot(names: Names, channel: str) -> int:
    return key_slot(names.name(channel))


def test_views_agree_on_who_serves_what_whatever_the_addresses() -> None:
    slots = Slots(((0, 16383, "x", A),))
    assert slots.agrees(Slots(((0, 16383, "x", B),)))
    assert not slots.agrees(Slots(((0, 16383, "y", A),)))
    assert Slots(((5, 16383, "x", A),)).owners()[:6] == [None] * 5 + [A]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            exceptions.ReadOnlyError("You can't write against a read only replica."),
            "a:1 is a replica",
        ),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "still loading"),
        (exceptions.ClusterDownError("The cluster is down"), "cluster is down"),
        (exceptions.MasterDownError("Link with MASTER is down"), "lost its master"),
        (
            exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
            "maxmemory",
        ),
        (
            exceptions.ConnectionError("max number of clients reached"),
            "raise its maxclients",
        ),
        (exceptions.ResponseError("BUSY Redis is busy running a script."), "SCRIPT KILL"),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB"), "give it room"),
        (exceptions.ConnectionError(), "a:1 is out of reach: ConnectionError"),
        (socket.gaierror(-2, "Name or service not known"), "a:1 cannot be resolved"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (exceptions.ResponseError("ERR odd, with args beginning with: 'secret'"), "ERR odd.$"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_troubles_of_the_world_are_unavailability(error: Exception, sentence: str) -> None:
    with pytest.raises(BrokerUnavailable, match=sentence):
        raise translate(error, A)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            exceptions.ResponseError("DENIED Redis is running in protected mode because"),
            "protected mode",
        ),
        (exceptions.ResponseError("unknown command 'SPUBLISH', with args"), "Redis 7"),
        (exceptions.AuthenticationError("Authentication required."), "broker.redis.password"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_only_an_operator_can_change_is_a_refusal(error: Exception, sentence: str) -> None:
    with pytest.raises(BrokerRefused, match=sentence):
        raise translate(error, A)
