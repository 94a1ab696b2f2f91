"""A model of a broker: servers, the roads between them, and all that they may forget or lose.

What servers of every kind have is here. What Redis, NATS and RabbitMQ each do in their own way,
their drivers included, stands with the pod's end of it: `redis`, `nats` and `rabbitmq`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

import trio
from attrs import define, field

from ...transport.brokers.contract import Channel

__all__ = [
    "FASTEST",
    "LIMIT",
    "NOBODY",
    "SLOWEST",
    "BlackHole",
    "BrokerNode",
    "SimulatedNetwork",
    "Source",
    "Subscriber",
]

Source: TypeAlias = tuple[int, int]
"""The server and the pod that say something: what they say stays in order."""

FASTEST: Final = 0.0004
SLOWEST: Final = 0.002
"""Seconds that a way takes, between these."""
LIMIT: Final = 1024 * 1024
"""Bytes that a message may have, until a plan says otherwise."""
REMEMBERED: Final = 50
"""Messages that a stranger has listened to, to say them again."""
NOBODY: Final = -1
"""Stands for a pod where somebody else speaks."""


@define(eq=False)
class BrokerNode:
    """A server: whether it is up, takes connections, is frozen, slow, or late to confirm.

    `asked` is what was written to it while it was frozen: it comes to that when it goes on, and
    who has written it may have given it up by then.
    """

    number: int
    up: bool = True
    lame: bool = False
    thawed: trio.Event | None = None
    slow: float = 0.0
    late: float = 0.0
    asked: list[Callable[[], object]] = field(factory=list)


@define(eq=False)
class Losses:
    """What does not reach a pod, or twice, and what it is told not to be taken: in percent.

    `dropped` is by channel (None: on all).
    """

    dropped: dict[Channel | None, int] = field(factory=dict)
    doubled: int = 0
    nacked: int = 0


@define(eq=False)
class BlackHole:
    """A way of a pod to all servers that swallows what goes `outward`, or `inward`, or both.

    What was swallowed is not lost: who said it says it again until it is heard, as TCP does. That a
    connection has ended is swallowed in any case.
    """

    outward: bool = True
    inward: bool = True
    gone: trio.Event = field(factory=trio.Event)
    asked: list[Callable[[], object]] = field(factory=list)

    @property
    def swallows(self) -> bool:
        """Whether what is asked has no answer."""
        return self.outward or self.inward


class Subscriber(Protocol):
    """A pod's connection, as servers know it. `heard` is what is subscribed, and since when."""

    pod: int
    place: int
    servers: Sequence[BrokerNode]
    heard: dict[Channel, float]

    def server_of(self, channel: Channel) -> BrokerNode:
        """Return the server that it hears a channel from."""

    def take(self, channel: Channel, payload: bytes, reached: float, source: Source) -> None:
        """Take a message that reaches its server at a time, on its way to the pod."""

    def end(self, channel: Channel) -> None:
        """Have a subscription ended by the server, which says so."""

    def lose(self, reason: str) -> None:
        """End, and tell the pod."""

    def sever(self, reason: str) -> None:
        """End on the server's side, and tell the pod as soon as something reaches it."""

    def die(self, reason: str) -> None:
        """End without a word."""

    def forget_source(self, node: int) -> None:
        """Lose what a server that died had not brought to this one yet."""


class SimulatedNetwork:
    """The servers of a broker, and who is connected.

    `spread` is how long (seconds) it takes until the other servers know what is subscribed on one,
    `road` how long a message takes from one to another at most. `signed` is whether pods sign.
    `tell_met` is told of two pods: the first can know of the second from now on, for something of
    it has come, or of one that could know of it; once in both their lives. `tell_carried` is told
    what a server has taken, and which pods it is brought to.
    """

    def __init__(
        self, nodes: int, seed: int, *, spread: float = 0.0, road: float = SLOWEST
    ) -> None:
        self.servers = [BrokerNode(number) for number in range(nodes)]
        self.connections: dict[Subscriber, None] = {}
        self.limit = LIMIT
        self.signed = False
        self.spread = spread
        self.tell_met: Callable[[int, int], object] = lambda _, __: None
        self.tell_carried: Callable[[bytes, Sequence[int]], object] = lambda _, __: None
        self._knows: dict[int, frozenset[int]] = {}
        self.denied: dict[int, set[Channel]] = {}
        self.losses: dict[int, Losses] = {}
        self.holes: dict[int, BlackHole] = {}
        self.said: deque[tuple[Channel, bytes]] = deque(maxlen=REMEMBERED)
        self._road = road
        self._chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
        self._cut: dict[frozenset[int], int] = {}
        self._joined: dict[frozenset[int], float] = {}
        self._forgotten: dict[tuple[int, int], float] = {}

    # What goes wrong -------------------------------------------------------------------------

    def kill(self, node: int) -> None:
        """Cut everybody off from a server and let nobody in until `start`."""
        server = self.servers[node]
        server.up = False
        server.asked.clear()
        self.thaw(node)
        for connection in list(self.connections):
            if server in connection.servers:
                connection.sever("connection reset")
            else:
                connection.forget_source(node)

    def start(self, node: int) -> None:
        """Let them in again; it knows of the others what it is told anew."""
        server = self.servers[node]
        server.up, server.lame = True, False
        for other in range(len(self.servers)):
            self._joined[frozenset((node, other))] = trio.current_time()

    def lame(self, node: int) -> None:
        """Have a server say that it is about to stop: it takes nobody any more, and goes on."""
        server = self.servers[node]
        server.lame = True
        for connection in list(self.connections):
            if server in connection.servers:
                connection.lose("the server is about to stop")

    def freeze(self, node: int) -> None:
        """Let a server do nothing until `thaw`."""
        server = self.servers[node]
        if server.up and server.thawed is None:
            server.thawed = trio.Event()

    def thaw(self, node: int) -> None:
        """Let it go on, first with what was asked of it meanwhile."""
        server = self.servers[node]
        thawed, server.thawed = server.thawed, None
        asked, server.asked = server.asked, []
        for handle in asked:
            handle()
        if thawed is not None:
            thawed.set()

    def swallow(self, pod: int, hole: BlackHole) -> None:
        """Let a pod's way to all servers swallow things until `disgorge`."""
        self.holes.setdefault(pod, hole)

    def disgorge(self, pod: int) -> None:
        """Let through what was swallowed, and all that comes."""
        hole = self.holes.pop(pod, None)
        for handle in () if hole is None else hole.asked:
            handle()
        if hole is not None:
            hole.gone.set()

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

    def forget_side(self, node: int, other: int) -> None:
        """Let a server forget what is subscribed on another, until it is subscribed again."""
        self._forgotten[node, other] = trio.current_time()

    def cut(self, pod: int) -> None:
        """Reset a pod's connections."""
        for connection in self.of(pod):
            connection.lose("connection reset")

    def begin(self, pod: int) -> None:
        """Note that a pod begins a life."""
        self._knows = {one: known - {pod} for one, known in self._knows.items() if one != pod}

    def meet(self, pod: int, other: int) -> None:
        """Note that something of another pod, or of its own, has come to a pod."""
        if other in (pod, NOBODY):
            return
        known, nobody = self._knows.get(pod, frozenset()), frozenset[int]()
        news = (self._knows.get(other, nobody) | {other}) - known - {pod}
        if news:
            self._knows[pod] = known | news
            for one in sorted(news):
                self.tell_met(pod, one)

    def abandon(self, pod: int) -> None:
        """Forget a pod that is dead."""
        for connection in self.of(pod):
            connection.die("closed")

    def forget(self, pod: int, channel: Channel) -> None:
        """Lose a pod's subscription in silence."""
        for connection in self.of(pod):
            connection.heard.pop(channel, None)

    def end(self, pod: int, channel: Channel) -> None:
        """End a subscription, and say so."""
        for connection in self.of(pod):
            connection.end(channel)

    def losses_of(self, pod: int) -> Losses:
        """Return what does not reach a pod, to be changed."""
        return self.losses.setdefault(pod, Losses())

    def of(self, pod: int) -> list[Subscriber]:
        """Return the connections of a pod."""
        return [connection for connection in self.connections if connection.pod == pod]

    # What servers do ---------------------------------------------------------------------------

    def way(self) -> float:
        """Draw how long (seconds) a way takes."""
        return self._chance.uniform(FASTEST, SLOWEST)

    def chance(self, percent: int) -> bool:
        """Draw whether something comes to pass."""
        return self._chance.randrange(100) < percent

    def shuffled(self) -> list[BrokerNode]:
        """Draw an order of the servers."""
        return self._chance.sample(self.servers, len(self.servers))

    def carry(self, pod: int, server: BrokerNode, channel: Channel, payload: bytes) -> None:
        """Bring what a pod says to a server to all who hear the channel, as far as it knows."""
        now, here = trio.current_time(), server.number
        self.said.append((channel, payload))
        reached = [] if pod == NOBODY else [pod]
        for connection in self.connections:
            since = connection.heard.get(channel)
            if since is None:
                continue
            there = connection.server_of(channel).number
            if there != here and not self.knows(here, there, since, now):
                continue
            reached.append(connection.pod)
            losses = self.losses.get(connection.pod)
            copies = 1 if losses is None else self._copies(losses, channel)
            for _ in range(copies):
                way = self.way()
                if there != here:
                    way += self._chance.uniform(FASTEST, self._road)
                connection.take(channel, payload, now + way, (here, pod))
        if pod != NOBODY:
            self.tell_carried(payload, reached)

    def knows(self, here: int, there: int, since: float, now: float) -> bool:
        """Whether a server knows what was subscribed on another at a time."""
        road = frozenset((here, there))
        if road in self._cut or not self.servers[there].up:
            return False
        if since <= self._forgotten.get((here, there), -1.0):
            return False
        return now >= max(since, self._joined.get(road, 0.0)) + self.spread

    def _copies(self, losses: Losses, channel: Channel) -> int:
        dropped = losses.dropped.get(channel, losses.dropped.get(None, 0))
        if dropped and self.chance(dropped):
            return 0
        return 2 if losses.doubled and self.chance(losses.doubled) else 1
