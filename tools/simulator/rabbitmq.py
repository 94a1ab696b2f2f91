"""RabbitMQ: exchanges that can be deleted, bindings that can be lost, confirms that do not come."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ...transport import BrokerUnavailable, MessageTooLarge
from ...transport.brokers.contract import Channel, Message
from .connection import Connection, Handing
from .network import SLOWEST, BrokerNode, SimulatedNetwork

__all__ = ["RabbitNetwork", "SimulatedRabbit", "kind_of"]


def kind_of(channel: Channel) -> str:
    """Return the kind of a channel: each has an exchange."""
    return channel.partition(".")[0]


class RabbitNetwork(SimulatedNetwork):
    """RabbitMQ servers. `deleted` are the exchanges that somebody has deleted."""

    def __init__(
        self, nodes: int, seed: int, *, spread: float = 0.0, road: float = SLOWEST
    ) -> None:
        super().__init__(nodes, seed, spread=spread, road=road)
        self.deleted: set[str] = set()

    def join(self, node: int, other: int) -> None:
        """Open the road again, and restart the losing side, as `autoheal` does."""
        super().join(node, other)
        if self.servers[other].up:
            self.kill(other)
            self.start(other)

    def delete_exchange(self, kind: str) -> None:
        """Delete an exchange, and with it all that was bound to it; nobody is told."""
        self.deleted.add(kind)
        for connection in self.connections:
            for channel in [each for each in connection.heard if kind_of(each) == kind]:
                del connection.heard[channel]

    def delete_queue(self, pod: int) -> None:
        """Delete a pod's queue, of which the pod is told."""
        for connection in self.of(pod):
            connection.lose("the pod's queue was deleted")


class SimulatedRabbit(Connection[RabbitNetwork]):
    """Two connections to one node, of which the model makes one."""

    subscribes_twice = tells_limit = False

    _taken: int
    """Bytes that the channel takes: what the server's limit was when it was opened."""

    async def _find(self) -> Sequence[BrokerNode]:
        server = self._network.servers[self.place]
        while server.thawed is not None:
            await server.thawed.wait()
        if not server.up:
            raise BrokerUnavailable(f"{self.endpoint}: connection refused.")
        self._taken = self._network.limit
        self.node = f"node{server.number}"
        return [server]

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Bind these channels; what was bound to a deleted exchange is bound again."""
        await super().subscribe(channels)
        for kind in {kind_of(channel): None for channel in channels}:
            self._restore(kind, set(channels))

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Declare the exchanges again, and bind these channels alone."""
        await super().resubscribe(channels)
        now = trio.current_time()
        for channel in channels:
            self.heard[channel] = now  # whichever node had forgotten it
            self._network.deleted.discard(kind_of(channel))

    def _restore(self, kind: str, new: set[Channel]) -> None:
        if kind not in self._network.deleted:
            return
        self._network.deleted.discard(kind)
        deaf = [each for each in self.bound if kind_of(each) == kind]
        self.heard.update(dict.fromkeys(deaf, trio.current_time()))
        told = sorted(set(deaf) - new)
        if told and self._inbox is not None:
            self._inbox.unheard(told)

    def _handle(
        self,
        handing: Handing,
        server: BrokerNode,
        part: Sequence[int],
        batch: Sequence[Message],
    ) -> None:
        """Take it, or close the channel: then what was not refused is published once more."""
        network = self._network
        losses = network.losses.get(self.pod)
        if losses is not None and losses.nacked and network.chance(losses.nacked):
            if network.chance(50):
                self._take(server, [batch[place] for place in part])
            self.lose("the server has refused a message")
            return
        denied = network.denied.get(self.pod, ())
        kinds = {kind_of(channel) for channel in denied}
        for position, place in enumerate(part):
            channel, payload = batch[place]
            before = [batch[taken] for taken in part[:position]]
            if len(payload) > self._taken:
                self.max_payload = self._taken
                handing.error = MessageTooLarge(channel, len(payload), self._taken)
                self._reopen(server, before)
                return
            if kind_of(channel) in kinds:
                handing.refused.extend(at for at in part if kind_of(batch[at][0]) in kinds)
                self._reopen(server, before)
                part = [at for at in part if at not in handing.refused]
                break
        self._take(server, [batch[place] for place in part])

    def _reopen(self, server: BrokerNode, before: Sequence[Message]) -> None:
        """Open the channel anew, which was closed behind what came before, or ahead of it."""
        if self._network.chance(50):
            self._take(server, before)
        self._taken = self._network.limit

    def _take(self, server: BrokerNode, messages: Sequence[Message]) -> None:
        for channel, payload in messages:
            self._restore(kind_of(channel), set())
            self._network.carry(self.pod, server, channel, payload)
