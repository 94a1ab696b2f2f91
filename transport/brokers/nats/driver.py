"""NATS, one server or several, through nats-py.

`publish` returns when the server that this pod is connected to has handled the batch (PING, PONG).
What that promises in a cluster: subscribers of the same server have been sent the messages, and
the routes to the other servers have them queued, in order; when this server dies at that moment
they are lost, and its own clients, but not those of the others, learn that something was.

A subscription is told to the other servers over the same routes. The server has no way to say when
they know: `subscribe` waits for `ROUTE_GRACE` where there are routes, many times what they
need, and a canary published through another server would be the only proof.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from ....config import Nats as NatsSettings
from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from ..bridge import Feed, Lock, addresses, sleep
from ..contract import Channel, Message
from .client import NatsConnection
from .login import login

__all__ = ["ROUTE_GRACE", "NatsDriver"]

ROUTE_GRACE: Final = 0.05
"""Seconds for the routes of a cluster to carry a subscription to its other servers."""

_STEP: Final = 1
"""Seconds that a server may take for each step of connecting where there are others to try."""

_NO_TIMEOUT: Final = 3600
"""Seconds for the same where there is none: the link's own time-out comes first."""

_REFUSALS: Final = (
    "authorization violation",
    "authorization failed",
    "permissions violation",
    "authentication expired",
    "authentication revoked",
    "account authentication",
)
"""Parts of what a server says that only an operator can mend."""


class NatsDriver:
    """One connection to one of the servers that the settings name. It never reconnects."""

    def __init__(self, settings: NatsSettings) -> None:
        first = f"{settings.host}:{settings.port}"
        self._servers = list(dict.fromkeys((first, *settings.servers)))
        self._settings = settings
        self._prefix = f"{settings.subject}."
        self._connection: NatsConnection | None = None
        self._feed: Feed | None = None
        self._failure: BrokerError | None = None
        self._routed = False
        self._subscriptions: dict[Channel, Subscription] = {}
        self._subscribing = Lock()
        self.max_payload = 1024 * 1024
        self.node = ""
        self.endpoint = first

    async def open(self, feed: Feed) -> None:
        """Try each server once, in any order, until one takes us."""
        options = login(self._settings)
        errors: list[BrokerError] = []
        servers = await self._find()
        for server, name in random.sample(servers, len(servers)):
            self.endpoint = server
            timeout = _STEP if len(servers) > 1 else _NO_TIMEOUT
            proof = {"tls_hostname": name} if self._settings.tls and name else {}
            try:
                await self._connect(server, timeout, {**options, **proof})
            except BrokerError as error:
                errors.append(error)
                await self.close()
            else:
                self._feed = feed
                return
        raise next((error for error in errors if isinstance(error, BrokerRefused)), errors[0])

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        """Subscribe, and wait until the server has, and its routes should have."""
        connection = self._connected()
        async with self._subscribing:
            for channel in channels:
                if channel not in self._subscriptions:
                    subscription = await connection.subscribe(self._prefix + channel)
                    # We never iterate, and it holds what holds it: 3.5 KB a room that has ended.
                    subscription._message_iterator = None  # noqa: SLF001
                    self._subscriptions[channel] = subscription
        await self._settle(connection)
        if self._routed:
            await sleep(ROUTE_GRACE)

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """See `Broker.resubscribe`."""
        await self.subscribe(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        """Unsubscribe, and wait until the server has."""
        connection = self._connected()
        async with self._subscribing:
            for channel in channels:
                subscription = self._subscriptions.pop(channel, None)
                if subscription is not None:
                    await subscription.unsubscribe()
        await self._settle(connection)

    async def publish(self, batch: Sequence[Message]) -> None:
        """Send the whole batch, and wait until the server has handled it."""
        connection = self._connected()
        for channel, payload in batch:
            await connection.publish(self._prefix + channel, payload)
        await self._settle(connection)

    async def close(self) -> None:
        """Close the socket: what was not yet confirmed is not waited for."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    def probes(self, channel: Channel) -> Sequence[Channel]:
        """Return the channel: there is one connection to prove."""
        return (channel,)

    # What the connection tells.

    async def heard(self, subject: str, payload: bytes) -> None:
        """Hand a message to the feed."""
        if self._feed is not None:
            await self._feed.put(subject.removeprefix(self._prefix), payload)

    def informed(self, info: Mapping[str, object], first: bool) -> None:
        """Note the server's limit; refuse one without the TLS that was asked for."""
        if first and self._settings.tls and not info.get("tls_required"):
            raise BrokerRefused(
                f"{self.endpoint} offers no TLS: configure it there, or set broker.nats.tls off."
            )
        limit = info.get("max_payload")
        if isinstance(limit, int) and limit > 0:
            self.max_payload = limit if first else min(limit, self.max_payload)
        self._routed = bool(info.get("cluster", self._routed))

    def ended(self) -> None:
        """Report what ended the connection."""
        if self._connection is not None:
            self._lose(self._translated(self._connection.last_error))

    async def _find(self) -> list[tuple[str, str]]:
        """Return the servers, each with the name that its certificate proves if not its own.

        A cluster may hide behind one name: then each of its addresses is a server.
        """
        servers = [(server, "") for server in self._servers]
        host, port = self._settings.host, self._settings.port
        if self._settings.cluster:
            with suppress(OSError):  # connecting to the name will say so
                found = [(address, host) for address in await addresses(host, port)]
                return [*found, *servers[1:]]
        return servers

    async def _connect(self, server: str, timeout: int, options: Mapping[str, Any]) -> None:
        self._connection = connection = NatsConnection(self)
        try:
            await connection.connect(
                f"nats://{server}",
                name="deployd",
                allow_reconnect=False,
                connect_timeout=timeout,
                error_cb=self._errored,
                lame_duck_mode_cb=self._lame,
                **options,
            )
        except (OSError, NatsError) as error:
            raise self._translated(error) from None
        if not connection.is_connected:
            raise BrokerUnavailable(f"{server}: the server closed the connection at once.")

    async def _errored(self, error: Exception) -> None:
        if self._feed is None:
            raise error  # while connecting, nats-py would try again, for two minutes
        self._lose(self._translated(error))

    async def _lame(self) -> None:
        self._lose(BrokerUnavailable(f"{self.endpoint}: the server is about to stop."))

    def _lose(self, error: BrokerError) -> None:
        self._failure = self._failure or error
        if self._feed is not None:
            self._feed.lost(self._failure)

    def _connected(self) -> NatsConnection:
        if self._failure is not None:
            raise self._failure
        if self._connection is None or not self._connection.is_connected:
            raise BrokerUnavailable(f"{self.endpoint}: not connected.")
        return self._connection

    async def _settle(self, connection: NatsConnection) -> None:
        await connection.settle()
        # Without a read loop `settle` returns at once, and proves nothing.
        self._connected()

    def _translated(self, error: Exception | None) -> BrokerError:
        """Put a failure into a sentence: what servers say holds no secret, ours might."""
        if isinstance(error, NatsError):
            said = str(error).removeprefix("nats: ").strip("'\"").lower()
            if any(refusal in said for refusal in _REFUSALS):
                return BrokerRefused(f"{self.endpoint}: {said[:200]}: {self._remedy(said)}.")
            return BrokerUnavailable(f"{self.endpoint}: {said[:200]}.")
        if isinstance(error, ssl.SSLCertVerificationError):
            return BrokerRefused(
                f"{self.endpoint}: {error.verify_message}: see broker.nats.caFile and host."
            )
        if isinstance(error, OSError):
            what = error.strerror or type(error).__name__
            return BrokerUnavailable(f"{self.endpoint}: {what}.")
        return BrokerUnavailable(f"{self.endpoint}: the connection is gone.")

    def _remedy(self, said: str) -> str:
        if "permissions" in said:
            return f"let this user publish and subscribe to {self._prefix}>"
        if self._settings.credentials_file:
            return "see broker.nats.credentialsFile"
        if self._settings.token:
            return "see broker.nats.token"
        return "see broker.nats.username and broker.nats.password, or token"
