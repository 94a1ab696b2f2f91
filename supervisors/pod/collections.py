"""The part of a pod's tree that keeps documents: the store, the collections, their discovery."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from ...actors import ActorCell, DeadLetters, EnvironmentFailure, Hub, Mailbox, Overflow
from ...config import Config
from ...documents import StoreUnavailable
from ...documents.collections import (
    AllCollectionsRoom,
    Api,
    Collection,
    CollectionActor,
    CollectionEnvironment,
    CollectionRoom,
    CollectionService,
    Directory,
    Discovery,
    Reader,
    UserAccounts,
    Viewer,
    join_refusal,
)
from ...documents.scripts import ScriptRunner
from ...documents.store import GONE, Bounds, DatabaseStore, database_url
from ...documents.users import Passwords
from ...transport import Attempts, FairQueue, Identity, Problem, Shares, share_of
from ..backoff import Backoff
from ..chaos import Injector
from ..child import ChildSpec, Service
from ..dynamic import DynamicSupervisor
from ..errors import NameTaken
from .basis import Basis

__all__ = ["CollectionTree"]

BACKOFF: Final = Backoff(base=0.1, cap=5.0)
"""For a database that is away: tried again every 5 s at the latest."""

PROBE_EVERY: Final = 5.0
"""Seconds between two looks at a store: nobody may be asking for documents when it goes."""

MAX_WAITING: Final = 1000
"""Writes that may wait for one collection; then those who ask wait, and are told 503 in time."""

MAX_WAITING_BYTES: Final = 64 * 2**20

LAST_WRITE: Final = 10.0
"""Seconds that a collection may take for the writes it has begun when the pod stops."""


class CollectionTree:
    """Builds what a pod with collections has in addition; its `children` are the supervisor's.

    With `chaos` the store may fail on purpose. `dev` lets a developer's POST to an unknown
    collection make it, and reloads what changes on the disk.
    """

    def __init__(self, basis: Basis, hub: Hub, chaos: Injector | None, *, dev: bool) -> None:
        config, settings = basis.config, basis.config.collections
        self._store = DatabaseStore(
            database_url(config.store, Path(config.server.data)),
            pod_id=basis.pod_id,
            settings=config.store,
            wall=basis.wall,
        )
        # The one knot: scripts call collections, and collections run scripts. So the calls are
        # made last, and looked up when a script makes one; none runs before the pod does.
        calls: CollectionService
        environment = CollectionEnvironment(
            store=self._store if chaos is None else chaos.store(self._store),
            hub=hub,
            runner=ScriptRunner(settings.script_timeout, config.performance.worker_pool_size),
            passwords=Passwords(Shares.of(config.auth.max_hashing, config.limits)),
            settings=settings,
            answers=Bounds(config.store.max_limit, config.store.max_answer_bytes),
            queries=_queries(config),
            sign_ups=Attempts(config.auth.sign_ups, config.auth.sign_up_period),
            emit_timeout=config.limits.emit_timeout,
            wall=basis.wall,
            internal=lambda: calls,
        )
        self._supervisor = DynamicSupervisor("pod/collections")
        self.directory = Directory(
            partial(_start, self._supervisor, environment, basis.dead_letters),
            lambda name: self._supervisor.stop_child(name, "its folder is gone"),
        )
        self._viewer = Viewer(environment)
        reader = Reader(environment, self._viewer)
        calls = CollectionService(
            self.directory,
            reader,
            self._viewer,
            environment,
            max_depth=settings.max_depth,
            timeout=settings.write_timeout,
        )
        self._discovery = Discovery(Path(settings.folder), self.directory, reload=dev)
        self.api = Api(self.directory, self._discovery, environment, calls, reader, creates=dev)
        self.accounts = UserAccounts(self.directory, environment, calls, self._viewer)

    def room(self) -> CollectionRoom:
        """Make the room in which a collection's changes are told to who may hear of them."""
        return CollectionRoom(self.directory, self._viewer)

    def room_of_all(self) -> AllCollectionsRoom:
        """Make the room in which the changes of all collections are told."""
        return AllCollectionsRoom(self.directory, self._viewer)

    def listening(self, room: str, identity: Identity | None) -> Problem | None:
        """Say why a client may not listen in a room, or None."""
        refused = join_refusal(self.directory, room, identity)
        if refused is None:
            return None
        return Problem("auth_required" if refused.status == 401 else "forbidden", refused.sentence)

    def children(self) -> list[ChildSpec]:
        """Return the specifications of the store, the collections, and who finds them."""
        return [
            ChildSpec(
                "store",
                lambda path: Service(path, self._keep_store),
                backoff=BACKOFF,
                tireless=True,
            ),
            ChildSpec("collections", lambda _: self._supervisor, shutdown=math.inf),
            ChildSpec("discovery", lambda path: Service(path, self._discovery.run), tireless=True),
        ]

    @property
    def store_trouble(self) -> StoreUnavailable | None:
        """Why documents cannot be written, as far as is known."""
        return self._store.trouble

    async def _probe(self) -> None:
        """Look how the store is. Where its file is another now, it is closed and opened anew."""
        try:
            await self._store.probe()
        except StoreUnavailable as error:
            if error.kind == GONE.kind:
                raise EnvironmentFailure(str(error)) from error

    async def _keep_store(self, started: Callable[[], None]) -> None:
        try:
            await self._store.open()
        except StoreUnavailable as error:
            raise EnvironmentFailure(str(error)) from error
        started()
        self.directory.reopened()
        try:
            while True:
                await trio.sleep(PROBE_EVERY)
                await self._probe()
        finally:
            with trio.CancelScope(shield=True):
                await self._store.close()


def _start(
    supervisor: DynamicSupervisor,
    environment: CollectionEnvironment,
    dead_letters: DeadLetters,
    collection: Collection,
) -> ActorCell[Any] | None:
    cells: list[ActorCell[Any]] = []

    def make(path: str) -> ActorCell[Any]:
        mailbox: Mailbox[Any] = Mailbox(
            max_messages=MAX_WAITING, max_bytes=MAX_WAITING_BYTES, overflow=Overflow.BLOCK
        )
        cells.append(
            ActorCell(
                path,
                lambda: CollectionActor(collection, environment),
                mailbox=mailbox,
                dead_letters=dead_letters,
            )
        )
        return cells[0]

    # Nobody would start it again, were it given up.
    spec = ChildSpec(collection.name, make, backoff=BACKOFF, shutdown=LAST_WRITE, tireless=True)
    try:
        supervisor.start_child(spec)
    except NameTaken:  # it went with its folder, which is there again, and has not ended yet
        return None
    return cells[0]


def _queries(config: Config) -> FairQueue:
    """Let as many look through documents as there are threads for that, and others wait."""
    working, limits = config.store.pool_size, config.limits
    per_address = share_of(working, limits.address_share)
    return FairQueue(Shares(working, per_address), Shares.of(limits.max_queries, limits))
