"""Where a Redis server is and how to sign in to it, read from the settings."""

from __future__ import annotations

import ssl
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import attrs
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection

from ....config import RedisSettings
from ...errors import BrokerRefused
from ..bridge import WriteTransport

__all__ = ["Login", "Plain", "Secure", "ServerAddress", "read_login", "read_server", "read_servers"]

_PORT: Final = 6379


class ServerAddress(NamedTuple):
    """One server's address."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, as in messages and settings."""
        return f"{self.host}:{self.port}"


@attrs.frozen
class Login:
    """How to sign in: the same on all servers of a deployment."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    database: int = 0
    tls: bool = False
    ca_file: str = ""

    def connection(self, server: ServerAddress) -> Plain | Secure:
        """Return a connection that is not open yet and never opens itself again.

        Raises `BrokerRefused` when the file of certificates cannot be read.
        """
        if not self.tls:
            return Plain(**self._arguments(server))
        connection = Secure(**self._arguments(server))
        connection.ssl_context.context = self._trust()
        return connection

    def _arguments(self, server: ServerAddress) -> dict[str, Any]:
        return {
            "host": server.host,
            "port": server.port,
            "username": self.username or None,
            "password": self.password or None,
            "db": self.database,
            # RESP2: on a connection that listens, every reply and message is one list.
            "protocol": 2,
            # Time-outs are the caller's.
            "socket_timeout": None,
            "socket_connect_timeout": None,
        }

    def _trust(self) -> ssl.SSLContext:
        # redis-py adds a file to the certificates of the system; here it takes their place.
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            raise BrokerRefused(
                "The certificates to trust cannot be read; give broker.redis.caFile a file in "
                f"PEM format ({type(error).__name__})."
            ) from error


class _Cut(AbstractConnection):
    """What a connection of redis-py lacks: an end that does not wait for a peer that hangs."""

    _held: WriteTransport | None = None

    async def connect(self) -> None:
        """Connect and sign in."""
        await super().connect()  # type: ignore[no-untyped-call]
        # Where a call is cancelled redis-py forgets the transport, which goes on writing.
        self._held = None if self._writer is None else self._writer.transport

    async def cut(self) -> None:
        """Close the socket at once. What was not sent yet never will be."""
        if self._writer is not None:
            self._held = self._writer.transport
        if self._held is not None:
            # `close` would keep the socket until a frozen server has read all that is buffered.
            self._held.abort()
        await self.disconnect(nowait=True)


class Plain(_Cut, Connection):
    """A connection over TCP."""


class Secure(_Cut, SSLConnection):
    """A connection over TLS, the server's certificate and name verified."""


def read_server(settings: RedisSettings) -> ServerAddress:
    """Return the server that `url`, or else `host` and `port`, names."""
    if not settings.url:
        return ServerAddress(settings.host, settings.port)
    url = urlsplit(settings.url)
    return ServerAddress(url.hostname or settings.host, url.port or _PORT)


def read_login(settings: RedisSettings) -> Login:
    """Return what `url`, or else `username` to `database`, says; TLS is the URL's to choose."""
    if not settings.url:
        return Login(settings.username, settings.password, settings.database)
    url = urlsplit(settings.url)
    return Login(
        username=unquote(url.username or ""),
        password=unquote(url.password or ""),
        database=int(url.path.strip("/") or 0),
        tls=url.scheme == "rediss",
        ca_file=settings.ca_file,
    )


def read_servers(nodes: tuple[str, ...]) -> list[ServerAddress]:
    """Return the servers of a list such as `("redis-1:6379",)`."""
    return [
        ServerAddress(host.strip("[]"), int(port))
        for host, _, port in (n.rpartition(":") for n in nodes)
    ]
