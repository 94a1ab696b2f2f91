"""Every broker there is, for tests of what all of them promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Final, TypeAlias

import pytest

from deployd.transport.brokers.bridge import Bridged
from deployd.transport.brokers.conformance import Make
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus
from deployd.transport.brokers.nats import NatsDriver
from deployd.transport.brokers.rabbitmq import RabbitDriver

from .nats_server import NatsServer
from .rabbitmq_server import RabbitServer

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


BROKERS: Final[Mapping[str, Callable[[pytest.FixtureRequest], Makers]]] = {
    "memory": _memory,
    "rabbitmq": _rabbitmq,
    "nats": _nats,
    "nats cluster": _nats_cluster,
}
"""Add a broker here: a function that asks for its server's fixture and returns the makers."""


@pytest.fixture(params=list(BROKERS))
def broker_makers(request: pytest.FixtureRequest) -> Makers:
    """Makers of each broker in turn."""
    return BROKERS[request.param](request)
