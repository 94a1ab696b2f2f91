"""The pod's end of a simulated broker: what `Bridged` and a driver are to real servers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

import trio
from attrs import define, field

from ...transport import BrokerError, BrokerUnavailable, MessagesRefused
from ...transport.brokers.contract import Broker, Channel, Inbox, Message, refuse_too_large
from .network import LIMIT, SLOWEST, BrokerNode, SimulatedNetwork, Source

__all__ = ["Connection", "Handing"]

N = TypeVar("N", bound=SimulatedNetwork)

_ANSWERED: Final = 25
"""Of 100 batches, those whose answer takes its time: it is seldom of interest, and costs a turn."""
_REACHED: Final = 50
"""Of 100 batches under way when a connection ends, those that the server comes to all the same."""


@define
class Handing:
    """A batch that was handed over: what a server says of it."""

    refused: list[int] = field(factory=list)
    error: BrokerError | None = None


class _Line:
    """What is under way to a pod by way of a server: none overtakes another of the same source.

    `queue` has when each is due at the pod, and when it has reached that server.
    """

    def __init__(self, server: BrokerNode) -> None:
        self.server = server
        self.queue: list[tuple[float, int, float, Source, Channel, bytes]] = []
        self.wake = trio.Event()
        self._last: dict[Source, tuple[float, float]] = {}
        self._number = 0

    def add(self, source: Source, reached: float, channel: Channel, payload: bytes) -> None:
        before = self._last.get(source, (0.0, 0.0))
        reached = max(before[0], reached)
        due = max(before[1], reached + self.server.slow)
        self._last[source] = reached, due
        self._number += 1
        heappush(self.queue, (due, self._number, reached, source, channel, payload))
        self.wake.set()

    def forget(self, node: int, now: float) -> None:
        """Lose what another server had not brought here yet."""
        self.queue = [said for said in self.queue if said[3][0] != node or said[2] <= now]
        heapify(self.queue)


class Connection(Broker, Generic[N]):
    """One incarnation of a pod's link to the servers of the network.

    `place` is where the pod is; which servers that means says `_find`. `heard` is what the servers
    know to be subscribed, and since when; `bound` what the pod believes.
    """

    subscribes_twice: bool = True
    """Whether `subscribe` asks the server for what the pod believes to have."""
    tells_limit: bool = True
    """Whether the server says how large a message may be before it refuses one."""

    def __init__(self, network: N, pod: int, place: int) -> None:
        self.pod = pod
        self.place = place
        self.servers: Sequence[BrokerNode] = ()
        self.endpoint = f"simulated:{place}"
        self.max_payload = LIMIT
        self.heard: dict[Channel, float] = {}
        self.bound: dict[Channel, None] = {}
        self._network = network
        self._inbox: Inbox | None = None
        self._why = "not connected"
        self._severed = False
        self._lines: dict[BrokerNode, _Line] = {}
        self._waiting: dict[trio.CancelScope, None] = {}
        self._resumed = trio.Event()

    # What a broker of this kind does in its own way ----------------------------------------------

    @abstractmethod
    async def _find(self) -> Sequence[BrokerNode]:
        """Connect to the servers that this place leads to; raise `BrokerUnavailable`."""

    @abstractmethod
    def _handle(self, handing: Handing, server: BrokerNode, part: Sequence[int],
                batch: Sequence[Message]) -> None:  # fmt: skip
        """Do what a server does with its part of a batch, in that moment."""

    def server_of(self, channel: Channel) -> BrokerNode:
        """Return the server that this connection hears a channel from."""
        return self.servers[0]

    # `Broker` ------------------------------------------------------------------------------------

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        """Connect, once."""
        if self.servers or self._why != "not connected":
            raise BrokerUnavailable("A broker object connects once: make another one.")
        await trio.sleep(self._network.way())
        while (hole := self._network.holes.get(self.pod)) is not None and hole.swallows:
            await hole.gone.wait()
        self.servers = tuple(await self._find())
        if self._why != "not connected":
            raise BrokerUnavailable(f"{self.endpoint}: {self._why}.")
        if self.tells_limit:
            self.max_payload = self._network.limit
        self._inbox = inbox
        self._network.connections[self] = None
        for server in self.servers:
            line = self._lines[server] = _Line(server)
            nursery.start_soon(self._deliver, line)

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels."""
        await self._turn(channels)
        now = trio.current_time()
        for channel in channels:
            if self.subscribes_twice or channel not in self.bound:
                self.bound[channel] = None
                self.heard.setdefault(channel, now)

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these again."""
        await self._turn(channels)
        now = trio.current_time()
        for channel in channels:
            self.bound[channel] = None
            self.heard.setdefault(channel, now)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Hear these channels no longer."""
        await self._turn(channels)
        for channel in channels:
            self.heard.pop(channel, None)
            self.bound.pop(channel, None)

    async def publish(self, batch: Sequence[Message]) -> None:
        """Hand a batch over; what is under way when the connection ends is taken or not."""
        refuse_too_large(batch, self.max_payload)
        self._demand_connected()
        handing, parts = Handing(), self._split(channel for channel, _ in batch)
        arrived = False
        try:
            await self._wait(max((server.slow for server in parts), default=0.0))
            arrived = True
        finally:
            if arrived or self._network.chance(_REACHED):
                for server, part in parts.items():
                    self._reach(server, partial(self._handle, handing, server, part, batch))
        await self._answer(parts)
        if handing.error is not None:
            raise handing.error
        if handing.refused:
            raise MessagesRefused(sorted(handing.refused), "simulated: denied; allow it.")

    async def close(self) -> None:
        """Let go."""
        self.die("closed")
        await trio.lowlevel.checkpoint()

    # What becomes of it --------------------------------------------------------------------------

    def lose(self, reason: str) -> None:
        """End, and tell the pod."""
        inbox = self._inbox
        self.die(reason)
        if inbox is not None:
            inbox.lost(BrokerUnavailable(f"{self.endpoint}: {reason}."))

    def sever(self, reason: str) -> None:
        """End on the server's side, and tell the pod as soon as something reaches it."""
        hole = self._network.holes.get(self.pod)
        if hole is None:
            self.lose(reason)
            return
        self.heard.clear()
        self._severed = True
        hole.asked.append(partial(self.lose, reason))

    def die(self, reason: str) -> None:
        """End without a word; what is under way fails at once."""
        self._network.connections.pop(self, None)
        self._inbox, self._why = None, reason
        self.heard.clear()
        self.bound.clear()
        for line in self._lines.values():
            line.queue.clear()
            line.wake.set()
        for scope in self._waiting:
            scope.cancel()

    def end(self, channel: Channel) -> None:
        """Have a subscription ended by the server, which says so."""
        if self.heard.pop(channel, None) is not None and self._inbox is not None:
            self.bound.pop(channel, None)
            self._inbox.unheard([channel])

    def take(self, channel: Channel, payload: bytes, reached: float, source: Source) -> None:
        """Take a message that reaches its server at a time, on its way to the pod."""
        self._lines[self.server_of(channel)].add(source, reached, channel, payload)

    def forget_source(self, node: int) -> None:
        """Lose what a server that died had not brought to this one yet."""
        for line in self._lines.values():
            line.forget(node, trio.current_time())

    async def _deliver(self, line: _Line) -> None:
        server = line.server
        while self._inbox is not None:
            if not line.queue:
                line.wake = trio.Event()
                await line.wake.wait()
                continue
            if line.queue[0][0] > trio.current_time() + SLOWEST:
                await self._until(trio.sleep_forever, line.queue[0][0])
            if server.thawed is not None:
                await self._until(server.thawed.wait)
            hole = self._network.holes.get(self.pod)
            if hole is not None and hole.inward:
                await self._until(hole.gone.wait)
                continue
            soon = trio.current_time() + SLOWEST  # what comes about now comes in one turn
            while line.queue and line.queue[0][0] <= soon and self._inbox is not None:
                _, _, _, (_, speaker), channel, payload = heappop(line.queue)
                self._network.meet(self.pod, speaker)
                self._inbox.deliver(channel, payload)
                if self._inbox.full(self._resumed.set):
                    await self._until(self._resumed.wait)
                    self._resumed = trio.Event()

    # Asking servers ------------------------------------------------------------------------------

    def _split(self, channels: Iterable[Channel]) -> dict[BrokerNode, list[int]]:
        """Sort the places of channels by the server that each is for."""
        parts: dict[BrokerNode, list[int]] = {}
        for place, channel in enumerate(channels):
            parts.setdefault(self.server_of(channel), []).append(place)
        return parts

    def _reach(self, server: BrokerNode, handle: partial[None]) -> None:
        hole = self._network.holes.get(self.pod)
        if self._severed:
            return
        if hole is not None and hole.outward:
            hole.asked.append(partial(self._reach, server, handle))
        elif server.thawed is not None:
            server.asked.append(handle)
        elif server.up:
            handle()

    async def _answer(self, servers: Iterable[BrokerNode]) -> None:
        late = 0.0
        for server in servers:
            await self._thawed(server)
            late = max(late, server.late)
        if late or self._network.chance(_ANSWERED):
            await self._wait(late)
        self._demand_connected()

    async def _turn(self, channels: Sequence[Channel]) -> None:
        self._demand_connected()
        servers = self._split(channels)
        await self._wait(max((server.slow for server in servers), default=0.0))
        for server in servers:
            await self._thawed(server)

    async def _wait(self, seconds: float) -> None:
        """Wait for a way and so long."""
        due = trio.current_time() + self._network.way() + seconds
        await self._until(trio.sleep_forever, due)
        self._demand_connected()

    async def _thawed(self, server: BrokerNode) -> None:
        """Wait until a server can answer, and be heard."""
        while True:
            hole = self._network.holes.get(self.pod)
            held = server.thawed
            if hole is not None and (hole.swallows or self._severed):
                held = hole.gone
            if held is None:
                return
            await self._until(held.wait)
            self._demand_connected()

    async def _until(self, wait: Callable[[], Awaitable[object]], due: float = math.inf) -> None:
        """Wait for something until a time, or until the connection ends."""
        with trio.CancelScope(deadline=due) as over:
            self._waiting[over] = None
            try:
                await wait()
            finally:
                del self._waiting[over]

    def _demand_connected(self) -> None:
        if self._inbox is None:
            raise BrokerUnavailable(f"{self.endpoint}: {self._why}.")
