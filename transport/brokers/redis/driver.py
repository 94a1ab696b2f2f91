"""Redis: one server, or the master that Sentinel names, with publish and subscribe.

Redis has no confirmations: the reply to PUBLISH says that the server has written the message to
the buffers of all who listen at that moment. Who listens too slowly is cut off by the server
(`client-output-buffer-limit pubsub`: 32 MB, or 8 MB for a minute), and learns of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....config import Redis as RedisSettings
from ...errors import BrokerUnavailable, MessagesRefused, SubscriptionRefused
from ..bridge import Driver, Feed
from ..contract import Channel, Message, node_name
from .cluster import RedisClusterDriver
from .errors import translate
from .login import read_login, read_sentinel_logins, read_server, read_servers
from .masters import find_named
from .node import MAX_PAYLOAD, PLAIN, Names, RedisNode, check_master
from .periodic_check import PeriodicCheck
from .sentinel import Sentinels, check_named, find_master

__all__ = ["RedisDriver", "redis_driver"]


def redis_driver(settings: RedisSettings) -> Driver:
    """Return the driver that the settings ask for; several nodes mean a cluster."""
    if settings.cluster or settings.nodes:
        return RedisClusterDriver(settings)
    return RedisDriver(settings)


class RedisDriver:
    """A driver of one Redis server, which has to be a master and to stay one."""

    def __init__(self, settings: RedisSettings) -> None:
        self.max_payload = MAX_PAYLOAD
        self._login = read_login(settings)
        self._server = read_server(settings)
        self._sentinels = Sentinels(
            read_servers(settings.sentinels),
            settings.sentinel_master,
            read_sentinel_logins(settings),
            self._login,
        )
        self.node = ""
        self.routed = False
        self.endpoint = ", ".join(map(str, self._sentinels.servers or [self._server]))
        self._names = Names(settings.prefix, self._login.database)
        self._node: RedisNode | None = None
        self._run = ""
        self._tells_role = False
        # Each has its own, for sentinels that hang must not keep the master from being watched.
        checks = [self._check, self._check_named] if settings.sentinels else [self._check]
        self._checks = [PeriodicCheck(check) for check in checks]
        self._closed = False

    async def open(self, feed: Feed) -> None:
        """Find the master and connect; see `Driver.open`."""
        if self._sentinels.servers:
            server = await find_master(self._sentinels)
        else:
            server = await find_named(self._server, self._login)
        if self._closed:
            raise BrokerUnavailable(f"{self.endpoint}: closed.")
        self.endpoint = str(server)
        self._node = RedisNode(server, self._login, PLAIN, self._names, feed)
        await self._node.open()
        self._tells_role = await self._check()
        self._run = await self._node.run_id()
        self.node = node_name(self._run)
        for check in self._checks:
            check.start(feed.lost)

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.subscribe`."""
        denied = await self._opened.subscribe([self._names.name(channel) for channel in channels])
        if denied:
            places = [place for place, _ in denied]
            raise SubscriptionRefused([channels[place] for place in places], self._why(denied))

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Subscribe again: the server leaves alone what it has."""
        await self.subscribe(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.unsubscribe`."""
        await self._opened.unsubscribe([self._names.name(channel) for channel in channels])

    async def publish(self, batch: Sequence[Message]) -> None:
        """See `Broker.publish`; a batch was taken when the server was the master after it.

        Behind an address that is moved to another server the old one goes on for a while, as a
        replica that takes what is published and hands it to nobody but those it still has.
        """
        name = self._names.name
        messages = ((name(channel), payload) for channel, payload in batch)
        denied = await self._opened.publish(messages, proven=self._tells_role and bool(batch))
        if denied:
            raise MessagesRefused([place for place, _ in denied], self._why(denied))

    async def close(self) -> None:
        """Let go of both connections."""
        self._closed = True
        for check in self._checks:
            await check.close()
        if self._node is not None:
            await self._node.close()

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return the channel itself: there is one server."""
        return (channel,)

    @property
    def _opened(self) -> RedisNode:
        if self._node is None:
            raise BrokerUnavailable(f"{self.endpoint}: not connected.")
        return self._node

    def _why(self, denied: Sequence[tuple[int, Exception]]) -> str:
        return str(translate(denied[0][1], self._opened.server))

    async def _check_named(self) -> None:
        await check_named(self._opened.server, self._run, self._sentinels)

    async def _check(self) -> bool:
        return await check_master(self._opened.speaker, required=bool(self._sentinels.servers))
