"""Where a Redis server is and how to sign in to it, read from the settings."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import attrs
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection

from ....config import Redis as RedisSettings
from ..bridge import StreamReader, WriteTransport
from ..network import bare_host, client_context, read, written

__all__ = [
    "Login",
    "Plain",
    "Secure",
    "ServerAddress",
    "read_login",
    "read_sentinel_logins",
    "read_server",
    "read_servers",
]

_PORT: Final = 6379

_ERROR: Final = re.compile(rb"-([^\r\n]+)\r\n")


class ServerAddress(NamedTuple):
    """One server's address. `name` is what its certificate proves, where that is not the host."""

    host: str
    port: int
    name: str = ""

    def __str__(self) -> str:
        """`host:port`, as in messages and settings."""
        return written(self.host, self.port)


@attrs.frozen
class Login:
    """How to sign in: the same on all servers of a deployment."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    database: int = 0
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def connection(self, server: ServerAddress) -> Plain | Secure:
        """Return a connection that is not open yet and never opens itself again.

        Raises `BrokerRefused` when a file of certificates is not good.
        """
        if not self.tls:
            return Plain(**self._arguments(server))
        connection = Secure(**self._arguments(server))
        # redis-py adds a file to the certificates of the system; here it takes their place.
        connection.ssl_context.context = client_context("redis", self)
        connection.proves = server.name
        return connection

    def _arguments(self, server: ServerAddress) -> dict[str, Any]:
        return {
            "host": server.host,
            "port": server.port,
            "username": self.username or None,
            "password": self.password or None,
            # Publish and subscribe knows no databases, and users may not be let to select one.
            "db": 0,
            # RESP2: on a connection that listens, every reply and message is one list.
            "protocol": 2,
            # Time-outs are the caller's.
            "socket_timeout": None,
            "socket_connect_timeout": None,
        }


class _Cut(AbstractConnection):
    """What a connection of redis-py lacks: an end that does not wait for a peer that hangs."""

    _held: WriteTransport | None = None
    _heard: StreamReader | None = None

    @property
    def parting_words(self) -> str:
        """What the server said before it hung up: to who is one too many it says so, and is gone.

        redis-py fails at writing then, and reads nothing more.
        """
        said = _ERROR.search(bytes(getattr(self._heard, "_buffer", b"")))
        return said[1].decode(errors="replace") if said is not None else ""

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call, safe-super]
        self._heard = self._reader

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

    proves: str = ""
    """The name in its certificate; empty: the host."""

    def _connection_arguments(self) -> dict[str, Any]:
        arguments = dict(super()._connection_arguments())
        return {**arguments, "server_hostname": self.proves} if self.proves else arguments


def read_server(settings: RedisSettings) -> ServerAddress:
    """Return the server that `url`, or else `host` and `port`, names."""
    if not settings.url:
        return ServerAddress(bare_host(settings.host), settings.port)
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
        cert_file=settings.cert_file,
        key_file=settings.key_file,
    )


def read_sentinel_logins(settings: RedisSettings) -> list[Login]:
    """Return how to sign in to the sentinels: what is tried first comes first.

    Without a password of their own most of them want none, and some have the server's.
    """
    login = attrs.evolve(read_login(settings), database=0)
    if settings.sentinel_password:
        user, password = settings.sentinel_username, settings.sentinel_password
        return [attrs.evolve(login, username=user, password=password)]
    bare = attrs.evolve(login, username="", password="")
    return [bare, login] if login.password else [bare]


def read_servers(nodes: tuple[str, ...]) -> list[ServerAddress]:
    """Return the servers of a list such as `("redis-1:6379",)`."""
    return [ServerAddress(*read(node)) for node in nodes]
