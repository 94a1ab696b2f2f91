"""Brokers with what can be done to them, real ones and the simulator's models, behind one face.

Scenarios that are played on both keep the models honest.
"""

from __future__ import annotations

import itertools
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import pytest
import trio

from deployd.tools.simulator.nats import SimulatedNats
from deployd.tools.simulator.network import SimulatedNetwork
from deployd.tools.simulator.rabbitmq import RabbitNetwork, SimulatedRabbit
from deployd.tools.simulator.redis import RedisNetwork, SimulatedRedis
from deployd.transport.brokers.bridge.bridged import Bridged
from deployd.transport.brokers.contract import Broker
from deployd.transport.brokers.contract.conformance import Make
from deployd.transport.brokers.nats.driver import NatsDriver
from deployd.transport.brokers.rabbitmq.driver import RabbitDriver
from deployd.transport.brokers.redis.driver import redis_driver

from .inboxes import HANGS, Heard, wait_until
from .nats_server import NatsServer
from .rabbitmq_server import RabbitServer
from .redis_server import RedisCluster, RedisServer

__all__ = [
    "LARGE",
    "MODELS",
    "STAGES",
    "ClusterStage",
    "ModelStage",
    "Stage",
    "joined",
    "model_maker",
]

SPREAD: Final = 0.1
"""Seconds until the servers of a model of NATS know what is subscribed on another."""
LARGE: Final = 100_000
"""Bytes of the largest message, when `lower_limit` was called."""


class Stage(ABC):
    """One broker of one server. What cannot be done to it raises `NotImplementedError`."""

    kind: str

    @abstractmethod
    def make(self) -> Broker:
        """Make one incarnation of a link."""

    def make_limited(self) -> Broker:
        """Make one that may speak on pods' channels only, and not in rooms."""
        raise NotImplementedError

    async def kill(self) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        raise NotImplementedError

    async def freeze(self) -> None:
        raise NotImplementedError

    async def thaw(self) -> None:
        raise NotImplementedError

    async def lower_limit(self) -> None:
        raise NotImplementedError

    async def lame(self) -> None:
        raise NotImplementedError

    async def demote(self) -> None:
        raise NotImplementedError

    async def delete_exchange(self, kind: str) -> None:
        raise NotImplementedError

    async def delete_queues(self) -> None:
        raise NotImplementedError

    async def move_slot(self, channel: str) -> None:
        raise NotImplementedError

    async def look(self) -> None:
        """Let the second pass after which drivers ask again what they rely on."""
        await trio.sleep(1.0)

    def end(self) -> None:
        """Leave nothing behind."""
        return


class ServerStage(Stage):
    """A real server; what takes it time is done in a thread."""

    server: Any

    async def kill(self) -> None:
        await trio.to_thread.run_sync(self.server.kill)

    async def start(self) -> None:
        await trio.to_thread.run_sync(self.server.start)

    async def freeze(self) -> None:
        self.server.freeze()

    async def thaw(self) -> None:
        self.server.thaw()


_USERS: Final = (
    "authorization { users: [ { user: all, password: x }, { user: limited, password: x, "
    'permissions: { publish: "*.pod.>", subscribe: ">" } } ] }\n'
    'lame_duck_duration: "30s"\nlame_duck_grace_period: "10s"\n'
)


class NatsStage(ServerStage):
    kind = "nats"

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self.server = NatsServer(folders.mktemp("nats"), _USERS)
        self.server.start()

    def make(self) -> Broker:
        return self._made("all")

    def make_limited(self) -> Broker:
        return self._made("limited")

    def _made(self, user: str) -> Broker:
        return Bridged(NatsDriver(self.server.settings(username=user, password="x")))

    async def lower_limit(self) -> None:
        self.server.configure(f"{_USERS}max_payload: {LARGE}")
        os.kill(self.server.pid, signal.SIGHUP)
        await wait_until(lambda: "Reloaded: max_payload" in self.server.log)

    async def lame(self) -> None:
        os.kill(self.server.pid, signal.SIGUSR2)

    def end(self) -> None:
        self.server.kill()


class RedisStage(ServerStage):
    kind = "redis"

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self.server = RedisServer(folders.mktemp("redis"))
        self.server.start()
        self._folders = folders
        self._new: RedisServer | None = None

    def make(self) -> Broker:
        return Bridged(redis_driver(self.server.settings()))

    def make_limited(self) -> Broker:
        words = ("on", ">x", "+@all", "~*", "resetchannels", "&deployd:db0:pod.*")
        assert self.server.ask("ACL", "SETUSER", "limited", *words) == "OK"
        return Bridged(redis_driver(self.server.settings(username="limited", password="x")))

    async def demote(self) -> None:
        if self._new is None:
            self._new = RedisServer(self._folders.mktemp("redis"))
            self._new.start()
        assert self.server.ask("REPLICAOF", "127.0.0.1", self._new.port) == "OK"

    def end(self) -> None:
        self.server.kill()
        if self._new is not None:
            self._new.kill()


class RabbitStage(ServerStage):
    kind = "rabbitmq"

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self.server = RabbitServer(folders.mktemp("rabbitmq"))
        self.server.start()

    def make(self) -> Broker:
        return Bridged(RabbitDriver(self.server.settings(), 60))

    def make_limited(self) -> Broker:
        if "limited" not in self.server.ctl("list_users"):
            self.server.ctl("add_user", "limited", "x")
        write = r"^deployd\.([0-9a-f].*|pod|dropped)$"
        self.server.ctl("set_permissions", "limited", ".*", write, ".*")
        settings = self.server.settings(username="limited", password="x")
        return Bridged(RabbitDriver(settings, 60))

    async def lower_limit(self) -> None:
        await self._evaluate(f"application:set_env(rabbit, max_message_size, {LARGE}).")

    async def delete_exchange(self, kind: str) -> None:
        resource = f'rabbit_misc:r(<<"/">>,exchange,<<"deployd.{kind}">>)'
        await self._evaluate(f"rabbit_exchange:delete({resource},false,<<>>).")

    async def delete_queues(self) -> None:
        names = await trio.to_thread.run_sync(
            self.server.ctl, "list_queues", "--no-table-headers", "name"
        )
        for name in names.split():
            resource = f'rabbit_misc:r(<<"/">>,queue,<<"{name}">>)'
            await self._evaluate(
                f"{{ok, Q}} = rabbit_amqqueue:lookup({resource}), "
                "rabbit_amqqueue:delete(Q, false, false, <<>>)."
            )

    async def _evaluate(self, words: str) -> None:
        await trio.to_thread.run_sync(self.server.ctl, "eval", words)

    def end(self) -> None:
        self.server.remove()


class ClusterStage(Stage):
    """A Redis cluster that all tests share, of which slots may be moved about."""

    kind = "redis"

    def __init__(self, cluster: RedisCluster) -> None:
        self.cluster = cluster

    def make(self) -> Broker:
        return Bridged(redis_driver(self.cluster.settings()))

    async def move_slot(self, channel: str) -> None:
        await trio.to_thread.run_sync(self.cluster.move_slot, channel)

    def end(self) -> None:
        self.cluster.settle()


class ModelStage(Stage):
    """A model of one server. Its pods are numbered, and the limited one is the hundredth."""

    def __init__(self, kind: str, nodes: int = 1) -> None:
        self.kind = kind
        self.network, self._connection = _model(kind, nodes)
        self._pods = itertools.count()

    def make(self) -> Broker:
        return self._connection(next(self._pods), 0)

    def make_limited(self) -> Broker:
        self.network.denied[100] = {"room.hall"}
        return self._connection(100, 0)

    async def kill(self) -> None:
        self.network.kill(0)

    async def start(self) -> None:
        self.network.start(0)

    async def freeze(self) -> None:
        self.network.freeze(0)

    async def thaw(self) -> None:
        self.network.thaw(0)

    async def lower_limit(self) -> None:
        self.network.limit = LARGE

    async def lame(self) -> None:
        self.network.lame(0)

    async def demote(self) -> None:
        assert isinstance(self.network, RedisNetwork)
        self.network.master = -1

    async def move_slot(self, channel: str) -> None:
        assert isinstance(self.network, RedisNetwork)
        self.network.move(channel)

    async def look(self) -> None:
        assert isinstance(self.network, RedisNetwork)
        self.network.tell_replicas()
        self.network.tell_moved()

    async def delete_exchange(self, kind: str) -> None:
        assert isinstance(self.network, RabbitNetwork)
        self.network.delete_exchange(kind)

    async def delete_queues(self) -> None:
        assert isinstance(self.network, RabbitNetwork)
        for connection in list(self.network.connections):
            self.network.delete_queue(connection.pod)


STAGES: Final[Mapping[str, Callable[[pytest.TempPathFactory], Stage]]] = {
    "nats": NatsStage,
    "nats model": lambda _: ModelStage("nats"),
    "redis": RedisStage,
    "redis model": lambda _: ModelStage("redis"),
    "rabbitmq": RabbitStage,
    "rabbitmq model": lambda _: ModelStage("rabbitmq"),
}

MODELS: Final[Mapping[str, tuple[str, int]]] = {
    "nats": ("nats", 1),
    "nats of three": ("nats", 3),
    "redis": ("redis", 1),
    "redis cluster": ("redis", 3),
    "rabbitmq": ("rabbitmq", 1),
    "rabbitmq of three": ("rabbitmq", 3),
}
"""What models there are, by what makes them and how many servers they have."""


def model_maker(name: str) -> Make:
    """Return what makes links to a model, spread over its servers."""
    kind, nodes = MODELS[name]
    _, connection = _model(kind, nodes)
    pods = itertools.count()

    def make() -> Broker:
        pod = next(pods)
        return connection(pod, pod % nodes)

    return make


def _model(kind: str, nodes: int) -> tuple[SimulatedNetwork, Callable[[int, int], Broker]]:
    if kind == "nats":
        network = SimulatedNetwork(nodes, seed=1, spread=SPREAD)
        return network, partial(SimulatedNats, network)
    if kind == "redis":
        redis = RedisNetwork(nodes, seed=1, sharded=nodes > 1)
        return redis, partial(SimulatedRedis, redis)
    rabbit = RabbitNetwork(nodes, seed=1)
    return rabbit, partial(SimulatedRabbit, rabbit)


@asynccontextmanager
async def joined(broker: Broker, *channels: str) -> AsyncIterator[tuple[Broker, Heard]]:
    """Connect, hear these channels, and close."""
    heard = Heard()
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(4 * HANGS):
                await broker.connect(heard, nursery)
                await broker.subscribe(channels)
                yield broker, heard
        finally:
            with trio.CancelScope(shield=True):
                await broker.close()
            nursery.cancel_scope.cancel()
