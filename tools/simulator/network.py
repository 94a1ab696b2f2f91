"""A model of a broker: servers, the roads between them, and all that they may forget or lose.

One model stands for the three that pods know, by its parameters and by the faults that a plan
draws for each: NATS has several servers whose interest spreads in its own time, Redis a master and
what was one, RabbitMQ mirrored nodes whose exchanges, bindings and queues can be lost.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import trio
from attrs import define, field

from ...transport import BrokerUnavailable, MessagesRefused, MessageTooLarge
from ...transport.brokers.contract import Broker, Channel, Inbox, Message

__all__ = ["BrokerNode", "Connection", "SimulatedNetwork"]

FASTEST: Final = 0.0004
SLOWEST: Final = 0.002
"""Seconds that a way takes, between these."""
LIMIT: Final = 1024 * 1024


@define(eq=False)
class BrokerNode:
    """A node: whether it is up, frozen, slow."""

    number: int
    up: bool = True
    thawed: trio.Event | None = None
    slow: float = 0.0


@define(eq=False)
class Losses:
    """What does not reach a pod, or twice: in percent, by channel (None: on all)."""

    dropped: dict[Channel | None, int] = field(factory=dict)
    doubled: int = 0


class SimulatedNetwork:
    """The servers of a broker, and who is connected. `spread` is of interest, in seconds.

    `met` is told of a pod to which something of another one is on its way, once until it is
    forgotten by `begin`.
    """

    def __init__(self, nodes: int, spread: float, seed: int, met: Callable[[int], object]) -> None:
        self._tell_met = met
        self._met: set[int] = set()
        self.servers = [BrokerNode(number) for number in range(nodes)]
        self.connections: dict[Connection, None] = {}
        self.limit = LIMIT
        self.denied: dict[int, set[Channel]] = {}
        self.losses: dict[int, Losses] = {}
        self.spread = spread
        self._chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
        self._cut: dict[frozenset[int], int] = {}
        self._joined: dict[frozenset[int], float] = {}

    # What goes wrong -------------------------------------------------------------------------

    def kill(self, node: int) -> None:
        """Cut everybody off from a server and let nobody in until `start`."""
        server = self.servers[node]
        server.up = False
        self.thaw(node)
        for connection in list(self.connections):
            if connection.server is server:
                connection.lose("connection reset")

    def start(self, node: int) -> None:
        """Let them in again; it knows of the others what it is told anew."""
        self.servers[node].up = True
        for other in range(len(self.servers)):
            self._joined[frozenset((node, other))] = trio.current_time()

    def freeze(self, node: int) -> None:
        """Let a server do nothing until `thaw`."""
        server = self.servers[node]
        if server.up and server.thawed is None:
            server.thawed = trio.Event()

    def thaw(self, node: int) -> None:
        """Let it go on."""
        thawed, self.servers[node].thawed = self.servers[node].thawed, None
        if thawed is not None:
            thawed.set()

    def split(self, node: int, other: int) -> None:
        """Cut the road between two servers until it was joined as often."""
        road = frozenset((node, other))
        self._cut[road] = self._cut.get(road, 0) + 1

    def join(self, node: int, other: int) -> None:
        """Open the road again; what each knows of the other's interest spreads anew."""
        road = frozenset((node, other))
        self._cut[road] -= 1
        if not self._cut[road]:
            del self._cut[road]
            self._joined[road] = trio.current_time()

    def cut(self, pod: int) -> None:
        """Reset a pod's connections."""
        for connection in self.of(pod):
            connection.lose("connection reset")

    def begin(self, pod: int) -> None:
        """Note that a pod begins a life."""
        self._met.discard(pod)

    def abandon(self, pod: int) -> None:
        """Forget a pod that is dead."""
        for connection in self.of(pod):
            connection.die()

    def forget(self, pod: int | None, channel: Channel | None) -> None:
        """Lose subscriptions in silence: of a pod or (None) all, of a channel or all."""
        for connection in list(self.connections):
            if pod is None or connection.pod == pod:
                if channel is None:
                    connection.heard.clear()
                else:
                    connection.heard.pop(channel, None)

    def end(self, pod: int, channel: Channel) -> None:
        """End a subscription, and say so."""
        for connection in self.of(pod):
            if connection.heard.pop(channel, None) is not None and connection.inbox is not None:
                connection.inbox.unheard([channel])

    def losses_of(self, pod: int) -> Losses:
        """Return what does not reach a pod, to be changed."""
        return self.losses.setdefault(pod, Losses())

    def of(self, pod: int) -> list[Connection]:
        """Return the connections of a pod."""
        return [connection for connection in self.connections if connection.pod == pod]

    # What servers do ---------------------------------------------------------------------------

    def way(self) -> float:
        """Draw how long (seconds) a way takes."""
        return self._chance.uniform(FASTEST, SLOWEST)

    def chance(self, percent: int) -> bool:
        """Draw whether something comes to pass."""
        return self._chance.randrange(100) < percent

    def carry(self, source: Connection, channel: Channel, payload: bytes) -> None:
        """Bring a message to all who hear the channel, as far as is known where it was said."""
        now, here = trio.current_time(), source.server.number
        for connection in self.connections:
            since = connection.heard.get(channel)
            if since is None:
                continue
            there = connection.server.number
            if there != here and not self._knows(here, there, since, now):
                continue
            losses = self.losses.get(connection.pod)
            copies = 1 if losses is None else self._copies(losses, channel)
            if copies and source.pod != connection.pod and connection.pod not in self._met:
                self._met.add(connection.pod)
                self._tell_met(connection.pod)
            for _ in range(copies):
                connection.take(
                    channel, payload, now + self.way() + (0.001 if there != here else 0)
                )

    def _knows(self, here: int, there: int, since: float, now: float) -> bool:
        road = frozenset((here, there))
        if road in self._cut or not self.servers[there].up:
            return False
        return now >= max(since, self._joined.get(road, 0.0)) + self.spread

    def _copies(self, losses: Losses, channel: Channel) -> int:
        dropped = losses.dropped.get(channel, losses.dropped.get(None, 0))
        if dropped and self.chance(dropped):
            return 0
        return 2 if losses.doubled and self.chance(losses.doubled) else 1


class Connection(Broker):
    """One incarnation of a pod's link to a server of the network."""

    def __init__(self, network: SimulatedNetwork, pod: int, node: int) -> None:
        self.pod = pod
        self.server = network.servers[node]
        self.endpoint = f"simulated:{node}"
        self.node = f"node{node}"
        self.routed = len(network.servers) > 1 and network.spread > 0
        self.max_payload = network.limit
        self.inbox: Inbox | None = None
        self.heard: dict[Channel, float] = {}
        self._network = network
        self._queue: deque[tuple[float, Channel, bytes]] = deque()
        self._last = 0.0
        self._wake = trio.Event()

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        """Connect if the server is there."""
        await trio.sleep(self._network.way())
        if not self.server.up:
            raise BrokerUnavailable(f"{self.endpoint}: connection refused.")
        await self._thawed()
        self.inbox = inbox
        self._network.connections[self] = None
        nursery.start_soon(self._deliver)

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels."""
        await self._turn()
        now = trio.current_time()
        for channel in channels:
            self.heard.setdefault(channel, now)

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these again."""
        await self.subscribe(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels no longer."""
        await self._turn()
        for channel in channels:
            self.heard.pop(channel, None)

    async def publish(self, batch: Sequence[Message]) -> None:
        """Take a batch; a server that dies in the middle took it or not."""
        await self._turn()
        network = self._network
        denied, refused = network.denied.get(self.pod, ()), []
        for index, (channel, payload) in enumerate(batch):
            if len(payload) > network.limit:
                self.max_payload = network.limit
                raise MessageTooLarge(channel, len(payload), network.limit)
            if channel in denied:
                refused.append(index)
                continue
            network.carry(self, channel, payload)
        # The way back is seldom of interest, and costs a turn of the loop: one in four takes it.
        if network.chance(25):
            await self._turn()
        else:
            await self._thawed()
        if refused:
            raise MessagesRefused(refused, "simulated: denied; allow it.")

    async def close(self) -> None:
        """Let go."""
        self.die()
        await trio.lowlevel.checkpoint()

    def lose(self, reason: str) -> None:
        """End, and tell the pod."""
        inbox = self.inbox
        self.die()
        if inbox is not None:
            inbox.lost(BrokerUnavailable(f"{self.endpoint}: {reason}."))

    def die(self) -> None:
        """End without a word."""
        self._network.connections.pop(self, None)
        self.inbox = None
        self.heard.clear()
        self._queue.clear()

    def take(self, channel: Channel, payload: bytes, due: float) -> None:
        """Take a message on its way to the pod; none overtakes another."""
        self._last = due = max(self._last, due + self.server.slow)
        self._queue.append((due, channel, payload))
        self._wake.set()

    async def _deliver(self) -> None:
        queue = self._queue
        while True:
            if not queue:
                self._wake = trio.Event()
                await self._wake.wait()
                continue
            await trio.sleep_until(queue[0][0])
            if self.server.thawed is not None:
                await self.server.thawed.wait()
            soon = trio.current_time() + SLOWEST  # what comes about now comes in one turn
            while queue and queue[0][0] <= soon and self.inbox is not None:
                _, channel, payload = queue.popleft()
                self.inbox.deliver(channel, payload)

    async def _turn(self) -> None:
        await trio.sleep(self._network.way() + self.server.slow)
        await self._thawed()
        if self.inbox is None:
            raise BrokerUnavailable(f"{self.endpoint}: connection reset.")

    async def _thawed(self) -> None:
        if self.server.thawed is not None:
            await self.server.thawed.wait()
