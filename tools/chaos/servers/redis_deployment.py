"""Redis of each topology: what pods are told of it, and what befalls it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import trio

from .deployment import (
    PASSWORD,
    PODS,
    ROOMS,
    Deployment,
    Endpoint,
    Misfortune,
    Undo,
    in_thread,
    pods_of,
    said,
)
from .errors import DoesNotForm
from .processes import LOCALHOST, wait_until
from .redis import (
    CHANNELS,
    RedisCluster,
    RedisServer,
    knows_all,
    make_cluster_node,
    make_sentinel,
)
from .redis_console import RedisConsole

__all__ = ["RedisClusterDeployment", "RedisDeployment", "SentinelDeployment"]

NODE_TIMEOUT = 2000
"""Milliseconds after which a cluster's node that says nothing is held for dead."""
SENTINELS = 3
NOBODY = 1
"""A port that nobody listens on."""
FULL = 1
"""The least that `maxclients` may be."""


def user_arguments() -> Iterator[str]:
    """Yield what gives each pod a user of its own, after every start."""
    for pod in range(PODS):
        yield from ("--user", f"pod{pod}", "on", f">{PASSWORD}", "~*", "&*", "+@all")


class RedisDeployment(Deployment):
    """One server. Those of other topologies know more servers, and other masters."""

    kind: ClassVar[str] = "redis"
    impossible: ClassVar[Mapping[str, str]] = {
        "broker.forget": "Redis has no way to end another's subscription but to cut its connection "
        "(broker.cut_slow); what a pod does not hear, a proxy on its way has to swallow "
        "(way.drop).",
        "broker.disk_full": "Redis stores nothing of what pods say; a folder of limited size takes "
        "root.",
    }

    def __init__(self, topology: str, count: int, folder: Path, rooms: Sequence[str] = ROOMS):
        super().__init__(topology, folder, rooms)
        self.servers: list[RedisServer] = []
        self._count = count
        self.deeds |= {
            "broker.cut_slow": self._cut_slow,
            "broker.deny": self._deny,
            "broker.full": self._fill,
            "broker.password": self._change_passwords,
            "broker.read_only": self._read_only,
        }

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the server."""
        del nursery
        self.servers.append(RedisServer(self._made("redis-0"), *user_arguments()))
        await self.start_again([0])

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def settings(
        self, pod: int, *, through: Mapping[Endpoint, Endpoint] | None = None, roam: bool = False
    ) -> dict[str, object]:
        """See `Deployment.settings`."""
        del roam
        ways = [(through or {}).get(each, each) for each in self.addresses]
        login = {"username": f"pod{pod}", "password": PASSWORD}
        return {"type": "redis", "enabled": True, "redis": {**self._where(ways), **login}}

    def _where(self, ways: Sequence[Endpoint]) -> dict[str, object]:
        return {"host": ways[0].host, "port": ways[0].port}

    def dismiss(self, place: int) -> None:
        """SIGTERM."""
        self.servers[place].send(signal.SIGTERM)

    async def _on_all(self, do: Callable[[RedisServer], object]) -> None:
        """Do something to those that can answer."""
        for server in self.servers:
            if server.running and not server.frozen:
                await in_thread(lambda s=server: do(s))  # type: ignore[misc]

    async def _cut_slow(self, trouble: Misfortune) -> None:
        """End the connections on which pods hear, as the server does when too much waits."""
        for pod in pods_of(trouble):
            words = ("CLIENT", "KILL", "USER", f"pod{pod}", "TYPE", "pubsub")
            await self._on_all(lambda server, words=words: server.ask(*words))  # type: ignore[misc]

    async def _deny(self, trouble: Misfortune) -> Undo:
        """Let pods publish everywhere but in a room.

        Channels can be allowed alone, so all that differ somewhere are: see `all_but`. What may be
        heard stays, or the server would cut off who hears it.
        """
        pods, room = pods_of(trouble), said(trouble, "room", str)
        patterns = " ".join(f"&{each}" for each in all_but(f"{CHANNELS}room.{room}"))
        selector = f"(+publish +spublish ~* {patterns})"
        words = ("-publish", "-spublish", selector)
        for pod in pods:
            await self._on_all(lambda s, pod=pod: s.order("ACL", "SETUSER", f"pod{pod}", *words))  # type: ignore[misc]
        return lambda: self._on_all(lambda server: reset_users(server, pods))

    async def _change_passwords(self, _: Misfortune) -> Undo:
        """Change them, and cut off who came with the old ones: the server would let them stay."""

        def change(server: RedisServer) -> None:
            for pod in range(PODS):
                server.order("ACL", "SETUSER", f"pod{pod}", "resetpass", f">not {PASSWORD}")
                server.ask("CLIENT", "KILL", "USER", f"pod{pod}")

        await self._on_all(change)
        return lambda: self._on_all(lambda server: reset_users(server, range(PODS)))

    async def _fill(self, _: Misfortune) -> Undo:
        """Take the only connection that servers still allow, and cut all others."""
        consoles: list[RedisConsole] = []

        def fill(server: RedisServer) -> None:
            console = RedisConsole(server)
            consoles.append(console)
            console.tell(f"CONFIG SET maxclients {FULL}")
            for pod in range(PODS):
                console.tell(f"CLIENT KILL USER pod{pod}")

        await self._on_all(fill)

        async def empty() -> None:
            for console in consoles:
                await in_thread(console.leave)

        return empty

    async def _read_only(self, trouble: Misfortune) -> Undo:
        if said(trouble, "how", str) == "maxmemory":
            await self._on_all(lambda server: server.order("CONFIG", "SET", "maxmemory", "1"))
            return lambda: self._on_all(
                lambda server: server.order("CONFIG", "SET", "maxmemory", 0)
            )
        server = self.servers[0]
        await in_thread(lambda: server.order("REPLICAOF", LOCALHOST, NOBODY))
        return lambda: self._on_all(lambda server: server.order("REPLICAOF", "NO", "ONE"))

    async def restore(self) -> None:
        """See `Deployment.restore`."""
        await super().restore()
        await self._on_all(lambda server: reset_users(server, range(PODS)))


class SentinelDeployment(RedisDeployment):
    """A master, its replicas, and three sentinels that watch them."""

    def __init__(self, topology: str, count: int, folder: Path, rooms: Sequence[str] = ROOMS):
        super().__init__(topology, count, folder, rooms)
        self.sentinels: list[RedisServer] = []
        self.deeds |= {"broker.failover": self._fail_over, "broker.demote": self._demote}

    async def start(self, nursery: trio.Nursery) -> None:
        """Start all, and return when each sentinel knows all."""
        await super().start(nursery)
        master = self.servers[0]
        for place in range(1, self._count):
            words = (*user_arguments(), "--replicaof", f"{LOCALHOST} {master.port}")
            self.servers.append(RedisServer(self._made(f"redis-{place}"), *words))
        await self.start_again(range(self._count))
        for place in range(SENTINELS):
            self.sentinels.append(make_sentinel(self._made(f"sentinel-{place}"), master.port))
        for sentinel in self.sentinels:
            await in_thread(sentinel.start)
        others = SENTINELS - 1
        await in_thread(
            lambda: wait_until(
                lambda: all(knows_all(each, self._count - 1, others) for each in self.sentinels),
                lambda: DoesNotForm("The sentinels of Redis do not find each other."),
            )
        )

    async def end(self) -> None:
        """End all processes."""
        for sentinel in self.sentinels:
            await in_thread(sentinel.kill)
        await super().end()

    @property
    def addresses(self) -> Sequence[Endpoint]:
        """Those of the servers, then those of the sentinels."""
        return [Endpoint(LOCALHOST, each.port) for each in (*self.servers, *self.sentinels)]

    def _where(self, ways: Sequence[Endpoint]) -> dict[str, object]:
        return {"sentinels": [str(each) for each in ways[self._count :]]}

    async def _fail_over(self, _: Misfortune) -> Undo:
        """Kill the master, and start it again as a replica of who is the master then."""
        old = await self._master()
        await in_thread(old.kill)

        async def again() -> None:
            await in_thread(old.start)
            new = await self._master(but=old)
            await in_thread(lambda: old.order("REPLICAOF", LOCALHOST, new.port))

        return again

    async def _demote(self, _: Misfortune) -> None:
        """Have a sentinel choose another master, and return when there is one."""
        old = await self._master()
        await in_thread(lambda: self.sentinels[0].order("SENTINEL", "FAILOVER", "mymaster"))
        await self._master(but=old)

    async def _master(self, but: RedisServer | None = None) -> RedisServer:
        """Return the master, when there is one."""
        found: list[RedisServer] = []

        def look() -> bool:
            found[:] = [
                each
                for each in self.servers
                if each is not but and each.running and not each.frozen and each.is_master
            ]
            return bool(found)

        await in_thread(
            lambda: wait_until(look, lambda: DoesNotForm("No server of Redis is the master."))
        )
        return found[0]


class RedisClusterDeployment(RedisDeployment):
    """Masters with a replica each. `servers` are the masters of the beginning, then the others."""

    def __init__(self, topology: str, count: int, folder: Path, rooms: Sequence[str] = ROOMS):
        super().__init__(topology, max(3, count), folder, rooms)
        self.deeds |= {"broker.failover": self._fail_over, "broker.move": self._move}

    async def start(self, nursery: trio.Nursery) -> None:
        """Start all, and return when they hold the cluster for sound."""
        del nursery
        for place in range(2 * self._count):
            folder = self._made(f"redis-{place}")
            self.servers.append(make_cluster_node(folder, NODE_TIMEOUT, *user_arguments()))
        await self.start_again(range(2 * self._count))
        await in_thread(self._cluster.form)

    @property
    def _cluster(self) -> RedisCluster:
        return RedisCluster(self.servers)

    def objection(self, trouble: Misfortune) -> str | None:
        """Masters of a cluster are made replicas by it alone."""
        if trouble.name == "broker.read_only" and said(trouble, "how", str) == "replica":
            return "A master of a cluster is made a replica by the cluster alone (broker.failover)."
        return None

    def _where(self, ways: Sequence[Endpoint]) -> dict[str, object]:
        return {"nodes": [str(each) for each in ways]}

    async def _fail_over(self, trouble: Misfortune) -> Undo:
        """Kill a master; a replica of it takes over after the time that the cluster waits."""
        del trouble
        masters = await trio.to_thread.run_sync(self._cluster.masters)
        await in_thread(masters[0].kill)
        return lambda: self.start_again([self.servers.index(masters[0])])

    async def _move(self, trouble: Misfortune) -> None:
        room = said(trouble, "room", str)
        await in_thread(lambda: self._cluster.move_slot(f"room.{room}"))


def all_but(name: str) -> Iterator[str]:
    """Yield patterns (`*`, `?`, `[^x]`) that match every name but one."""
    for place, letter in enumerate(name):
        yield f"{name[:place]}[^{letter}]*"
        if place:
            yield name[:place]
    yield f"{name}?*"


def reset_users(server: RedisServer, pods: Sequence[int]) -> None:
    """Let pods do everything, as at first."""
    rights = ("reset", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    for pod in pods:
        server.order("ACL", "SETUSER", f"pod{pod}", *rights)
