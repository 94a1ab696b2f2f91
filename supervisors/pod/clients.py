"""The part of a pod's tree that holds its clients: one actor a connection, and their pings."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import trio

from ...actors import (
    AccessPolicy,
    ConnectionEnvironment,
    Heartbeat,
    HttpRates,
    Hub,
    Lobby,
    Publisher,
    RulesChanged,
    Uplink,
)
from ...config import Config
from ...transport import Deflater, WebSocketLimits
from ..child import ChildSpec, Service
from ..dynamic import DynamicSupervisor, Pacing
from .basis import Basis
from .collections import CollectionTree
from .rooms import RoomTree
from .upgrader import Upgrader

__all__ = ["ClientTree"]

CLOSE_TIMEOUT: Final = 2.0
"""Seconds a client may take for its half of the closing handshake (RFC 6455 section 7.1.1)."""


class ClientTree:
    """Builds what a pod has for its clients; `upgrade` admits them.

    `publisher` and `lobby` are for who asks over HTTP. Where there are `collections`, they say who
    may listen to their changes. `environment` is what all connections share.
    """

    def __init__(
        self,
        basis: Basis,
        rooms: RoomTree,
        hub: Hub,
        uplink: Uplink | None,
        collections: CollectionTree | None,
    ) -> None:
        config = basis.config
        listening = None if collections is None else collections.listening
        self.access = AccessPolicy(config.access, listening)
        rates = HttpRates(config.limits, trio.current_time, basis.meters.rate_limited)
        self.publisher = Publisher(hub, rooms.directory, self.access, config.limits, rates)
        self.lobby = Lobby(hub, self.access, rates)
        self.heartbeat = Heartbeat(
            config.limits.ping_interval,
            config.limits.pong_timeout,
            spare_the_lively=config.performance.keep_alive_optimization,
        )
        self.supervisor = DynamicSupervisor(
            "pod/connections", pacing=Pacing(window=config.drain.window)
        )
        drain = config.drain
        self._members = basis.members
        self.environment = environment = ConnectionEnvironment(
            limits=config.limits,
            auth=config.auth,
            websocket=_websocket_limits(config),
            access=self.access,
            tokens=basis.tokens,
            rooms=rooms.directory,
            hub=hub,
            heartbeat=self.heartbeat,
            members=basis.members,
            event_ids=basis.event_ids,
            wall=basis.wall,
            everyone=rooms.everyone,
            meters=basis.meters,
            uplink=uplink,
            premises=basis.premises,
            audit=basis.audit,
            retry_after=lambda: random.uniform(drain.retry_after_min, drain.retry_after_max),  # noqa: S311 - jitter
        )
        self._upgrader = Upgrader(
            config,
            self.supervisor,
            environment,
            basis.dead_letters,
            basis.meters,
            shutdown=2 * CLOSE_TIMEOUT,
        )
        self.upgrade = self._upgrader.upgrade
        self._shutdown = drain.deadline
        self._rules = config.access
        basis.in_force.follow(self._adopt)

    def _adopt(self, config: Config) -> None:
        """Live by new settings: those who are connected too."""
        self.environment.limits = config.limits
        self._upgrader.adopt(config.limits)
        self.publisher.adopt(config.limits)
        if config.access == self._rules:
            return
        self._rules = config.access
        self.access.adopt(config.access)
        for member in self._members.values():
            member.ref.signal(RulesChanged())

    def connections(self) -> ChildSpec:
        """Return the specification of the connections' supervisor."""
        return ChildSpec("connections", lambda _: self.supervisor, shutdown=self._shutdown)

    def errands(self) -> ChildSpec:
        """Return the specification of what runs beside connections."""
        run = self.environment.errands.run
        return ChildSpec("errands", lambda path: Service(path, run), tireless=True)

    def pings(self) -> ChildSpec:
        """Return the specification of who pings them all."""
        return ChildSpec("heartbeat", lambda path: Service(path, self._beat), tireless=True)

    async def _beat(self, started: Callable[[], None]) -> None:
        started()
        while True:
            next_beat = self.heartbeat.beat(trio.current_time())
            # Whoever connects meanwhile is due after one interval at the earliest.
            await trio.sleep_until(min(next_beat, trio.current_time() + self.heartbeat.interval))


def _websocket_limits(config: Config) -> WebSocketLimits:
    limits = config.limits
    return WebSocketLimits(
        max_message_bytes=limits.max_message_bytes,
        max_fragments=limits.max_fragments,
        max_buffer_messages=limits.message_buffer_size,
        max_buffer_bytes=limits.max_buffer_bytes,
        stall_timeout=limits.dead_client_timeout,
        read_buffer_size=config.network.read_buffer_size,
        close_timeout=CLOSE_TIMEOUT,
        deflater=Deflater.of(config),
    )
