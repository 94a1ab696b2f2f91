"""A pod: the supervision tree of one process, and what the outside sees of it."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import trio

from ...actors import (
    AccessPolicy,
    ActorCell,
    Affinity,
    Batching,
    ConnectionEnvironment,
    DeadLetters,
    EventIds,
    Exit,
    Heartbeat,
    Hub,
    Listening,
    Member,
    Room,
    RoomEnvironment,
    Rooms,
    Roster,
)
from ...config import Audit, Config, ReadyPolicy, Secrets, ascii_host, bind_log_context, get_logger
from ...documents.collections import ALL_COLLECTIONS, PREFIX, UndefinedChangesRoom
from ...transport import (
    DASHBOARD,
    JSON,
    Certificate,
    Deflater,
    Meters,
    Premises,
    TlsTerminator,
    Tokens,
    WebSocketLimits,
    is_loopback,
    shortage,
)
from ...transport.brokers import load_broker
from ...transport.brokers.contract import Broker
from ...transport.http import Keyring
from ..backoff import Backoff
from ..child import ChildSpec, Node, Service
from ..dynamic import DynamicSupervisor, Pacing
from ..observe import DashboardRoom, Exporter, Views
from ..restart import Intensity, Restart
from ..supervisor import Supervisor
from ..watchdog import Watchdog
from .broker import BrokerTree
from .collections import CollectionTree
from .entrance import Entrance
from .front import make_listener, make_metrics_listener
from .janitor import Janitor
from .stress import StressRunner

__all__ = ["Pod"]

_log = get_logger("realtime")

ROOM_BACKOFF = Backoff(base=0.01, cap=0.25, reset_after=5.0)
"""Short, for what crashed a room is gone with the message; members wait meanwhile."""

ROOM_INTENSITY = Intensity(restarts=60, period=10.0)
"""A room that fails on everything crashes some 80 times in 10 s at that backoff and is given up;
one that fails on a message in a hundred, at a thousand messages a second, some 45 times."""

ROOM_SHUTDOWN = 5.0
"""Seconds a room may take for its last message and its `on_stop`."""

HANDOVER = 2.0
"""Seconds that rooms may take for `on_drain`, all together."""

CLOSE_TIMEOUT = 2.0
"""Seconds a client may take for its half of the closing handshake (RFC 6455 section 7.1.1)."""


class Everyone(Room):
    """The room of all connections, which `emit_to_all` speaks to. Nobody joins or leaves it."""

    keep_alive = True


class Pod:
    """One pod: `hub` to say something, `bind_room` to add room classes, `tree` to look inside.

    Made and run by `open_pod`.
    """

    def __init__(
        self,
        config: Config,
        keys: Secrets,
        rooms: Mapping[str, type[Room[Any]]],
        *,
        dev: bool = False,
        broker: Callable[[], Broker] | None = None,
        stress_command: Sequence[str] | None = None,
        settings: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.settings = settings
        self.dev = dev
        self.pod_id = secrets.token_hex(4)
        self.version = metadata.version("deployd")
        self.started_at = wall()
        self.dead_letters = DeadLetters()
        self.meters = Meters()
        self.audit = Audit(self.meters.audited)
        self.premises = _premises(config, dev=dev, port=lambda: self.port)
        self.watchdog = Watchdog(lag=self.meters.loop_lag)
        self.members: dict[str, Member] = {}
        self.tokens = _tokens(config, keys, wall)
        event_ids = EventIds(self.pod_id)
        make_broker = broker or load_broker(config.broker, config.message_ttl)
        self._broker: BrokerTree | None = None
        if make_broker is not None:
            self._broker = BrokerTree(
                config, self.pod_id, make_broker, self.members, event_ids, wall
            )
        self.uplink = None if self._broker is None else self._broker.uplink
        self.rooms = Rooms(
            rooms,
            RoomEnvironment(
                config.limits, event_ids, wall, Batching.of(config), self.uplink, self.meters
            ),
            self.dead_letters,
            self._start_room,
        )
        roster: Roster[None] = Roster(name=None, members=self.members)
        self._everyone = self.rooms.cell("pod/everyone", Everyone, roster)
        if self._broker is not None:
            self._broker.join(self.rooms, self._everyone.ref, roster)
        self.hub = Hub(
            self.rooms, self._everyone.ref, event_ids, self.uplink, self.members, config.limits
        )
        self.keyring = Keyring(self.tokens, keys.master_key, ttl=config.auth.token_ttl, wall=wall)
        self._collections: CollectionTree | None = None
        if _needs_definitions(config, self._broker):
            self._collections = CollectionTree(
                config, self.pod_id, self.hub, self.dead_letters, wall, dev=dev
            )
            self._collections.bind(self.rooms)
        elif self._broker is not None:
            self.rooms.bind(f"{PREFIX}*", UndefinedChangesRoom)
            self.rooms.bind(ALL_COLLECTIONS, UndefinedChangesRoom)
        self.views = Views(self, wall)
        self.rooms.bind(DASHBOARD, lambda: DashboardRoom(self.views.realtime))
        self.access = AccessPolicy(config.access, self._listening())
        self.heartbeat = Heartbeat(
            config.limits.ping_interval,
            config.limits.pong_timeout,
            spare_the_lively=config.performance.keep_alive_optimization,
        )
        self._connection_supervisor = DynamicSupervisor(
            "pod/connections", pacing=Pacing(window=config.drain.window)
        )
        self.upgrade = Entrance(
            config,
            self._connection_supervisor,
            self._connection_environment(event_ids, wall),
            self.dead_letters,
            self.meters,
            shutdown=2 * CLOSE_TIMEOUT,
        ).upgrade
        served = self._collections if config.server.api_enabled else None
        self.exporter = Exporter(self, trio.current_time)
        self.stress = StressRunner(
            config,
            stress_command,
            url=lambda: f"ws://{_own_host(config)}:{self.port}",
            sign=lambda ttl: self.tokens.sign("root", username="root", is_root=True, ttl=ttl),
            tell=self._tell_watchers,
        )
        tls = config.tls
        self.door = (
            TlsTerminator(Certificate(tls.cert_file, tls.key_file)) if tls.cert_file else None
        )
        self._metrics_listener = make_metrics_listener(self)
        self._listener = make_listener(self, served, wall)
        self._room_supervisor = DynamicSupervisor("pod/rooms", intensity=ROOM_INTENSITY)
        self._root = Supervisor("pod", self._children())
        self._affinity = Affinity()
        self._patience = trio.CancelScope()
        self._stopping: str | None = None
        self._stop_asked = trio.Event()

    # What the outside sees -----------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port the pod listens on."""
        return self._listener.address[1]

    @property
    def metrics_port(self) -> int | None:
        """The port of `metrics.bind`, if there is one."""
        return None if self._metrics_listener is None else self._metrics_listener.address[1]

    def tree(self) -> Node:
        """Describe every live actor: the answer to "what are you doing?"."""
        return self._root.describe()

    def connections(self) -> int:
        """Count the live WebSocket connections."""
        return len(self.members)

    def broker_health(self) -> Mapping[str, object]:
        """Show how each link to the other pods is; a pod without one is its own memory broker."""
        return {"pod": self.pod_id, "links": self.links()}

    def links(self) -> list[Mapping[str, JSON]]:
        """Show the links alone."""
        if self.uplink is not None:
            return [self.uplink.health()]
        return [{"type": "memory", "active": "memory", "state": "closed", "history": []}]

    @property
    def root(self) -> Supervisor:
        """The root of the supervision tree."""
        return self._root

    @property
    def clients(self) -> DynamicSupervisor:
        """The supervisor of the connections, whose names are the clients' ids."""
        return self._connection_supervisor

    @property
    def room_tree(self) -> DynamicSupervisor:
        """The supervisor of the rooms."""
        return self._room_supervisor

    def refused(self) -> Mapping[str, int]:
        """Count the connections that were turned away, by reason; see `ListenerStatistics`."""
        return self._listener.statistics().refused

    def unready(self) -> str | None:
        """Say why no new clients should be sent here (`broker.ready` is the policy), or None.

        Everybody may read it: why the broker is away stands where root looks.
        """
        if self._stopping is not None:
            return "it is stopping"
        policy = self.config.broker.ready
        if self.uplink is None or policy is ReadyPolicy.IGNORE_BROKER:
            return None
        if policy is ReadyPolicy.STARTED and self.uplink.tried:
            return None
        return None if self.uplink.breaker.closed else "the broker is away"

    def bind_room(self, pattern: str, room_class: type[Room[Any]]) -> None:
        """Let rooms whose names match the pattern be of this class, before all other bindings."""
        self._affinity.check("Pod.bind_room")
        self.rooms.bind(pattern, room_class)

    # Life ------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Run the tree until `request_stop`.

        Raises `AddressInUse` or `ListenError` when the port cannot be had, before anything else
        has started, and `IntensityExceeded` when the tree gives up.
        """
        bind_log_context(pod=self.pod_id)
        short = shortage(self.config.limits.max_connections, 1 if self.door is None else 3)
        if short is not None:
            _log.warning("there are fewer files than limits.maxConnections", remedy=short)
        self._listener.open()
        if self._metrics_listener is not None:
            self._metrics_listener.open()
        try:
            with self._patience:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._drain)
                    await self._root.run(started)
                    nursery.cancel_scope.cancel()
        finally:
            self._root.terminated(Exit.shutdown("pod stopped"))
            self._listener.close()
            if self._metrics_listener is not None:
                self._metrics_listener.close()

    def request_stop(self, reason: str) -> None:
        """Stop: not ready from now on, and after `drain.delay` let everybody go.

        Rooms hand over what they want to (`on_drain`), then the tree stops in reverse order of
        start: no more accepts, clients closed paced, rooms last, what was said handed to the
        broker. What still runs `drain.deadline` seconds after the delay is cancelled.
        """
        self._affinity.check("Pod.request_stop")
        if self._stopping is None:
            drain = self.config.drain
            self._stopping = reason
            self._patience.deadline = trio.current_time() + drain.delay + drain.deadline
            self._stop_asked.set()

    async def _drain(self) -> None:
        await self._stop_asked.wait()
        await trio.sleep(self.config.drain.delay)
        await self.rooms.drain(min(HANDOVER, self.config.drain.deadline / 2))
        self._root.request_stop(self._stopping or "")

    # The tree --------------------------------------------------------------------------------

    def _children(self) -> list[ChildSpec]:
        # Given up, and the pod with them, are those without which it is none: the rooms, the
        # collections, the connections and the listener. Of the others none is worth its clients.
        drain = self.config.drain
        return [
            ChildSpec("watchdog", lambda path: Service(path, self.watchdog.run), tireless=True),
            ChildSpec(
                "janitor", lambda path: Service(path, Janitor(self.meters).run), tireless=True
            ),
            *(self._broker.children(self.dead_letters) if self._broker else ()),
            ChildSpec("rooms", lambda _: self._room_supervisor, shutdown=2 * ROOM_SHUTDOWN),
            ChildSpec("everyone", lambda _: self._everyone, backoff=ROOM_BACKOFF, tireless=True),
            *(self._collections.children() if self._collections else ()),
            *self._metrics_child(),
            *self._door_child(),
            ChildSpec(
                "connections", lambda _: self._connection_supervisor, shutdown=drain.deadline
            ),
            ChildSpec("views", lambda path: Service(path, self.views.sample), tireless=True),
            ChildSpec("heartbeat", lambda path: Service(path, self._beat), tireless=True),
            ChildSpec("stress", lambda _: self.stress.supervisor, tireless=True),
            ChildSpec("listener", lambda path: Service(path, self._listener.run)),
        ]

    def _door_child(self) -> list[ChildSpec]:
        door = self.door  # before the connections, for it carries them to their end
        return (
            []
            if door is None
            else [ChildSpec("tls", lambda path: Service(path, door.run), tireless=True)]
        )

    def _metrics_child(self) -> list[ChildSpec]:
        listener = self._metrics_listener
        if listener is None:
            return []
        # Before the connections: a pod that drains is still to be looked at.
        return [ChildSpec("metrics", lambda path: Service(path, listener.run), tireless=True)]

    def _tell_watchers(self, event: str, data: JSON) -> None:
        if self.rooms.find(DASHBOARD) is not None:
            self.hub.emit_to_room(DASHBOARD, event, data)

    async def _beat(self, started: Callable[[], None]) -> None:
        started()
        while True:
            next_beat = self.heartbeat.beat(trio.current_time())
            # Whoever connects meanwhile is due after one interval at the earliest.
            await trio.sleep_until(min(next_beat, trio.current_time() + self.heartbeat.interval))

    def _start_room(self, name: str, make_cell: Callable[[str], ActorCell[Any]]) -> None:
        self._room_supervisor.start_child(
            ChildSpec(
                name,
                make_cell,
                restart=Restart.TRANSIENT,
                shutdown=ROOM_SHUTDOWN,
                backoff=ROOM_BACKOFF,
            )
        )

    def _listening(self) -> Listening | None:
        return None if self._collections is None else self._collections.listening

    def _connection_environment(
        self, event_ids: EventIds, wall: Callable[[], float]
    ) -> ConnectionEnvironment:
        config, limits = self.config, self.config.limits
        drain = config.drain
        return ConnectionEnvironment(
            limits=limits,
            auth=config.auth,
            websocket=WebSocketLimits(
                max_message_bytes=limits.max_message_bytes,
                max_fragments=limits.max_fragments,
                max_buffer_messages=limits.message_buffer_size,
                max_buffer_bytes=limits.max_buffer_bytes,
                stall_timeout=limits.dead_client_timeout,
                read_buffer_size=config.network.read_buffer_size,
                close_timeout=CLOSE_TIMEOUT,
                deflater=Deflater.of(config),
            ),
            access=self.access,
            tokens=self.tokens,
            rooms=self.rooms,
            hub=self.hub,
            heartbeat=self.heartbeat,
            members=self.members,
            event_ids=event_ids,
            wall=wall,
            everyone=self._everyone.ref,
            meters=self.meters,
            uplink=self.uplink,
            premises=self.premises,
            audit=self.audit,
            retry_after=lambda: random.uniform(drain.retry_after_min, drain.retry_after_max),  # noqa: S311 - jitter
        )


def _needs_definitions(config: Config, broker: BrokerTree | None) -> bool:
    """Whether a pod has to know the collections: it serves them, or hears of their changes."""
    return config.server.api_enabled or (
        broker is not None and Path(config.collections.folder).is_dir()
    )


def _premises(config: Config, *, dev: bool, port: Callable[[], int]) -> Premises:
    server = config.server
    return Premises(
        port=port,
        dev=dev,
        loopback=is_loopback(server.host),
        proxied=bool(server.trusted_proxies),
        tls=bool(config.tls.cert_file),
        hosts=frozenset(ascii_host(host) or host for host in server.hosts),
    )


def _own_host(config: Config) -> str:
    """Return how this machine reaches the pod."""
    host = config.server.host
    name = "127.0.0.1" if host in ("", "0.0.0.0", "::", "localhost") else host  # noqa: S104
    return f"[{name}]" if ":" in name else name


def _tokens(config: Config, keys: Secrets, wall: Callable[[], float]) -> Tokens:
    auth = config.auth
    return Tokens(
        keys.jwt_secret,
        algorithms=auth.algorithms,
        issuer=auth.issuer,
        require_issuer=auth.require_issuer,
        leeway=auth.leeway,
        wall=wall,
    )
