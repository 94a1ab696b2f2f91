"""Redis Cluster with sharded publish and subscribe: two connections to every master.

Who serves which slots is asked once, of every master: only when all agree is the link open, so
that nobody subscribes on one server while others still publish on another. Whatever changes
afterwards ends the incarnation: a redirection, a subscription that the server ends as its slot
moves, a lost connection, another answer to the question asked every second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from redis.crc import key_slot

from ....config import Redis as RedisSettings
from ...errors import BrokerRefused, BrokerUnavailable, MessagesRefused, SubscriptionRefused
from ..bridge import Feed, first, gather
from ..contract import Channel, Message
from .connection import visit
from .errors import translate
from .login import Login, ServerAddress, read_login, read_server, read_servers
from .node import MAX_PAYLOAD, SHARDED, Names, RedisNode
from .periodic_check import PeriodicCheck
from .slots import Slots, see_slots

__all__ = ["RedisClusterDriver"]

T = TypeVar("T")


class RedisClusterDriver:
    """A driver of Redis 7 as a cluster. Databases other than 0 do not exist there."""

    def __init__(self, settings: RedisSettings) -> None:
        self.max_payload = MAX_PAYLOAD
        self._seeds = read_servers(settings.nodes) or [read_server(settings)]
        self.node = ""
        self.routed = False
        self.endpoint = ", ".join(map(str, self._seeds))
        self._login = read_login(settings)
        self._names = Names(settings.prefix, self._login.database)
        self._nodes: Mapping[ServerAddress, RedisNode] = {}
        self._slots = Slots(())
        self._owners: Sequence[ServerAddress | None] = ()
        self._periodic = PeriodicCheck(self._check)
        self._closed = False

    async def open(self, feed: Feed) -> None:
        """Connect to all masters; see `Driver.open`."""
        if self._login.database:
            raise BrokerRefused(
                f"{self.endpoint} is a cluster, which has no databases; set broker.redis.database "
                "to 0."
            )
        slots = await first(_view(seed, self._login) for seed in self._seeds)
        if self._closed:
            raise BrokerUnavailable(f"{self.endpoint}: closed.")
        self._slots, self._owners = slots, slots.owners()
        self._nodes = {
            server: RedisNode(server, self._login, SHARDED, self._names, feed)
            for server in slots.masters
        }
        await gather(*(node.open() for node in self._nodes.values()))
        await self._check()
        self._periodic.start(feed.lost)

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.subscribe`."""
        parts = self._split((self._names.name(each), each) for each in channels)
        results = await gather(*(node.subscribe([n for n, _ in part]) for node, part in parts))
        denied = _denied(parts, results)
        if denied:
            raise SubscriptionRefused([channel for channel, _ in denied], denied[0][1])

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Subscribe again: a master leaves alone what it has, and slots that move end the link."""
        await self.subscribe(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.unsubscribe`."""
        parts = self._split((self._names.name(channel), None) for channel in channels)
        await gather(*(node.unsubscribe([n for n, _ in part]) for node, part in parts))

    async def publish(self, batch: Sequence[Message]) -> None:
        """See `Broker.publish`."""
        names = [self._names.name(channel) for channel, _ in batch]
        parts = self._split((name, place) for place, name in enumerate(names))
        results = await gather(
            *(node.publish((name, batch[place][1]) for name, place in part) for node, part in parts)
        )
        denied = _denied(parts, results)
        if denied:
            raise MessagesRefused(sorted(place for place, _ in denied), denied[0][1])

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        await self._periodic.close()
        await gather(*(node.close() for node in self._nodes.values()))

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return one channel for each master; before `open`, the channel itself."""
        return self._slots.spread(channel, self._names) or (channel,)

    def _split(
        self, items: Iterable[tuple[bytes, T]]
    ) -> list[tuple[RedisNode, list[tuple[bytes, T]]]]:
        """Sort (name, anything)s by the node that serves the name, in their order."""
        parts: dict[ServerAddress, list[tuple[bytes, T]]] = {}
        for item in items:
            owner = self._owners[key_slot(item[0])] if self._owners else None
            if owner is None:
                raise BrokerUnavailable(f"{self.endpoint}: no master serves a channel's slot.")
            parts.setdefault(owner, []).append(item)
        return [(self._nodes[server], part) for server, part in parts.items()]

    async def _check(self) -> None:
        """Raise unless every master sees what was seen at first, and holds it for sound."""
        views = await gather(*(see_slots(node.speaker) for node in self._nodes.values()))
        for node, view in zip(self._nodes.values(), views, strict=True):
            if not view.agrees(self._slots):
                raise BrokerUnavailable(f"{node.server} says that slots of the cluster moved.")


def _denied(
    parts: Sequence[tuple[RedisNode, list[tuple[bytes, T]]]],
    results: Sequence[Sequence[tuple[int, Exception]]],
) -> list[tuple[T, str]]:
    """Return what masters have denied of their parts, each with the reason."""
    return [
        (part[place][1], str(translate(error, node.server)))
        for (node, part), result in zip(parts, results, strict=True)
        for place, error in result
    ]


async def _view(seed: ServerAddress, login: Login) -> Slots:
    async with visit(seed, login) as connection:
        return await see_slots(connection)
