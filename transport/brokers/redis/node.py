"""One Redis server: a connection to publish on, and one to listen on.

Two, because replies must not wait behind messages that the pod is not ready for, and because a
server that dies is noticed at once by the one that is always read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs
from redis.exceptions import ResponseError

from ...errors import BrokerUnavailable
from ..bridge import Feed, gather
from ..contract import Channel
from .connection import RedisConnection, Reply, pack
from .login import Login, ServerAddress

__all__ = [
    "MAX_PAYLOAD",
    "PLAIN",
    "ROLE",
    "SHARDED",
    "Names",
    "PubSubCommands",
    "RedisNode",
    "check_master",
]

MAX_PAYLOAD: Final = 8 * 2**20
"""Bytes. Redis takes 512 MB, but it cuts a subscriber off for whom 32 MB wait."""

ROLE: Final = pack(b"ROLE")


@attrs.frozen
class PubSubCommands:
    """The commands of one kind of publish and subscribe."""

    publish: bytes
    subscribe: bytes
    unsubscribe: bytes


PLAIN: Final = PubSubCommands(b"PUBLISH", b"SUBSCRIBE", b"UNSUBSCRIBE")

SHARDED: Final = PubSubCommands(b"SPUBLISH", b"SSUBSCRIBE", b"SUNSUBSCRIBE")
"""Redis 7: a message stays within the shard of its channel's slot."""


class Names:
    """What channels are called on the server: `<prefix>db<database>:<channel>`.

    The prefix is taken literally, as nothing here subscribes to patterns. Publish and subscribe
    knows no databases, so the number is part of the name.
    """

    def __init__(self, prefix: str, database: int) -> None:
        self._lead = prefix.encode("utf-8", "surrogatepass") + b"db%d:" % database
        self._length = len(self._lead)
        tag = self._lead.partition(b"{")[2]
        self.spreads = not tag.partition(b"}")[0] or b"}" not in tag
        """Whether names fall into different slots of a cluster: the prefix has no hash tag."""

    def name(self, channel: Channel) -> bytes:
        """Return the name of a channel."""
        return self._lead + channel.encode()

    def channel(self, name: bytes) -> Channel:
        """Return the channel of a name that `name` made."""
        return name[self._length :].decode()


class RedisNode:
    """Two connections to one server, from `open` to `close`; either's end is the feed's `lost`."""

    def __init__(
        self,
        server: ServerAddress,
        login: Login,
        commands: PubSubCommands,
        names: Names,
        feed: Feed,
    ):
        self.server = server
        self._commands = commands
        self._names = names
        self._feed = feed
        self.speaker = RedisConnection(server, login, feed.lost)
        self._listener = RedisConnection(server, login, feed.lost, self._hear)

    async def open(self) -> None:
        """Connect and sign in, twice."""
        await gather(self.speaker.open(), self._listener.open())

    async def publish(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Hand over (name, payload)s; all were taken on return."""
        command = self._commands.publish
        await self.speaker.order([pack(command, name, payload) for name, payload in messages])

    async def subscribe(self, names: Sequence[bytes]) -> None:
        """Hear these; one command each, so that each has one reply."""
        await self._listener.order([pack(self._commands.subscribe, name) for name in names])

    async def unsubscribe(self, names: Sequence[bytes]) -> None:
        """Hear these no longer."""
        commands = [pack(self._commands.unsubscribe, name) for name in names]
        await self._listener.order(commands, leaving=True)

    async def close(self) -> None:
        """Close both connections, in any state."""
        await gather(self.speaker.close(), self._listener.close())

    async def _hear(self, name: bytes, payload: bytes) -> None:
        await self._feed.put(self._names.channel(name), payload)


async def check_master(connection: RedisConnection, required: bool) -> None:
    """Raise `BrokerUnavailable` when the server is no master, which hears nobody else's messages.

    Users who may not ask for the role are let through, unless it is `required`.
    """
    replies = await (connection.order if required else connection.ask)([ROLE])
    if not isinstance(replies[0], ResponseError) and _role(replies[0]) != b"master":
        raise BrokerUnavailable(
            f"{connection.server} is a replica; name the master, or the sentinels in "
            "broker.redis.sentinels."
        )


def _role(reply: Reply) -> Reply:
    return reply[0] if isinstance(reply, list) and reply else None
