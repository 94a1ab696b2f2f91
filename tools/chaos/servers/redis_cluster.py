"""Redis as a cluster: what pods are told of it, and what befalls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import trio

from ..proxy import Toxic
from .deployment import ROOMS, Endpoint, Misfortune, Undo, in_thread, said
from .readdress import Readdress
from .redis import RedisCluster, make_cluster_node
from .redis_deployment import RedisDeployment, user_arguments

__all__ = ["RedisClusterDeployment"]

DOWN: Final = "CLUSTERDOWN"
NODE_TIMEOUT: Final = 2000
"""Milliseconds after which a cluster's node that says nothing is held for dead."""


class RedisClusterDeployment(RedisDeployment):
    """Masters with a replica each. `servers` are the masters as a play begins, then the others."""

    impossible: ClassVar[Mapping[str, str]] = {
        name: why for name, why in RedisDeployment.impossible.items() if name != "broker.answer"
    } | {
        "broker.split": "Nodes of a Redis cluster have one address for all the others, so that the "
        "road between two of them has nothing of its own to be cut at."
    }

    def __init__(self, topology: str, count: int, folder: Path, rooms: Sequence[str] = ROOMS):
        super().__init__(topology, max(3, count), folder, rooms)
        self.deeds |= {
            "broker.answer": self._answer,
            "broker.failover": self._fail_over,
            "broker.move": self._move,
        }

    async def begin(self, nursery: trio.Nursery) -> None:
        """Start all, and return when they hold the cluster for sound."""
        del nursery
        for place in range(2 * self.count):
            folder = self.made(f"redis-{place}")
            self.servers.append(make_cluster_node(folder, NODE_TIMEOUT, *user_arguments()))
        await self.start_again(range(2 * self.count))
        await in_thread(self._cluster.form)

    async def restore(self) -> None:
        """See `Deployment.restore`; those that are masters then are the first of the servers."""
        await super().restore()
        await in_thread(self._cluster.settle)
        masters = await trio.to_thread.run_sync(self._cluster.masters)
        self.servers.sort(key=lambda server: server not in masters)

    @property
    def _cluster(self) -> RedisCluster:
        return RedisCluster(self.servers)

    def objection(self, trouble: Misfortune) -> str | None:
        """Masters of a cluster are made replicas by it alone, and it has one error on demand."""
        if trouble.name == "broker.answer" and said(trouble, "error", str) != DOWN:
            return f"A Redis cluster says no error on demand but {DOWN}."
        if trouble.name == "broker.read_only" and said(trouble, "how", str) == "replica":
            return "A master of a cluster is made a replica by the cluster alone (broker.failover)."
        return None

    def toxics(self, through: Mapping[Endpoint, Endpoint]) -> Sequence[Toxic]:
        """See `Deployment.toxics`."""
        return [Readdress(ports={own.port: way.port for own, way in through.items()})]

    def where(self, ways: Sequence[Endpoint]) -> dict[str, object]:
        """See `RedisDeployment.where`."""
        return {"nodes": [str(each) for each in ways]}

    async def _fail_over(self, trouble: Misfortune) -> Undo:
        """Kill a master; a replica of it takes over after the time that the cluster waits."""
        del trouble
        masters = await trio.to_thread.run_sync(self._cluster.masters)
        await in_thread(masters[0].kill)
        return lambda: self.start_again([self.servers.index(masters[0])])

    async def _answer(self, _: Misfortune) -> Undo:
        """Have nobody serve a slot, without which nodes hold the cluster for down."""
        owner = await trio.to_thread.run_sync(lambda: self._cluster.owner("room.plain"))
        slot, server = owner
        await self.on_all(lambda each: each.ask("CLUSTER", "DELSLOTS", slot))

        async def over() -> None:
            await in_thread(lambda: server.order("CLUSTER", "ADDSLOTS", slot))

        return over

    async def _move(self, trouble: Misfortune) -> None:
        room = said(trouble, "room", str)
        await in_thread(lambda: self._cluster.move_slot(f"room.{room}"))
