"""From a request for a WebSocket to an actor of its own, or the reason why not."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from typing import Any

import trio
from attrs import evolve

from ...actors import ActorCell, ConnectionEnvironment, DeadLetters, connection_cell
from ...config import Audited, Config, Limits
from ...transport import (
    Admission,
    Meters,
    Refusal,
    Shares,
    UpgradeRequest,
    client_address,
    networks,
    refuse_upgrade,
    share_of,
)
from ..child import ChildSpec
from ..dynamic import DynamicSupervisor
from ..errors import NotRunning, TooManyChildren
from ..restart import Restart

__all__ = ["Upgrader"]


class Upgrader:
    """Admits clients as children of the supervisor of connections.

    `shutdown` is how long a connection may take to end, in seconds.
    """

    def __init__(
        self,
        config: Config,
        connections: DynamicSupervisor,
        environment: ConnectionEnvironment,
        dead_letters: DeadLetters,
        meters: Meters,
        shutdown: float,
    ) -> None:
        limits = config.limits
        self._config = config
        self._connections = connections
        self._environment = environment
        self._dead_letters = dead_letters
        self._shutdown = shutdown
        self._trusted = networks(config.server.trusted_proxies)
        self._admission = Admission(
            limits.accept_rate,
            limits.accept_burst,
            _connections(limits),
            share=limits.address_share,
            now=0.0,
            random=random.random,
            rate_limited=meters.rate_limited,
        )

    def adopt(self, limits: Limits) -> None:
        """Admit by these limits from now on; who is in stays."""
        self._admission.change_places(_connections(limits))
        self._admission.change_rate(
            limits.accept_rate,
            limits.accept_burst,
            share=limits.address_share,
            now=trio.current_time(),
        )

    def upgrade(self, request: UpgradeRequest) -> Refusal | None:
        """Take a handshake over as a connection of its own, or say why not; never waits."""
        forwarded = [value for name, value in request.headers if name == "x-forwarded-for"]
        address = client_address(request.remote, forwarded, self._trusted)
        request = evolve(request, remote=address)
        return (
            self._refuse(request)
            or self._admission.refuse(address, trio.current_time())
            or self._admit(request)
        )

    def cell(self, path: str, request: UpgradeRequest, ended: Callable[[], None]) -> ActorCell[Any]:
        """Make the cell of a connection that was let in."""
        return connection_cell(path, request, self._environment, self._dead_letters, ended)

    def left(self, remote: str) -> None:
        """Let the next one have the place of a connection from an address."""
        self._admission.left(remote)

    def _refuse(self, request: UpgradeRequest) -> Refusal | None:
        return self._refuse_name(request) or self._refuse_origin(request)

    def _refuse_name(self, request: UpgradeRequest) -> Refusal | None:
        premises = self._environment.premises
        sentence = premises.misdirected(request.remote, request.headers, websocket=True)
        if sentence is None:
            return None
        self._audit(Audited.HOST_REFUSED, request, "host")
        return Refusal(421, sentence)

    def _refuse_origin(self, request: UpgradeRequest) -> Refusal | None:
        config = self._config
        refusal = refuse_upgrade(
            request.headers,
            allowed=config.origins.allowed,
            allow_missing=config.origins.allow_missing,
            enabled=config.enabled,
        )
        if refusal is not None and refusal.status == 403:
            self._audit(Audited.ORIGIN_REFUSED, request, "origin")
        return refusal

    def _audit(self, what: Audited, request: UpgradeRequest, field: str) -> None:
        values = [value for name, value in request.headers if name == field]
        details = {field: ", ".join(values)}
        self._environment.audit(what, address=request.remote, path="/socket.io/", **details)

    def _admit(self, request: UpgradeRequest) -> Refusal | None:
        spec = ChildSpec(
            secrets.token_hex(8),
            _Admitted(self, request).cell,
            restart=Restart.TEMPORARY,
            shutdown=self._shutdown,
        )
        try:
            self._connections.start_child(spec)
        except (NotRunning, TooManyChildren):
            self._admission.left(request.remote)
            sentence = "This pod is stopping; connect again in a moment."
            retry = f"{self._environment.retry_after():.0f}"
            return Refusal(503, sentence, (("Retry-After", retry),))
        return None


class _Admitted:
    """Somebody who may come in, and whose place is free again when the connection has ended."""

    __slots__ = ("_remote", "_request", "_upgrader")

    def __init__(self, upgrader: Upgrader, request: UpgradeRequest) -> None:
        self._upgrader = upgrader
        self._request: UpgradeRequest | None = request
        self._remote = request.remote

    def cell(self, path: str) -> ActorCell[Any]:
        # Handed over, not kept: the request's head would stay in memory with the connection.
        request, self._request = self._request, None
        assert request is not None  # noqa: S101 - a specification is carried out once
        return self._upgrader.cell(path, request, self._left)

    def _left(self) -> None:
        self._upgrader.left(self._remote)


def _connections(limits: Limits) -> Shares:
    """Return the connections there may be, and how many of them one address may have."""
    total = limits.max_connections
    share = share_of(total, limits.address_share)
    return Shares(total, limits.max_connections_per_address or share)
