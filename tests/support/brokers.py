"""Every broker there is, for tests of what all of them promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import uuid4

import pytest

from deployd.transport.brokers.bridge.bridged import Bridged
from deployd.transport.brokers.contract.conformance import Make
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus
from deployd.transport.brokers.nats.driver import NatsDriver
from deployd.transport.brokers.rabbitmq.driver import RabbitDriver
from deployd.transport.brokers.redis.driver import redis_driver

if TYPE_CHECKING:  # pytest wants to be the first to import its plugins
    from .nats_server import NatsServer
    from .rabbitmq_server import RabbitServer
    from .redis_server import RedisCluster, RedisServer

__all__ = ["BROKERS", "Makers", "broker_makers"]

Makers: TypeAlias = tuple[Make, Make]
"""Make objects of one deployment, and of another on the same server."""


def _memory(_: pytest.FixtureRequest) -> Makers:
    bus = MemoryBus()
    return (lambda: MemoryBroker(bus)), (lambda: MemoryBroker(bus, "other."))


def _nats(request: pytest.FixtureRequest) -> Makers:
    return _nats_makers([request.getfixturevalue("nats_server")])


def _nats_cluster(request: pytest.FixtureRequest) -> Makers:
    return _nats_makers(request.getfixturevalue("nats_cluster"))


def _nats_makers(servers: Sequence[NatsServer]) -> Makers:
    turns = cycle(servers)

    def make(subject: str) -> Make:
        return lambda: Bridged(NatsDriver(next(turns).settings(subject=subject)))

    return make("test"), make("test.other")


def _rabbitmq(request: pytest.FixtureRequest) -> Makers:
    server: RabbitServer = request.getfixturevalue("rabbitmq_server")

    def make(exchange: str) -> Make:
        return lambda: Bridged(RabbitDriver(server.settings(exchange=exchange), 60))

    return make("test"), make("test.other")


def _redis(request: pytest.FixtureRequest) -> Makers:
    return _of_redis(request.getfixturevalue("redis_server"))


def _redis_cluster(request: pytest.FixtureRequest) -> Makers:
    return _of_redis(request.getfixturevalue("redis_cluster"))


def _of_redis(server: RedisServer | RedisCluster) -> Makers:
    ours, theirs = (server.settings(prefix=f"{uuid4().hex}:") for _ in range(2))
    return (lambda: Bridged(redis_driver(ours))), (lambda: Bridged(redis_driver(theirs)))


BROKERS: Final[Mapping[str, Callable[[pytest.FixtureRequest], Makers]]] = {
    "memory": _memory,
    "rabbitmq": _rabbitmq,
    "nats": _nats,
    "nats cluster": _nats_cluster,
    "redis": _redis,
    "redis-cluster": _redis_cluster,
}
"""Add a broker here: a function that asks for its server's fixture and returns the makers."""


@pytest.fixture(params=list(BROKERS))
def broker_makers(request: pytest.FixtureRequest) -> Makers:
    """Makers of each broker in turn."""
    return BROKERS[request.param](request)
