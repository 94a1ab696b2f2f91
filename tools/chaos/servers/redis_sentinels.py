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
from .redis import MASTER_NAME, RedisServer, knows_all, make_sentinel
from .redis_deployment import RedisDeployment, user_arguments
from .roads import Road

__all__ = ["SentinelDeployment"]

SENTINELS: Final = 3


class SentinelDeployment(RedisDeployment):
    """A master, its replicas, and three sentinels that watch them."""

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
        port = free_port()
        road = Road(f"redis-{place}", port)
        words = ["--replica-announce-port", str(road.open(nursery))]
        if place:
            words += ["--replicaof", f"{LOCALHOST} {self._roads[0].port}"]
        self._roads.append(road)
        return RedisServer(self.made(f"redis-{place}"), *user_arguments(), *words, port=port)

    def _until_known(self) -> None:
        replicas, others = self.count - 1, SENTINELS - 1
        wait_until(
            lambda: all(knows_all(each, replicas, others) for each in self.sentinels),
            lambda: DoesNotForm("The sentinels of Redis do not find each other."),
        )

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
