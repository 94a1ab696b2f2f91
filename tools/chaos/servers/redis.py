"""Redis servers, on free ports of 127.0.0.1: single ones, sentinels, and clusters of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from redis.crc import key_slot

from ....config.brokers import Redis
from .errors import DoesNotForm, NotInstalled, NotObeyed
from .processes import LOCALHOST, ServerProcess, free_port, wait_until

__all__ = [
    "CHANNELS",
    "MASTER_NAME",
    "RedisCluster",
    "RedisServer",
    "knows_all",
    "make_cluster_node",
    "make_sentinel",
    "redis_program",
    "what_it_knows",
]

CHANNELS: Final = "deployd:db0:"
"""What channels of pods begin with whose settings nobody has changed."""
MASTER_NAME: Final = "mymaster"
"""What sentinels call the master."""
_SECONDS: Final = 60
"""For an answer."""


class RedisServer(ServerProcess):
    """One server; `arguments` are of its command line, such as `--maxclients 10`.

    `file` is its configuration, which it changes itself as it is told to. `login` is how redis-cli
    signs in.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        login: Sequence[str] = (),
        file: Path | None = None,
        host: str = LOCALHOST,
        port: int = 0,
    ) -> None:
        self.host, self.port = host, port or free_port()
        self._login = login
        words = f"--port {self.port} --bind {host} --dir {folder}".split()
        rest = arguments if "--sentinel" in arguments else ("--save", "", *arguments)
        command: list[str | Path] = [redis_program(), *([file] if file else []), *words, *rest]
        super().__init__(command, folder, lambda: "PONG" in self.ask("PING"))

    def settings(self) -> Redis:
        """Return the settings of a pod that uses this server."""
        return Redis(host=self.host, port=self.port)

    def ask(self, *command: str | int) -> str:
        """Return what the server answers to a command, errors too; empty when it does not."""
        where = ["-h", self.host, "-p", str(self.port), *self._login]
        done = subprocess.run(
            ["redis-cli", *where, *(str(word) for word in command)],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return done.stdout.strip()

    def order(self, *command: str | int) -> None:
        """Tell it something that it has to answer with OK. Raises `NotObeyed`."""
        answer = self.ask(*command)
        if not answer.startswith("OK"):  # it may add why there was nothing to do
            raise NotObeyed(
                f"Redis at {self.host}:{self.port} answers {answer or 'nothing'!r} to {command[0]}."
            )

    def clients(self) -> list[dict[str, str]]:
        """Return the connections it has, without the one that asks."""
        lines = [line.split() for line in self.ask("CLIENT", "LIST").splitlines()]
        found = [dict(word.partition("=")[::2] for word in line) for line in lines]
        return [client for client in found if not client["cmd"].startswith("client|list")]

    @property
    def is_master(self) -> bool:
        """Whether it is one and says so."""
        return self.ask("ROLE").startswith("master")


class RedisCluster:
    """Masters, and as many replicas: one of each."""

    def __init__(self, nodes: Sequence[RedisServer]) -> None:
        self.nodes = nodes

    def form(self) -> None:
        """Make one cluster of the nodes, and return when all of them hold it for sound."""
        addresses = [f"{node.host}:{node.port}" for node in self.nodes]
        answer = self.nodes[0].ask(
            *("--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
        )
        if "All 16384 slots covered" not in answer:
            raise DoesNotForm(f"The nodes of Redis make no cluster:\n{answer[-2000:]}")
        self.settle()

    def settle(self) -> None:
        """Return when all nodes hold the cluster for sound, and see it alike."""
        wait_until(
            lambda: all(self._is_sound(node) for node in self.nodes) and self._agree(),
            lambda: DoesNotForm("The nodes of a Redis cluster do not agree who serves what."),
        )

    def masters(self) -> list[RedisServer]:
        """Return the nodes that are masters now, as the living ones say."""
        return [node for node in self.nodes if node.is_master]

    def owner(self, channel: str) -> tuple[int, RedisServer]:
        """Return the slot of a channel of pods, and the master that serves it."""
        slot = key_slot(f"{CHANNELS}{channel}".encode())
        for node in self.masters():
            mine = [line for line in node.ask("CLUSTER", "NODES").splitlines() if "myself" in line]
            for words in mine[0].split()[8:]:
                first, _, last = words.partition("-")
                if int(first) <= slot <= int(last or first):
                    return slot, node
        raise NotObeyed(f"No master of the Redis cluster serves slot {slot}.")

    def move_slot(self, channel: str) -> None:
        """Have another master serve the slot of a channel."""
        slot, source = self.owner(channel)
        target = next(node for node in self.masters() if node is not source)
        # As a node that imports it the new owner claims the slot louder than the old one did.
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.name(source))
        for node in (target, source):
            node.order("CLUSTER", "SETSLOT", slot, "NODE", self.name(target))

    def name(self, node: RedisServer) -> str:
        """Return a node's id."""
        return node.ask("CLUSTER", "MYID")

    def settings(self) -> Redis:
        """Return the settings of a pod that uses this cluster."""
        return Redis(nodes=tuple(f"{node.host}:{node.port}" for node in self.nodes[:3]))

    def _agree(self) -> bool:
        views = set()
        for node in self.nodes:
            lines = [line.split() for line in node.ask("CLUSTER", "NODES").splitlines()]
            views.add(tuple(sorted((words[0], *words[8:]) for words in lines)))
        return len(views) == 1

    def _is_sound(self, node: RedisServer) -> bool:
        ready = "cluster_state:ok" in node.ask("CLUSTER", "INFO")
        role = node.ask("INFO", "REPLICATION")
        return ready and ("connected_slaves:1" in role or "master_link_status:up" in role)


def make_cluster_node(folder: Path, node_timeout: int, *arguments: str) -> RedisServer:
    """Make a node that is of no cluster yet; `node_timeout` in milliseconds."""
    words = f"--cluster-enabled yes --cluster-node-timeout {node_timeout} --cluster-port".split()
    return RedisServer(folder, *words, str(free_port()), *arguments)


def make_sentinel(
    folder: Path,
    port: int,
    *lines: str,
    master: str = LOCALHOST,
    login: Sequence[str] = (),
) -> RedisServer:
    """Make a sentinel that watches the master on a port; `lines` are of its configuration."""
    file = folder / "sentinel.conf"
    own = (
        f"sentinel monitor {MASTER_NAME} {master} {port} 2",
        f"sentinel down-after-milliseconds {MASTER_NAME} 1000",
        f"sentinel failover-timeout {MASTER_NAME} 3000",
    )
    file.write_text("\n".join((*lines, *own, "")))
    return RedisServer(folder, "--sentinel", file=file, login=login)


def knows_all(sentinel: RedisServer, replicas: int = 1, others: int = 2) -> bool:
    """Whether a sentinel has found the replicas of the master, and the other sentinels."""
    known = what_it_knows(sentinel)
    return (known.get("num-slaves"), known.get("num-other-sentinels")) == (
        str(replicas),
        str(others),
    )


def what_it_knows(sentinel: RedisServer) -> dict[str, str]:
    """Return what a sentinel says of the master: its `port`, `flags` and more."""
    answer = sentinel.ask("SENTINEL", "MASTER", MASTER_NAME).split("\n")
    return dict(zip(answer[::2], answer[1::2], strict=False))


def redis_program() -> str:
    """Return the server's program. Raises `NotInstalled`."""
    found = shutil.which("redis-server")
    if found is None or shutil.which("redis-cli") is None:
        raise NotInstalled("redis-server", "apt-get install redis-server")
    return found
