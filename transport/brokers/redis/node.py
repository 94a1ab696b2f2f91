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
from .errors import is_of_channel, translate
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
    "run_id",
]

MAX_PAYLOAD: Final = 8 * 2**20
"""Bytes. Redis takes 512 MB, but it cuts a subscriber off for whom 32 MB wait."""

ROLE: Final = pack(b"ROLE")

_INFO: Final = pack(b"INFO", b"server")


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

    async def publish(
        self, messages: Iterable[tuple[bytes, bytes]], proven: bool = False
    ) -> list[tuple[int, ResponseError]]:
        """Hand over (name, payload)s; all were taken on return but those whose places it returns.

        `proven` is whether the server must still be the master after the last of them: a replica
        takes a PUBLISH as well, and nobody else hears it. Raises `BrokerUnavailable` then.
        """
        command = self._commands.publish
        commands = [pack(command, name, payload) for name, payload in messages]
        if not proven:
            return self._denied(self.speaker, await self.speaker.ask(commands))
        *replies, role = await self.speaker.ask([*commands, ROLE])
        if is_replica(role):
            raise self.speaker.fail(a_replica(self.server))
        return self._denied(self.speaker, replies)

    async def subscribe(self, names: Sequence[bytes]) -> list[tuple[int, ResponseError]]:
        """Hear these but those whose places it returns; one command, and so one reply, each."""
        commands = [pack(self._commands.subscribe, name) for name in names]
        return self._denied(self._listener, await self._listener.ask(commands))

    async def unsubscribe(self, names: Sequence[bytes]) -> None:
        """Hear these no longer."""
        commands = [pack(self._commands.unsubscribe, name) for name in names]
        await self._listener.order(commands, leaving=True)

    async def close(self) -> None:
        """Close both connections, in any state."""
        await gather(self.speaker.close(), self._listener.close())

    async def run_id(self) -> str:
        """Return which run of which server both connections are with; empty is unknown.

        Raises `BrokerUnavailable` when they are with two, as behind an address that has moved.
        """
        runs = await gather(run_id(self.speaker), run_id(self._listener))
        if runs[0] != runs[1]:
            raise BrokerUnavailable(f"{self.server} is two servers: its address has moved.")
        return runs[0]

    def _denied(
        self, connection: RedisConnection, replies: Sequence[Reply]
    ) -> list[tuple[int, ResponseError]]:
        """Return what was denied for its channel; whatever else is denied ends the link."""
        denied = []
        for place, reply in enumerate(replies):
            if isinstance(reply, ResponseError):
                if not is_of_channel(reply):
                    raise connection.fail(translate(reply, self.server))
                denied.append((place, reply))
        return denied

    async def _hear(self, name: bytes, payload: bytes) -> None:
        await self._feed.put(self._names.channel(name), payload)


async def check_master(connection: RedisConnection, required: bool) -> bool:
    """Return whether the server says that it is the master, or else does not tell.

    Raises `BrokerUnavailable` when it is none, for it hears nobody else's messages. Users who may
    not ask for the role are let through, unless it is `required`.
    """
    (role,) = await (connection.order if required else connection.ask)([ROLE])
    if is_replica(role):
        raise a_replica(connection.server)
    return not isinstance(role, ResponseError)


async def run_id(connection: RedisConnection) -> str:
    """Return what tells this run of this server from all others; empty where it may not be asked.

    An address does not: two names may lead to one server, and one name to two.
    """
    (info,) = await connection.ask([_INFO])
    lines = info.split(b"\r\n") if isinstance(info, bytes) else []
    return next((line[7:].decode() for line in lines if line.startswith(b"run_id:")), "")


def is_replica(role: Reply) -> bool:
    """Whether a reply to ROLE is another one than a master's; an error tells nothing."""
    if isinstance(role, ResponseError):
        return False
    return not (isinstance(role, list) and role and role[0] == b"master")


def a_replica(server: ServerAddress) -> BrokerUnavailable:
    """Return the error for a server that is one."""
    return BrokerUnavailable(
        f"{server} is a replica; name the master, or the sentinels in broker.redis.sentinels."
    )
