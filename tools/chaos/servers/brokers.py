"""The brokers that can be started here, each in its topologies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from .deployment import ROOMS, Deployment
from .errors import NoSuchBroker, ServersError
from .nats_deployment import NatsDeployment
from .rabbitmq_deployment import RabbitDeployment
from .redis_cluster import RedisClusterDeployment
from .redis_deployment import RedisDeployment
from .redis_sentinels import SentinelDeployment

__all__ = ["TOPOLOGIES", "brokers"]

Make = Callable[[str, int, Path, Sequence[str]], Deployment]

TOPOLOGIES: Final[Mapping[tuple[str, str], Make]] = {
    ("nats", "single"): NatsDeployment,
    ("nats", "cluster"): NatsDeployment,
    ("rabbitmq", "single"): RabbitDeployment,
    ("rabbitmq", "cluster"): RabbitDeployment,
    ("redis", "single"): RedisDeployment,
    ("redis", "cluster"): RedisClusterDeployment,
    ("redis", "sentinel"): SentinelDeployment,
}
MOST: Final = 7
"""Servers of a cluster, of Redis masters."""


@asynccontextmanager
async def brokers(
    kind: str, topology: str, count: int, folder: Path, *, rooms: Sequence[str] = ROOMS
) -> AsyncIterator[Deployment]:
    """Start servers in a folder, for the length of the block; then they are killed.

    `count` is how many a cluster has: of Redis masters (three at least), with sentinels the master
    and its replicas. `rooms` are those that faults of all rooms concern. Raises `ServersError`s.
    """
    make = TOPOLOGIES.get((kind, topology))
    if make is None:
        known = ", ".join(f"{one} {two}" for one, two in TOPOLOGIES)
        raise NoSuchBroker(f"There is no {kind} of topology {topology}; there are {known}.")
    if not 2 <= count <= MOST:
        raise NoSuchBroker(f"A cluster has two servers or more and {MOST} at most, not {count}.")
    deployment = make(topology, count, folder, rooms)
    failure: ServersError | None = None
    async with trio.open_nursery() as nursery:
        try:
            try:
                await deployment.start(nursery)
            except ServersError as error:
                failure = error  # raised below, where no nursery puts it into a group
            else:
                yield deployment
        finally:
            with trio.CancelScope(shield=True):  # each ends in milliseconds
                await deployment.end()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
