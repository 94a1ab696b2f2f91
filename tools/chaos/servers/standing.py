"""A broker that was there before, and that nothing is done to: only what goes to it can fail."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import trio
from attrs import field, frozen

from .deployment import Deployment, Endpoint, Misfortune
from .errors import BadEndpoint, DoesNotAnswer

__all__ = ["StandingBroker", "WhereBroker", "read_endpoint", "standing_broker"]

_KINDS: Final = {"redis": "redis", "nats": "nats", "amqp": "rabbitmq"}
_PORTS: Final = {"redis": 6379, "nats": 4222, "amqp": 5672}
_OWN: Final = {"redis": "prefix", "nats": "subject", "rabbitmq": "exchange"}
"""The setting that keeps deployments apart."""
ANSWERS: Final = 5.0
"""Seconds for a connection to be accepted."""


@frozen
class WhereBroker:
    """Where a broker is, and how pods sign in; `path` is RabbitMQ's virtual host."""

    scheme: str
    address: Endpoint
    username: str
    password: str = field(repr=False)
    path: str

    @property
    def kind(self) -> str:
        """Which broker it is."""
        return _KINDS[self.scheme]

    def __str__(self) -> str:
        """Its URL, without the password."""
        user = f"{self.username}@" if self.username else ""
        path = f"/{self.path}" if self.path else ""
        return f"{self.scheme}://{user}{self.address}{path}"


def read_endpoint(url: str) -> WhereBroker:
    """Read a URL. Raises `BadEndpoint`, which does not repeat it: there may be a password in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadEndpoint(f"The endpoint is no URL: {error}.") from None
    if parts.scheme not in _KINDS:
        raise BadEndpoint(
            "An endpoint is redis://, nats:// or amqp:// with a host; TLS cannot be read by a "
            "proxy, and its certificate would not be the proxy's."
        )
    if not parts.hostname or parts.query or parts.fragment:
        raise BadEndpoint("An endpoint is such as amqp://user:password@host:5672/vhost.")
    return WhereBroker(
        parts.scheme,
        Endpoint(parts.hostname, port or _PORTS[parts.scheme]),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        unquote(parts.path.removeprefix("/")),
    )


class StandingBroker(Deployment):
    """One server of a kind, that others may use too: pods are under a name that nobody else has."""

    def __init__(self, where: WhereBroker, folder: Path) -> None:
        super().__init__("single", folder)
        self.kind = where.kind
        self._where = where
        self._name = f"chaos-{secrets.token_hex(4)}"

    @property
    def addresses(self) -> Sequence[Endpoint]:
        """See `Deployment.addresses`."""
        return [self._where.address]

    async def begin(self, nursery: trio.Nursery) -> None:
        """See that it answers."""
        del nursery
        await self.see()

    async def see(self) -> None:
        """Connect once. Raises `DoesNotAnswer`."""
        try:
            with trio.fail_after(ANSWERS):
                stream = await trio.open_tcp_stream(*self._where.address)
        except (OSError, trio.TooSlowError):
            raise DoesNotAnswer(
                f"Nothing answers at {self._where}: does it run, and may this machine reach it?"
            ) from None
        await stream.aclose()

    def settings(
        self, pod: int, *, through: Mapping[Endpoint, Endpoint] | None = None, roam: bool = False
    ) -> dict[str, object]:
        """See `Deployment.settings`; all pods have the one user that the URL names."""
        del pod, roam
        where = self._where
        way = (through or {}).get(where.address, where.address)
        own: dict[str, object] = {"host": way.host, "port": way.port, _OWN[where.kind]: self._name}
        if where.kind == "redis":
            own["prefix"] = f"{self._name}:"
        if where.username:
            own["username"] = where.username
        if where.password:
            own["password"] = where.password
        if where.kind == "rabbitmq" and where.path:
            own["vhost"] = where.path
        return {"type": where.kind, "enabled": True, where.kind: own}

    def cannot(self, trouble: Misfortune) -> str | None:
        """Refuse whatever is done to the server."""
        return f"{self._where} was not started here, so nothing is done to it ({trouble.name})."

    def dismiss(self, place: int) -> None:
        """Have no server to end."""
        raise AssertionError(f"server {place} is not ours")


@asynccontextmanager
async def standing_broker(where: WhereBroker, folder: Path) -> AsyncIterator[StandingBroker]:
    """Use a broker for the length of the block. Raises `DoesNotAnswer`."""
    deployment = StandingBroker(where, folder)
    await deployment.see()
    yield deployment
