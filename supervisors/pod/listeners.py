"""What a pod's ports answer: its listener, and that of the metrics where they have their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import trio
from attrs import evolve, frozen
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import Scope

from ...actors import Lobby, Publisher, RoomFactory
from ...config import Audit, Config, get_logger, private_paths, read_origin
from ...documents.http import (
    AuthView,
    auth_routes,
    catalogue_routes,
    collection_routes,
    room_routes,
)
from ...documents.store import database_files, database_url
from ...transport import (
    JSON,
    Attempts,
    ClientProtocol,
    Listener,
    ListenerLimits,
    Premises,
    Refusal,
    Shares,
    TlsTerminator,
    UpgradeRequest,
    is_loopback,
    networks,
    share_of,
)
from ...transport.http import (
    Authenticator,
    HttpLimits,
    HttpServer,
    Keyring,
    Mounted,
    MountedRoute,
    PublicFiles,
    chaos_routes,
    create_app,
    create_metrics_app,
    log_level_routes,
    stress_routes,
)
from ..chaos import Injector
from ..description import node_to_json
from ..observe import Exporter, Views, Watched, pods_of
from .collections import CollectionTree
from .health import Health
from .room_docs import room_docs_routes
from .stress import StressRunner

__all__ = ["Served", "make_listener", "make_metrics_listener"]

_log = get_logger("realtime")

NO_WEBSOCKET: Final = Refusal(404, "There is no WebSocket at this address, only metrics.")

LAST_ANSWER: Final = 4.0
"""Seconds that a stopping pod lets requests go on, so that who wrote learns that it is written. A
little less than the listener has to stop."""


@frozen(kw_only=True, eq=False)
class Served:
    """What a pod's ports answer from.

    `settings` is the file of the configuration, which nobody gets to see. `upgrade` takes a
    WebSocket handshake over, or says why not; in it one of `protocols` is spoken. `publisher` says
    what comes over HTTP for rooms, `lobby` shows which there are. `collections` is None for a pod
    that serves none, `tls` for one that does not encrypt. `bindings` are the application's rooms by
    pattern. `wall` returns unix seconds. `mounted` answers what is not the pod's.
    """

    watched: Watched
    health: Health
    settings: Path | None
    keyring: Keyring
    audit: Audit
    premises: Premises
    views: Views
    exporter: Exporter
    stress: StressRunner
    chaos: Injector | None
    upgrade: Callable[[UpgradeRequest], Refusal | None]
    publisher: Publisher
    lobby: Lobby
    protocols: Sequence[ClientProtocol]
    collections: CollectionTree | None
    bindings: Mapping[str, RoomFactory]
    tls: TlsTerminator | None
    wall: Callable[[], float]
    mounted: Mounted | None

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.watched.config


def make_listener(pod: Served) -> Listener:
    """Make what listens for a pod: to WebSocket upgrades, and HTTP for pages and collections."""
    config, authenticator = pod.config, _authenticator(pod)
    public = _public(config, pod.settings)
    app = create_app(
        _Pages(pod, authenticator),
        pod.wall,
        public=public,
        routes=[
            *stress_routes(authenticator.refuse_all_but_root, pod.stress),
            *log_level_routes(authenticator.refuse_all_but_root),
            *chaos_routes(authenticator.refuse_all_but_root, pod.chaos),
            *_routes(pod, authenticator, public),
        ],
        origins=config.origins.allowed,
        home=pod.mounted is None,
    )
    return Listener(
        config.server.host,
        config.server.port,
        serve=HttpServer(
            app,
            _http_limits(config),
            on_upgrade=pod.upgrade,
            privileged=_Privileges(authenticator).has,
            websocket=config.enabled,
            origins=[str(each) for each in map(read_origin, config.origins.allowed) if each],
            memory=Shares.of(config.limits.max_http_bytes, config.limits),
            protocols=pod.protocols,
        ).serve,
        limits=evolve(_listener_limits(config), share_port=config.server.share_port),
        tls=pod.tls,
    )


def make_metrics_listener(pod: Served) -> Listener | None:
    """Make what answers metrics and health at an address of its own, if there is to be one."""
    config = pod.config
    if not config.metrics.bind:
        return None
    host, _, port = config.metrics.bind.rpartition(":")
    # Scrapers come by the names of another network, and nothing is encrypted here.
    premises = evolve(pod.premises, loopback=is_loopback(host), hosts=frozenset(), tls=False)
    app = create_metrics_app(pod.health, pod.exporter.expose, premises, pod.audit)
    return Listener(
        host,
        int(port),
        serve=HttpServer(
            app,
            _http_limits(config),
            on_upgrade=lambda _: NO_WEBSOCKET,
            privileged=lambda _: True,
            websocket=False,
            memory=Shares.of(config.limits.max_http_bytes, config.limits),
        ).serve,
        limits=_listener_limits(config),
        options=("metrics.bind", "metrics.bind"),
    )


def _public(config: Config, settings: Path | None) -> PublicFiles:
    files = database_files(database_url(config.store, Path(config.server.data)))
    private = [*private_paths(config), *files, *filter(None, [settings])]
    public = PublicFiles(Path(config.server.public), private)
    exposed = public.exposed()
    if exposed:
        _log.warning(
            "server.public holds what is for nobody, and is not served; move it elsewhere",
            public=config.server.public,
            private=sorted(map(str, exposed)),
        )
    return public


def _authenticator(pod: Served) -> Authenticator:
    auth = pod.config.auth
    guesses = Attempts(auth.login_attempts, auth.login_period)
    authenticator = Authenticator(
        keyring=pod.keyring,
        guesses=guesses,
        clock=trio.current_time,
        rate_limited=pod.watched.meters.rate_limited,
        premises=pod.premises,
        scrape_token=pod.config.metrics.token,
        audit=pod.audit,
    )

    def adopt(config: Config) -> None:
        authenticator.scrape_token = config.metrics.token

    pod.watched.in_force.follow(adopt)
    return authenticator


def _http_limits(config: Config) -> HttpLimits:
    limits = config.limits
    return HttpLimits(
        max_head_bytes=limits.max_head_bytes,
        max_body_bytes=limits.max_body_bytes,
        head_timeout=limits.handshake_timeout,
        body_timeout=limits.handshake_timeout,
        keep_alive_timeout=limits.keep_alive_timeout,
        trusted=networks(config.server.trusted_proxies),
    )


def _listener_limits(config: Config) -> ListenerLimits:
    limits = config.limits
    return ListenerLimits(
        max_connections=limits.max_http_connections,
        max_per_address=share_of(limits.max_http_connections, limits.address_share),
        handshake_timeout=limits.handshake_timeout,
        trusted=networks(config.server.trusted_proxies),
        tcp_no_delay=config.network.tcp_no_delay,
        grace=min(LAST_ANSWER, config.drain.deadline),
    )


def _routes(pod: Served, authenticator: Authenticator, public: PublicFiles) -> Sequence[BaseRoute]:
    auth, collections = pod.config.auth, pod.collections
    view = AuthView(
        accounts=None if collections is None else collections.accounts,
        keyring=pod.keyring,
        authenticator=authenticator,
        attempts=Attempts(auth.login_attempts, auth.login_period),
        clock=trio.current_time,
        rate_limited=pod.watched.meters.rate_limited,
    )
    api = None if collections is None else collections.api
    others = (
        public.route() if pod.mounted is None else MountedRoute(pod.mounted, _owns(collections))
    )
    return [
        *auth_routes(view),
        *room_routes(pod.publisher, pod.lobby, authenticator),
        *catalogue_routes(api, authenticator.identify, pod.watched.version),
        *room_docs_routes(
            pod.bindings, pod.watched.access, authenticator.identify, pod.watched.version
        ),
        others,
        *collection_routes(api, authenticator.identify, authenticator.own),
    ]


def _owns(collections: CollectionTree | None) -> Callable[[str], bool]:
    """Say of a path whether it is a collection's, as long as there is one."""
    if collections is None:
        return lambda _: False
    directory = collections.directory
    return lambda path: directory.find(path.strip("/").partition("/")[0]) is not None


class _Privileges:
    """Who is answered also where there is no room: who asks how the pod is, and root."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def has(self, scope: Scope) -> bool:
        """Say whether a request has the privilege; wrong keys are counted as anywhere."""
        path: str = scope["path"]
        if path == "/metrics" or path.startswith("/health/"):
            return True
        return self._authenticator.knows(Request(scope))


class _Pages:
    """The pod as the pages see it: only what they may show."""

    def __init__(self, pod: Served, authenticator: Authenticator) -> None:
        self._watched = pod.watched
        self._health = pod.health
        self.pod_id = pod.watched.pod_id
        self.version = pod.watched.version
        self.started_at = pod.watched.started_at
        self.dev = pod.premises.dev
        self.premises = pod.premises
        self.audit = pod.audit
        self.unready = pod.health.unready
        self.links = pod.health.links
        self.realtime = pod.views.realtime
        self.detailed = pod.views.detailed
        self.past = pod.views.past
        self.clients = pod.views.connections
        self.expose = pod.exporter.expose
        self.refuse_all_but_root = authenticator.refuse_all_but_root
        self.refuse_all_but_scrapers = authenticator.refuse_all_but_scrapers

    def tree(self) -> Mapping[str, object]:
        return node_to_json(self._watched.root().describe())

    def pods(self) -> Mapping[str, JSON]:
        return pods_of(self._watched)

    def connections(self) -> int:
        return len(self._watched.members)

    def broker_health(self) -> Mapping[str, object]:
        return {"pod": self.pod_id, "links": self._health.links()}
