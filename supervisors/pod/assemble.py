"""How a pod is put together: part after part, each from what was made before it, then frozen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib import metadata
from pathlib import Path

import trio
from attrs import frozen

from ...actors import (
    About,
    Audience,
    Batching,
    Hub,
    Link,
    Notices,
    RoomEnvironment,
    RoomFactory,
    RoomRules,
    Rooms,
    Uplink,
)
from ...config import Config, PatternMap, Secrets
from ...documents.collections import ALL_COLLECTIONS, PREFIX, UndefinedChangesRoom
from ...transport import (
    DASHBOARD,
    JSON,
    NATIVE,
    Certificate,
    ClientProtocol,
    Listener,
    TlsTerminator,
)
from ...transport.brokers import load_broker
from ...transport.brokers.contract import Broker
from ...transport.http import Keyring, Mounted
from ..chaos import Injector
from ..child import ChildSpec
from ..observe import Certificates, DashboardRoom, Exporter, LoadMeter, RoomWeights, Views, Watched
from ..supervisor import Supervisor
from .basis import Basis, make_basis
from .broker import broker_branch
from .clients import ClientTree
from .collections import CollectionTree
from .health import Health
from .hints import HintFile
from .janitor import Janitor
from .listeners import Served, make_listener, make_metrics_listener
from .rooms import RoomTree
from .stress import StressRunner
from .tree import PodTree

__all__ = ["Parts", "assemble"]


@frozen(kw_only=True, eq=False)
class Parts:
    """What a pod is made of: `tree` says what hangs below `root`, `watched` what can be seen.

    `hints` are claimed and released by whoever runs it.
    """

    basis: Basis
    hub: Hub
    keyring: Keyring
    health: Health
    watched: Watched
    exporter: Exporter
    tree: PodTree
    root: Supervisor
    hints: HintFile | None


def assemble(
    config: Config,
    keys: Secrets,
    bindings: Mapping[str, RoomFactory],
    *,
    dev: bool = False,
    broker: Callable[[], Broker] | None = None,
    stress_command: Sequence[str] | None = None,
    settings: Path | None = None,
    protocols: Sequence[ClientProtocol] = (NATIVE,),
    wall: Callable[[], float] = time.time,
    mounted: Mounted | None = None,
) -> Parts:
    """Make the parts of a pod, in order; nothing runs yet, and no port is open.

    The arguments are those of `open_pod`, whose `app` is `mounted`. Raises `BrokerImportError`.
    """
    # The one knot. A pod shows its own tree, and in that tree hangs the listener that shows it;
    # rooms tell how a pod is and what its collections hold, and both are kept with the help of
    # rooms. So these four are made last: whoever is made before them gets a function, and calls it
    # when the pod runs.
    collections: CollectionTree
    views: Views
    listener: Listener
    root: Supervisor

    # Without chaos nothing of it is there: no broker, store or clock asks whether it is.
    chaos = Injector(lambda: root, wall) if config.chaos.enabled else None
    wall = wall if chaos is None else chaos.wall
    basis = make_basis(config, keys, wall, dev=dev, port=lambda: listener.address[1])
    make_broker = broker or load_broker(config.broker, config.message_ttl)
    if make_broker is not None and chaos is not None:
        make_broker = chaos.broker(make_broker)
    link: Link | None = None
    hints: HintFile | None = None
    if make_broker is not None:
        if basis.own_name.kept:
            hints = HintFile(Path(config.server.data), basis.own_name.name)
        link = _link(basis, lambda: len(rooms.directory), hints)
    uplink = None if link is None else link.uplink
    documented = _needs_definitions(config, link)
    own = _own_rooms(
        documented=documented,
        joined=link is not None,
        views=lambda: views,
        collections=lambda: collections,
    )
    rooms = _rooms(basis, uplink, own, bindings)
    basis.in_force.follow(
        lambda changed: rooms.directory.adopt(changed.limits, changed.access.rules)
    )
    branch = None
    if link is not None and make_broker is not None:
        branch = _broker(basis, link, rooms, make_broker)
    hub = Hub(
        rooms.directory, rooms.everyone, basis.event_ids, uplink, basis.members, config.limits
    )
    documents: CollectionTree | None = None
    if documented:
        documents = collections = CollectionTree(basis, hub, chaos, dev=dev)
    clients = ClientTree(basis, rooms, hub, uplink, documents)
    needed = documents is not None and config.store.ready == "require_store"
    health = Health(basis.pod_id, config.broker.ready, link, documents if needed else None)
    tls = _tls(config)
    watched = _watched(
        basis,
        rooms,
        clients,
        health,
        link,
        chaos,
        documents,
        Certificates(tls, _broker_certificate(config), trio.current_time),
        root=lambda: root,
        refused=lambda: listener.statistics().refused,
    )
    views, exporter = Views(watched, wall), Exporter(watched, trio.current_time)
    stress = StressRunner(
        basis.in_force,
        stress_command,
        url=lambda: f"ws://{_own_host(config)}:{listener.address[1]}",
        sign=lambda ttl: basis.tokens.sign("root", username="root", is_root=True, ttl=ttl),
        tell=partial(_tell_watchers, hub, rooms.directory),
    )
    served = Served(
        watched=watched,
        health=health,
        settings=settings,
        keyring=Keyring(basis.tokens, keys.master_key, ttl=config.auth.token_ttl, wall=wall),
        audit=basis.audit,
        premises=basis.premises,
        views=views,
        exporter=exporter,
        stress=stress,
        chaos=chaos,
        upgrade=clients.upgrade,
        publisher=clients.publisher,
        lobby=clients.lobby,
        protocols=protocols,
        collections=documents if config.server.api_enabled else None,
        bindings={pattern: each for pattern, each in bindings.items() if pattern not in own},
        tls=tls,
        wall=wall,
        mounted=mounted,
    )
    metrics, listener = make_metrics_listener(served), make_listener(served)
    tree = PodTree(
        watchdog=basis.watchdog,
        janitor=Janitor(basis.meters),
        broker=branch,
        rooms=rooms,
        collections=documents,
        metrics=metrics,
        tls=served.tls,
        clients=clients,
        views=views,
        stress=stress,
        chaos=chaos,
        listener=listener,
    )
    root = Supervisor("pod", list(tree.children()))
    return Parts(
        basis=basis,
        hub=hub,
        keyring=served.keyring,
        health=health,
        watched=watched,
        exporter=exporter,
        tree=tree,
        root=root,
        hints=hints,
    )


def _link(basis: Basis, rooms: Callable[[], int], hints: HintFile | None) -> Link:
    """Make the link; `rooms` counts those that run, when the pod does."""
    config, version, load = basis.config, _version(), LoadMeter(time.monotonic)

    def about() -> About:
        return About(version, len(basis.members), rooms(), load())

    return Link.of(
        basis.pod_id,
        config.broker,
        config.message_ttl,
        basis.wall,
        largest=config.limits.max_buffer_bytes,
        about=about,
        handoff=hints,
        name=basis.own_name.name,
        emit_timeout=config.limits.emit_timeout,
    )


def _broker(
    basis: Basis, link: Link, rooms: RoomTree, make_broker: Callable[[], Broker]
) -> ChildSpec:
    """Return the branch of the broker, which delivers to the rooms and tells clients of outages."""
    config = basis.config
    notices = Notices(basis.members, basis.event_ids, basis.wall, config.broker.notice_window)
    audience = Audience(rooms.directory, rooms.everyone, rooms.roster, notices)
    return broker_branch(config, link, audience, notices, make_broker, basis.dead_letters)


def _needs_definitions(config: Config, link: Link | None) -> bool:
    """Whether a pod has to know the collections: it serves them, or hears of their changes."""
    return config.server.api_enabled or (
        link is not None and Path(config.collections.folder).is_dir()
    )


def _own_rooms(
    *,
    documented: bool,
    joined: bool,
    views: Callable[[], Views],
    collections: Callable[[], CollectionTree],
) -> dict[str, RoomFactory]:
    """Return the rooms that are the pod's own, by pattern; both functions serve when one opens."""
    own: dict[str, RoomFactory] = {DASHBOARD: lambda: DashboardRoom(views().realtime)}
    if documented:
        own[ALL_COLLECTIONS] = lambda: collections().room_of_all()
        own[f"{PREFIX}*"] = lambda: collections().room()
    elif joined:
        own |= dict.fromkeys((ALL_COLLECTIONS, f"{PREFIX}*"), UndefinedChangesRoom)
    return own


def _rooms(
    basis: Basis,
    uplink: Uplink | None,
    own: Mapping[str, RoomFactory],
    bindings: Mapping[str, RoomFactory],
) -> RoomTree:
    config = basis.config
    environment = RoomEnvironment(
        config.limits,
        basis.event_ids,
        basis.wall,
        Batching.of(config),
        uplink,
        basis.meters,
        PatternMap(config.broker.receipts),
        RoomRules(config.access.rules),
    )
    # A pod's own come first, and nobody else's take their names.
    others = {pattern: each for pattern, each in bindings.items() if pattern not in own}
    return RoomTree({**own, **others}, environment, basis.dead_letters, basis.members)


def _watched(
    basis: Basis,
    rooms: RoomTree,
    clients: ClientTree,
    health: Health,
    link: Link | None,
    chaos: Injector | None,
    documents: CollectionTree | None,
    certificates: Certificates,
    *,
    root: Callable[[], Supervisor],
    refused: Callable[[], Mapping[str, int]],
) -> Watched:
    return Watched(
        pod_id=basis.pod_id,
        own_name=basis.own_name.name,
        version=_version(),
        started_at=basis.wall(),
        in_force=basis.in_force,
        access=clients.access,
        meters=basis.meters,
        weights=RoomWeights(),
        members=basis.members,
        rooms=rooms.directory,
        dead_letters=basis.dead_letters,
        link=link,
        watchdog=basis.watchdog,
        room_tree=rooms.supervisor,
        clients=clients.supervisor,
        root=root,
        refused=refused,
        unready=health.unready,
        links=health.links,
        certificates=certificates,
        chaos=chaos,
        documents=documents,
    )


@cache
def _version() -> str:
    return metadata.version("deployd")


def _tls(config: Config) -> TlsTerminator | None:
    tls = config.tls
    return TlsTerminator(Certificate(tls.cert_file, tls.key_file)) if tls.cert_file else None


def _broker_certificate(config: Config) -> dict[str, str]:
    """Return the file of what a broker is shown, by its setting, where there is one."""
    kind = config.broker.type
    file = getattr(getattr(config.broker, kind, None), "cert_file", "")  # none of a class's own
    return {f"broker.{kind}.certFile": file} if file and config.broker.enabled else {}


def _own_host(config: Config) -> str:
    """Return how this machine reaches the pod."""
    host = config.server.host
    name = "127.0.0.1" if host in ("", "0.0.0.0", "::", "localhost") else host  # noqa: S104
    return f"[{name}]" if ":" in name else name


def _tell_watchers(hub: Hub, rooms: Rooms, event: str, data: JSON) -> None:
    """Tell who looks at the dashboard, if anybody does."""
    if rooms.find(DASHBOARD) is not None:
        hub.emit_to_room(DASHBOARD, event, data)
