"""Redis: a master and who takes over from it, or the masters of a cluster with their slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

from ...transport import BrokerUnavailable
from ...transport.brokers.contract import Channel, Message
from .connection import Connection, Handing
from .network import SLOWEST, BrokerNode, SimulatedNetwork

__all__ = ["RedisNetwork", "SimulatedRedis"]

SLOTS: Final = 12
"""Of which each master serves as many."""


class RedisNetwork(SimulatedNetwork):
    """Redis servers. `sharded` is a cluster; otherwise one is the master, to which all connect.

    A master that is split from the other goes on for the pods at its place, until it is found to
    be a replica: what is said to that the driver takes for not said.
    """

    def __init__(
        self,
        nodes: int,
        seed: int,
        *,
        spread: float = 0.0,
        road: float = SLOWEST,
        sharded: bool = False,
    ) -> None:
        super().__init__(nodes, seed, spread=spread, road=road)
        self.sharded = sharded
        self.master = 0
        self.isolated: int | None = None
        self.owners = [slot % nodes for slot in range(SLOTS)]

    def masters(self, place: int) -> list[BrokerNode]:
        """Return the servers that a pod at a place is led to."""
        if self.sharded:
            return self.servers
        return [self.servers[place if place == self.isolated else self.master]]

    def owner(self, channel: Channel) -> BrokerNode:
        """Return the master that serves a channel's slot."""
        return self.servers[self.owners[crc32(channel.encode()) % SLOTS]]

    def is_master(self, server: BrokerNode) -> bool:
        """Whether a server is one, as it says itself."""
        return self.sharded or server.number in (self.master, self.isolated)

    def knows(self, here: int, there: int, since: float, now: float) -> bool:
        """Whether it is the master of that: replicas hear their master, and nobody hears them."""
        if self.sharded or here != self.master or there == self.isolated:
            return False
        return super().knows(here, there, since, now)

    # What goes wrong -------------------------------------------------------------------------

    def split(self, node: int, other: int) -> None:
        """Cut a master off: those beside it keep it, the others get another."""
        super().split(node, other)
        if self.sharded or self.isolated is not None:
            return
        old = self.master
        self.isolated, self.master = old, other if old == node else node
        for connection in list(self.connections):
            if connection.place != old and connection.servers[0].number == old:
                connection.lose("connection reset")

    def join(self, node: int, other: int) -> None:
        """Have the old master find out that it is none any more."""
        super().join(node, other)
        if self.isolated is not None and not self._cut:
            self.isolated = None
            self.tell_replicas()

    def promote(self) -> None:
        """Make another server the master; the links to the old one have yet to find out."""
        self.master = (self.master + 1) % len(self.servers)

    def tell_replicas(self) -> None:
        """Have all links ask whether their server is the master, as they do each second."""
        for connection in list(self.connections):
            if not self.is_master(connection.servers[0]):
                connection.lose("is a replica; name the master")

    def move(self, channel: Channel) -> None:
        """Have another master serve a channel's slot: who hears it there is told so at once."""
        slot = crc32(channel.encode()) % SLOTS
        for connection in list(self.connections):
            if any(crc32(heard.encode()) % SLOTS == slot for heard in connection.heard):
                connection.lose("slots of the cluster moved")
        self.owners[slot] = (self.owners[slot] + 1) % len(self.servers)

    def tell_moved(self) -> None:
        """Have all links ask who serves what, as they do each second."""
        for connection in list(self.connections):
            if isinstance(connection, SimulatedRedis) and connection.owners != self.owners:
                connection.lose("slots of the cluster moved")


class SimulatedRedis(Connection[RedisNetwork]):
    """Connections to the master, or to all masters of a cluster. `owners` is what it knows."""

    def __init__(self, network: RedisNetwork, pod: int, place: int) -> None:
        super().__init__(network, pod, place)
        self.owners: list[int] = []

    async def _find(self) -> Sequence[BrokerNode]:
        masters = self._network.masters(self.place)
        for server in masters:
            if not server.up:
                raise BrokerUnavailable(f"{self.endpoint}: connection refused.")
        for server in masters:
            while server.thawed is not None:
                await server.thawed.wait()
        if not all(server.up for server in masters):
            raise BrokerUnavailable(f"{self.endpoint}: connection reset.")
        self.owners = list(self._network.owners)
        self.node = "" if self._network.sharded else f"node{masters[0].number}"
        return masters

    def server_of(self, channel: Channel) -> BrokerNode:
        """Return the master that serves a channel, as far as is known here."""
        if not self._network.sharded:
            return self.servers[0]
        return self.servers[self.owners[crc32(channel.encode()) % SLOTS]]

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return one channel for each master."""
        if not self._network.sharded or not self.servers:
            return (channel,)
        found: dict[int, Channel] = {}
        number = 0
        while len(found) < len(set(self.owners)):
            probe = f"{channel}-{number}"
            found.setdefault(self.server_of(probe).number, probe)
            number += 1
        return tuple(found.values())

    def _handle(
        self,
        handing: Handing,
        server: BrokerNode,
        part: Sequence[int],
        batch: Sequence[Message],
    ) -> None:
        """Take it; a replica takes it too, and whoever served a slot says who does now."""
        network = self._network
        denied = network.denied.get(self.pod, ())
        for place in part:
            channel, payload = batch[place]
            if network.sharded and network.owner(channel) is not server:
                self.lose("slots of the cluster moved")
                return
            if channel in denied:
                handing.refused.append(place)
            else:
                network.carry(self.pod, server, channel, payload)
        if not network.is_master(server):
            self.lose("is a replica; name the master")
