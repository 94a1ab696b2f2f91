"""NATS, one server or several, through nats-py.

`publish` returns when the server that this pod is connected to has handled the batch (PING, PONG).
What that promises in a cluster: subscribers of the same server have been sent the messages, and
the routes to the other servers have them queued, in order; when this server dies at that moment
they are lost, and its own clients, but not those of the others, learn that something was.

What a server denies of a batch it says before its PONG, for each message and subscription apart:
those are refused, all others are taken, and the connection goes on.

A subscription is told to the other servers over the same routes, and the server has no way to say
when they know: `subscribe` returns when this server does. What is heard from the others is for pods
to prove to each other (`Broker.node`).
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, Final

from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from ....config import Nats as NatsSettings
from ...errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    MessagesRefused,
    SubscriptionRefused,
)
from ..bridge import Feed, Lock, addresses
from ..contract import Channel, Message, node_name
from ..network import bare_host, read, tls_sentence, written
from .client import NatsConnection
from .login import login

__all__ = ["NatsDriver"]

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

_FULL: Final = (
    ("maximum connections", "raise its max_connections, or close others"),
    ("maximum account", "raise the limit of the account, or close others"),
    ("maximum payload", "it has lowered its max_payload"),
)
"""What is full, which no credentials mend."""


class NatsDriver:
    """One connection to one of the servers that the settings name. It never reconnects."""

    def __init__(self, settings: NatsSettings) -> None:
        first = written(settings.host, settings.port)
        others = (written(*read(server)) for server in settings.servers)
        self._servers = list(dict.fromkeys((first, *others)))
        self._settings = settings
        self._prefix = f"{settings.subject}."
        self._connection: NatsConnection | None = None
        self._feed: Feed | None = None
        self._failure: BrokerError | None = None
        self._subscriptions: dict[Channel, Subscription] = {}
        self._subscribing = Lock()
        self._refused: set[Channel] = set()
        self._exceeding = 0
        self._publishing: list[set[Channel]] = []
        self.max_payload = 1024 * 1024
        self.node = ""
        self.routed = False
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
        """Subscribe, and wait until the server has."""
        await self._subscribe([each for each in channels if each not in self._subscriptions])

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        """Subscribe anew, and let the old subscription go when the server has the new one."""
        await self._subscribe(channels)

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
        unsayable: set[Channel] = set()
        self._publishing.append(unsayable)
        try:
            for channel, payload in batch:
                await connection.publish(self._prefix + channel, payload)
            await self._settle(connection)
        finally:
            self._publishing.remove(unsayable)
        if unsayable:
            places = [at for at, (channel, _) in enumerate(batch) if channel in unsayable]
            if places:  # else it was said of what another call publishes
                raise MessagesRefused(places, self._denied("publish to", batch[places[0]][0]))

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
        if first:
            self._demand_tls(info)
            self.node = node_name(info.get("server_id"))
        limit = info.get("max_payload")
        if isinstance(limit, int) and limit > 0:
            self.max_payload = limit if first else min(limit, self.max_payload)
        self.routed = bool(info.get("cluster", self.routed))

    def unsayable(self, subject: str) -> None:
        """Note it for the calls that are under way: it is said before their PONG."""
        for refused in self._publishing:
            refused.add(subject.removeprefix(self._prefix))

    def unhearable(self, subject: str) -> None:
        """Note it for the call that is under way, or have it told."""
        channel = subject.removeprefix(self._prefix)
        if self._subscribing.locked():
            self._refused.add(channel)
        else:
            self._forget([channel])

    def full(self) -> None:
        """Count it for the call that is under way."""
        self._exceeding += 1

    def ended(self) -> None:
        """Report what ended the connection."""
        if self._connection is not None:
            self._lose(self._translated(self._connection.last_error))

    def _demand_tls(self, info: Mapping[str, object]) -> None:
        """Refuse a server that wants other TLS than the settings, before anything is sent to it."""
        required, settings = bool(info.get("tls_required")), self._settings
        if settings.tls and not (required or info.get("tls_available")):
            raise BrokerRefused(
                f"{self.endpoint} offers no TLS: configure it there, or set broker.nats.tls off."
            )
        if required and not settings.tls:
            raise BrokerRefused(f"{self.endpoint} wants TLS: set broker.nats.tls on.")
        if info.get("tls_verify") and settings.tls and not settings.cert_file:
            raise BrokerRefused(
                f"{self.endpoint} wants a certificate of the pod: set broker.nats.certFile and "
                "keyFile."
            )

    async def _subscribe(self, channels: Sequence[Channel]) -> None:
        async with self._subscribing:
            connection = self._connected()
            self._refused, self._exceeding = set(), 0
            asked = {
                channel: await connection.subscribe(self._prefix + channel)
                for channel in dict.fromkeys(channels)
            }
            await self._settle(connection)
            if any(channel in self._subscriptions for channel in asked):
                # A server looks up whom a message goes to beside what it does for us: one that it
                # looked up just before it took these comes behind their PONG, to the old ones.
                await self._settle(connection)
            # A server that is full takes none of what comes after.
            full = set(list(asked)[len(asked) - self._exceeding :]) if self._exceeding else set()
            refused = [channel for channel in asked if channel in self._refused | full]
            for channel, subscription in asked.items():
                # We never iterate, and it holds what holds it: 3.5 KB a room that has ended.
                subscription._message_iterator = None  # noqa: SLF001
                over: Subscription | None = subscription
                if channel not in refused:
                    over = self._subscriptions.get(channel)
                    self._subscriptions[channel] = subscription
                if over is not None:
                    await over.unsubscribe()
            self._forget(self._refused.difference(asked))
        if refused:
            raise SubscriptionRefused(refused, self._why(refused[0], full))

    def _why(self, channel: Channel, full: Set[Channel]) -> str:
        if channel in full:
            return f"{self.endpoint}: this user has too many subscriptions: raise max_subs."
        return self._denied("subscribe to", channel)

    def _forget(self, channels: Iterable[Channel]) -> None:
        """Have it told that the server has ended these while others were subscribed."""
        for channel in channels:
            if self._subscriptions.pop(channel, None) is not None and self._feed is not None:
                self._feed.unheard([channel])

    def _denied(self, what: str, channel: Channel) -> str:
        return (
            f"{self.endpoint}: permissions violation: let this user {what} {self._prefix}>, and "
            f"so {self._prefix}{channel}."
        )

    async def _find(self) -> list[tuple[str, str]]:
        """Return the servers, each with the name that its certificate proves if not its own.

        A cluster may hide behind one name: then each of its addresses is a server.
        """
        servers = [(server, "") for server in self._servers]
        host, port = bare_host(self._settings.host), self._settings.port
        if self._settings.cluster:
            with suppress(OSError):  # connecting to the name will say so
                found = await addresses(host, port)
                return [*((written(address, port), host) for address in found), *servers[1:]]
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
            said = connection.parting_words
            raise self._translated(NatsError(said) if said else error) from None
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

    def _translated(self, error: BaseException | None) -> BrokerError:
        """Put a failure into a sentence: what servers say holds no secret, ours might."""
        wrong = tls_sentence(error, "nats")
        if wrong is not None:
            return BrokerRefused(f"{self.endpoint} {wrong}.")
        if isinstance(error, NatsError):
            said = str(error).removeprefix("nats: ").strip("'\"").lower()
            if any(refusal in said for refusal in _REFUSALS):
                return BrokerRefused(f"{self.endpoint}: {said[:200]}: {self._remedy(said)}.")
            full = next((remedy for sign, remedy in _FULL if sign in said), "")
            return BrokerUnavailable(f"{self.endpoint}: {said[:200]}{full and f': {full}'}.")
        if isinstance(error, socket.gaierror):
            return BrokerUnavailable(
                f"{self.endpoint}: the name cannot be resolved; check broker.nats.host and the DNS."
            )
        if isinstance(error, OSError):
            what = error.strerror or type(error).__name__
            return BrokerUnavailable(f"{self.endpoint}: {what}.")
        return BrokerUnavailable(f"{self.endpoint}: the connection is gone.")

    def _remedy(self, said: str) -> str:
        if "permissions" in said:
            return f"let this user publish and subscribe to {self._prefix}>"
        if self._settings.nkey_file:
            return "see broker.nats.nkeyFile"
        if self._settings.credentials_file:
            return "see broker.nats.credentialsFile"
        if self._settings.token:
            return "see broker.nats.token"
        return "see broker.nats.username and broker.nats.password, or token"
