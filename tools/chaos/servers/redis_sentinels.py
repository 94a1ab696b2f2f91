"""Redis with sentinels: what pods are told of it, and what befalls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from ..proxy import Toxic
from .deployment import ROOMS, Endpoint, Misfortune, Undo, in_thread, said
from .errors import DoesNotForm
from .processes import LOCALHOST, free_port, wait_until
from .readdress import Readdress
from .redis import MASTER_NAME, RedisServer, knows_all, make_sentinel, what_it_knows
from .redis_deployment import RedisDeployment, users
from .roads import Road

__all__ = ["SentinelDeployment"]

SENTINELS: Final = 3


class SentinelDeployment(RedisDeployment):
    """A master, its replicas, and three sentinels that watch them.

    `servers` begin with the master: faults of the first are those of the master, in each play.
    """

    def __init__(self, topology: str, count: int, folder: Path, rooms: Sequence[str] = ROOMS):
        super().__init__(topology, count, folder, rooms)
        self.sentinels: list[RedisServer] = []
        self._roads: list[Road] = []
        self._doors: list[Road] = []
        self.deeds |= {
            "broker.demote": self._demote,
            "broker.failover": self._fail_over,
            "broker.split": self._split,
        }

    async def begin(self, nursery: trio.Nursery) -> None:
        """Start all, and return when each sentinel knows all.

        They know each other by roads. Pods, who are to reach what a road does not, ask sentinels
        through proxies that name the servers themselves.
        """
        for place in range(self.count):
            self.servers.append(self._server(place, nursery))
        await self.start_again(range(self.count))
        for place in range(SENTINELS):
            folder = self.made(f"sentinel-{place}")
            sentinel = make_sentinel(folder, self._roads[0].port)
            self.sentinels.append(sentinel)
            await in_thread(sentinel.start)
            road = Road(f"sentinel-{place}", sentinel.port, "redis")
            own = {self._road(server).port: server.port for server in self.servers}
            road.open(nursery, Readdress(ports=own))
            self._doors.append(road)
        await in_thread(self._until_known)

    def _server(self, place: int, nursery: trio.Nursery) -> RedisServer:
        port, folder = free_port(), self.made(f"redis-{place}")
        road = Road(f"redis-{place}", port)
        lines = [f"replica-announce-port {road.open(nursery)}"]
        if place:
            lines.append(f"replicaof {LOCALHOST} {self._roads[0].port}")
        self._roads.append(road)
        # In its own file, as sentinels have it written there who is whose replica: what was on the
        # command line would be so again after a restart. The users are no part of that file.
        file, known = folder / "redis.conf", folder / "users.acl"
        file.write_text("\n".join((*lines, "")))
        known.write_text("".join(f"user {' '.join(words)}\n" for words in users()))
        return RedisServer(folder, "--aclfile", str(known), file=file, port=port)

    def _until_known(self) -> None:
        replicas, others = self.count - 1, SENTINELS - 1
        wait_until(
            lambda: all(knows_all(each, replicas, others) for each in self.sentinels),
            lambda: DoesNotForm("The sentinels of Redis do not find each other."),
        )

    async def restore(self) -> None:
        """See `Deployment.restore`; whoever is the master then is the first of the servers."""
        await super().restore()
        await in_thread(self._until_calm)
        master = await self._master()
        place = self.servers.index(master)
        self.servers.insert(0, self.servers.pop(place))
        self._roads.insert(0, self._roads.pop(place))

    def _until_calm(self) -> None:
        """Return when all sentinels name one master, and the other servers are its replicas."""
        wait_until(
            self._is_calm, lambda: DoesNotForm("Redis and its sentinels do not agree on a master.")
        )

    def _is_calm(self) -> bool:
        known = [what_it_knows(each) for each in self.sentinels]
        masters = {each.get("port") for each in known if each.get("flags") == "master"}
        if len(masters) != 1 or any(each.get("flags") != "master" for each in known):
            return False
        roles = [
            each.ask("INFO", "REPLICATION")
            for each, road in zip(self.servers, self._roads, strict=True)
            if str(road.port) not in masters
        ]
        return len(roles) < self.count and all("master_link_status:up" in role for role in roles)

    async def end(self) -> None:
        """End all processes."""
        for sentinel in self.sentinels:
            await in_thread(sentinel.kill)
        await super().end()

    @property
    def addresses(self) -> Sequence[Endpoint]:
        """Those of the servers, then where the sentinels are asked."""
        doors = [Endpoint(LOCALHOST, door.port) for door in self._doors]
        return [*(Endpoint(LOCALHOST, server.port) for server in self.servers), *doors]

    def toxics(self, through: Mapping[Endpoint, Endpoint]) -> Sequence[Toxic]:
        """See `Deployment.toxics`."""
        return [Readdress(ports={own.port: way.port for own, way in through.items()})]

    def where(self, ways: Sequence[Endpoint]) -> dict[str, object]:
        """See `RedisDeployment.where`."""
        return {"sentinels": [str(each) for each in ways[self.count :]]}

    async def _fail_over(self, _: Misfortune) -> Undo:
        """Kill the master, and start it again as a replica of who is the master then."""
        old = await self._master()
        await in_thread(old.kill)

        async def again() -> None:
            await in_thread(old.start)
            new = await self._master(but=old)
            await in_thread(lambda: old.order("REPLICAOF", LOCALHOST, self._road(new).port))

        return again

    async def _demote(self, _: Misfortune) -> None:
        """Have a sentinel choose another master, and return when there is one."""
        old = await self._master()
        await in_thread(lambda: self.sentinels[0].order("SENTINEL", "FAILOVER", MASTER_NAME))
        await self._master(but=old)

    async def _split(self, trouble: Misfortune) -> Undo:
        """Cut the road to the one of two that is the master: from the sentinels, too."""
        pair = [self.servers[said(trouble, each, int) % self.count] for each in ("server", "other")]
        master = await self._master()
        road = self._road(master if master in pair else pair[0])
        road.cut()

        async def mend() -> None:
            road.mend()
            await trio.lowlevel.checkpoint()

        return mend

    def _road(self, server: RedisServer) -> Road:
        return self._roads[self.servers.index(server)]

    async def _master(self, but: RedisServer | None = None) -> RedisServer:
        """Return the master that sentinels name and that says so too, when there is one."""
        found: list[RedisServer] = []

        def look() -> bool:
            named = self._named()
            found[:] = [each for each in named if each is not but and each.is_master]
            return bool(found)

        await in_thread(
            lambda: wait_until(look, lambda: DoesNotForm("Sentinels name no master of Redis."))
        )
        return found[0]

    def _named(self) -> list[RedisServer]:
        words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME)
        told = {line for each in self.sentinels for line in each.ask(*words).splitlines()}
        named = [each for each in self.servers if str(self._road(each).port) in told]
        return [each for each in named if each.running and not each.frozen]
