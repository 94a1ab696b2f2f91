"""Redis servers of the tests' own, gone afterwards.

`redis_server` and `redis_cluster` are for all tests of a run that leave them as they were;
`make_redis_server`, `make_redis_cluster` and `redis_sentinel` start others for one test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

from deployd.config.brokers import Redis
from deployd.tools.chaos import servers
from deployd.tools.chaos.servers import (
    DoesNotForm,
    free_port,
    knows_all,
    make_cluster_node,
    make_sentinel,
    wait_until,
)

from .certificates import BrokerFiles
from .servers import where_installed

__all__ = [
    "MakeRedisCluster",
    "MakeRedisSentinel",
    "MakeRedisServer",
    "RedisCluster",
    "RedisServer",
    "RedisTls",
]


class RedisServer(servers.RedisServer):
    """One server, and the settings of pods that use it."""

    def __init__(self, folder: Path, *arguments: str, **options: Any) -> None:
        with where_installed():
            super().__init__(folder, *arguments, **options)

    def settings(self, **changes: Any) -> Redis:
        """Return the settings of a pod that uses this server."""
        return attrs.evolve(super().settings(), **changes)


class RedisCluster(servers.RedisCluster):
    """Three masters with a replica each, and the settings of pods that use them."""

    def settings(self, **changes: Any) -> Redis:
        """Return the settings of a pod that uses this cluster."""
        return attrs.evolve(super().settings(), **changes)


@attrs.frozen
class RedisTls:
    """A server that speaks only TLS."""

    server: RedisServer
    port: int
    files: BrokerFiles

    def settings(self, host: str = "localhost", **changes: Any) -> Redis:
        """Return the settings of a pod that uses this server."""
        return Redis(url=f"rediss://{host}:{self.port}", **changes)


MakeRedisServer: TypeAlias = Callable[..., RedisServer]
MakeRedisSentinel: TypeAlias = Callable[..., servers.RedisServer]
MakeRedisCluster: TypeAlias = Callable[..., RedisCluster]


@pytest.fixture(scope="session")
def redis_server(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server for tests that leave it as it was."""
    with ExitStack() as stack:
        yield _started(stack, tmp_path_factory)


@pytest.fixture
def make_redis_server(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeRedisServer]:
    """Start servers for one test: `make_redis_server("--requirepass", "x", login=["-a", "x"])`."""
    with ExitStack() as stack:
        yield lambda *words, **options: _started(stack, tmp_path_factory, *words, **options)


@pytest.fixture
def make_redis_tls(
    make_redis_server: MakeRedisServer, broker_files: BrokerFiles
) -> Callable[..., RedisTls]:
    """Start servers with TLS; `clients` is whether they ask for a certificate."""

    def make(clients: str = "no", *, expired: bool = False, host: str = "127.0.0.1") -> RedisTls:
        files, port = broker_files, free_port()
        cert, key = (files.expired, files.expired_key) if expired else (files.cert, files.key)
        words = (
            f"--tls-port {port} --tls-auth-clients {clients} --tls-ca-cert-file {files.authority} "
            f"--tls-cert-file {cert} --tls-key-file {key}"
        )
        return RedisTls(make_redis_server(*words.split(), host=host), port, files)

    return make


@pytest.fixture
def redis_tls(make_redis_tls: Callable[..., RedisTls]) -> RedisTls:
    """A server with TLS."""
    return make_redis_tls()


@pytest.fixture(scope="session")
def redis_cluster(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisCluster]:
    """A cluster for tests that leave it as it was."""
    with ExitStack() as stack:
        yield _cluster(stack, tmp_path_factory, 15000)


@pytest.fixture
def make_redis_cluster(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeRedisCluster]:
    """Start clusters for one test; `node_timeout` in milliseconds."""
    with ExitStack() as stack:
        yield lambda node_timeout=2000: _cluster(stack, tmp_path_factory, node_timeout)


@pytest.fixture
def redis_sentinels(
    make_redis_server: MakeRedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[servers.RedisServer, servers.RedisServer, list[servers.RedisServer]]]:
    """A master, its replica, and three sentinels that know both."""
    master = make_redis_server()
    replica = make_redis_server("--replicaof", f"127.0.0.1 {master.port}")
    with ExitStack() as stack:
        sentinels = [_sentinel(stack, tmp_path_factory, master.port) for _ in range(3)]
        wait_until(
            lambda: all(map(knows_all, sentinels)),
            lambda: DoesNotForm("The sentinels do not find each other."),
        )
        yield master, replica, sentinels


@pytest.fixture
def make_redis_sentinel(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeRedisSentinel]:
    """Start sentinels for one test: `make_redis_sentinel(port, "requirepass x", login=[...])`."""
    with ExitStack() as stack:
        yield lambda port, *lines, **options: _sentinel(
            stack, tmp_path_factory, port, *lines, **options
        )


def _started(
    stack: ExitStack, folders: pytest.TempPathFactory, *arguments: str, **options: Any
) -> RedisServer:
    server = RedisServer(folders.mktemp("redis"), *arguments, **options)
    stack.callback(server.kill)
    server.start()
    return server


def _cluster(stack: ExitStack, folders: pytest.TempPathFactory, node_timeout: int) -> RedisCluster:
    with where_installed():
        nodes = [make_cluster_node(folders.mktemp("redis"), node_timeout) for _ in range(6)]
    for node in nodes:
        stack.callback(node.kill)
        node.start()
    cluster = RedisCluster(nodes)
    cluster.form()
    return cluster


def _sentinel(
    stack: ExitStack, folders: pytest.TempPathFactory, port: int, *lines: str, **options: Any
) -> servers.RedisServer:
    with where_installed():
        sentinel = make_sentinel(folders.mktemp("sentinel"), port, *lines, **options)
    stack.callback(sentinel.kill)
    sentinel.start()
    return sentinel
