"""Redis servers of the tests' own: Debian's, on free ports of 127.0.0.1, gone afterwards.

`redis_server` and `redis_cluster` are for all tests of a run that leave them as they were;
`make_redis_server`, `make_redis_cluster` and `redis_sentinel` start others for one test.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import pytest
from redis.crc import key_slot

from deployd.config.brokers import Redis

from .certificates import BrokerFiles
from .servers import ServerProcess, free_port, not_installed

__all__ = [
    "MakeRedisCluster",
    "MakeRedisSentinel",
    "MakeRedisServer",
    "RedisCluster",
    "RedisServer",
    "RedisTls",
]

_SECONDS: Final = 60


class RedisServer(ServerProcess):
    """One server; `arguments` are of its command line, such as `--maxclients 10`."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        login: Sequence[str] = (),
        file: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.host, self.port = host, port or free_port()
        self._login = login
        words = f"--port {self.port} --bind {host} --dir {folder}".split()
        rest = ["--save", "", *arguments] if file is None else ["--sentinel"]
        command: list[str | Path] = [program(), *([file] if file else []), *words, *rest]
        super().__init__(command, folder, lambda: "PONG" in self.ask("PING"))

    def ask(self, *command: str | int) -> str:
        """Return what the server answers to a command, errors too; empty when it does not."""
        done = subprocess.run(
            [
                "redis-cli",
                "-h",
                self.host,
                "-p",
                str(self.port),
                *self._login,
                *(str(word) for word in command),
            ],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return done.stdout.strip()

    def clients(self) -> list[dict[str, str]]:
        """Return the connections it has, without the one that asks."""
        lines = [line.split() for line in self.ask("CLIENT", "LIST").splitlines()]
        found = [dict(word.partition("=")[::2] for word in line) for line in lines]
        return [client for client in found if not client["cmd"].startswith("client|list")]

    def settings(self, **changes: Any) -> Redis:
        """Return the settings of a pod that uses this server."""
        return attrs.evolve(Redis(host=self.host, port=self.port), **changes)


class RedisCluster:
    """Three masters with a replica each."""

    def __init__(self, nodes: Sequence[RedisServer]) -> None:
        self.nodes = nodes

    def form(self) -> None:
        """Make one cluster of the nodes, and return when all of them hold it for sound."""
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        answer = self.nodes[0].ask(
            *("--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
        )
        assert "All 16384 slots covered" in answer, answer
        self.settle()

    def settle(self) -> None:
        """Return when all nodes hold the cluster for sound, and see it alike."""
        _wait_until(lambda: all(self._sound(node) for node in self.nodes) and self._agree())

    def _agree(self) -> bool:
        views = set()
        for node in self.nodes:
            lines = [line.split() for line in node.ask("CLUSTER", "NODES").splitlines()]
            views.add(tuple(sorted((words[0], *words[8:]) for words in lines)))
        return len(views) == 1

    def _sound(self, node: RedisServer) -> bool:
        ready = "cluster_state:ok" in node.ask("CLUSTER", "INFO")
        role = node.ask("INFO", "REPLICATION")
        return ready and ("connected_slaves:1" in role or "master_link_status:up" in role)

    def masters(self) -> list[RedisServer]:
        """Return the nodes that are masters now, as the living ones say."""
        return [node for node in self.nodes if node.ask("ROLE").startswith("master")]

    def owner(self, channel: str) -> tuple[int, RedisServer]:
        """Return the slot of a channel and the master that serves it."""
        slot = key_slot(f"deployd:db0:{channel}".encode())
        for node in self.masters():
            mine = [line for line in node.ask("CLUSTER", "NODES").splitlines() if "myself" in line]
            for words in mine[0].split()[8:]:
                first, _, last = words.partition("-")
                if int(first) <= slot <= int(last or first):
                    return slot, node
        raise AssertionError(slot)

    def move_slot(self, channel: str) -> None:
        """Have another master serve the slot of a channel."""
        slot, source = self.owner(channel)
        target = next(node for node in self.masters() if node is not source)
        # As a node that imports it the new owner claims the slot louder than the old one did.
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.name(source))
        for node in (target, source):
            assert node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.name(target)) == "OK"

    def name(self, node: RedisServer) -> str:
        """Return a node's id."""
        return node.ask("CLUSTER", "MYID")

    def settings(self, **changes: Any) -> Redis:
        """Return the settings of a pod that uses this cluster."""
        nodes = tuple(f"127.0.0.1:{node.port}" for node in self.nodes[:3])
        return attrs.evolve(Redis(nodes=nodes), **changes)


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
MakeRedisSentinel: TypeAlias = Callable[..., RedisServer]
MakeRedisCluster: TypeAlias = Callable[..., RedisCluster]


def program() -> str:
    """Return the server's program; skips or fails the test where there is none."""
    found = shutil.which("redis-server")
    if found is None or shutil.which("redis-cli") is None:
        not_installed("redis-server", "apt-get install redis-server")
    return found or ""


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
) -> Iterator[tuple[RedisServer, RedisServer, list[RedisServer]]]:
    """A master, its replica, and three sentinels that know both."""
    master = make_redis_server()
    replica = make_redis_server("--replicaof", f"127.0.0.1 {master.port}")
    with ExitStack() as stack:
        sentinels = [_sentinel(stack, tmp_path_factory, master.port) for _ in range(3)]
        _wait_until(lambda: all(map(_knows_all, sentinels)))
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
    words = f"--cluster-enabled yes --cluster-node-timeout {node_timeout} --cluster-port".split()
    nodes = [_started(stack, folders, *words, str(free_port())) for _ in range(6)]
    cluster = RedisCluster(nodes)
    cluster.form()
    return cluster


def _sentinel(
    stack: ExitStack,
    folders: pytest.TempPathFactory,
    port: int,
    *lines: str,
    master: str = "127.0.0.1",
    **options: Any,
) -> RedisServer:
    folder = folders.mktemp("sentinel")
    file = folder / "sentinel.conf"
    own = (
        f"sentinel monitor mymaster {master} {port} 2",
        "sentinel down-after-milliseconds mymaster 1000",
        "sentinel failover-timeout mymaster 3000",
    )
    file.write_text("\n".join((*lines, *own, "")))
    sentinel = RedisServer(folder, file=file, **options)
    stack.callback(sentinel.kill)
    sentinel.start()
    return sentinel


def _knows_all(sentinel: RedisServer) -> bool:
    answer = sentinel.ask("SENTINEL", "MASTER", "mymaster").split("\n")
    known = dict(zip(answer[::2], answer[1::2], strict=False))
    return (known.get("num-slaves"), known.get("num-other-sentinels")) == ("1", "2")


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "The servers do not find each other."
        time.sleep(0.05)  # they tell nobody, and have to be asked
