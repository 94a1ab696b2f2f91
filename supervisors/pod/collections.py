"""The part of a pod's tree that keeps documents: the store, the collections, their discovery."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import trio

from ...actors import ActorCell, DeadLetters, EnvironmentFailure, Hub, Mailbox, Overflow, Rooms
from ...config import Config
from ...documents import StoreUnavailable
from ...documents.collections import (
    ALL_COLLECTIONS,
    PREFIX,
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
from ...documents.store import Bounds, DatabaseStore, database_url
from ...documents.users import Passwords
from ...transport import Attempts, FairQueue, Identity, Problem, Shares, share_of
from ..backoff import Backoff
from ..child import ChildSpec, Service
from ..dynamic import DynamicSupervisor

__all__ = ["CollectionTree"]

BACKOFF: Final = Backoff(base=0.1, cap=5.0)
"""For a database that is away: tried again every 5 s at the latest."""

MAX_WAITING: Final = 1000
"""Writes that may wait for one collection; then those who ask wait, and are told 503 in time."""

MAX_WAITING_BYTES: Final = 64 * 2**20

LAST_WRITE: Final = 10.0
"""Seconds that a collection may take for the writes it has begun when the pod stops."""


class CollectionTree:
    """Builds what a pod with collections has in addition; its `children` are the supervisor's.

    `dev` lets a developer's POST to an unknown collection make it, and reloads what changes on the
    disk.
    """

    def __init__(
        self,
        config: Config,
        pod_id: str,
        hub: Hub,
        dead_letters: DeadLetters,
        wall: Callable[[], float],
        *,
        dev: bool,
    ) -> None:
        self._dead_letters = dead_letters
        self._supervisor = DynamicSupervisor("pod/collections")
        self._store = DatabaseStore(
            database_url(config.store, Path(config.server.data)),
            pod_id=pod_id,
            settings=config.store,
            wall=wall,
        )
        settings = config.collections
        self.directory = Directory(self._start)
        self._environment = CollectionEnvironment(
            store=self._store,
            hub=hub,
            runner=ScriptRunner(settings.script_timeout, config.performance.worker_pool_size),
            passwords=Passwords(Shares.of(config.auth.max_hashing, config.limits)),
            settings=settings,
            answers=Bounds(config.store.max_limit, config.store.max_answer_bytes),
            queries=_queries(config),
            sign_ups=Attempts(config.auth.sign_ups, config.auth.sign_up_period),
            emit_timeout=config.limits.emit_timeout,
            wall=wall,
        )
        self._viewer = Viewer(self._environment)
        reader = Reader(self._environment, self._viewer)
        calls = CollectionService(
            self.directory,
            reader,
            self._viewer,
            self._environment.passwords,
            max_depth=settings.max_depth,
            timeout=settings.write_timeout,
        )
        self._environment.internal = calls
        self._discovery = Discovery(Path(settings.folder), self.directory, reload=dev)
        self.api = Api(
            self.directory, self._discovery, self._environment, calls, reader, creates=dev
        )
        self.accounts = UserAccounts(self.directory, self._environment, calls, self._viewer)

    def bind(self, rooms: Rooms) -> None:
        """Let the rooms of collections be those that know who may hear what."""
        rooms.bind(f"{PREFIX}*", lambda: CollectionRoom(self.directory, self._viewer))
        rooms.bind(ALL_COLLECTIONS, lambda: AllCollectionsRoom(self.directory, self._viewer))

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

    async def _keep_store(self, started: Callable[[], None]) -> None:
        try:
            await self._store.open()
        except StoreUnavailable as error:
            raise EnvironmentFailure(str(error)) from error
        started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await self._store.close()

    def _start(self, collection: Collection) -> ActorCell[Any]:
        cells: list[ActorCell[Any]] = []

        def make(path: str) -> ActorCell[Any]:
            mailbox: Mailbox[Any] = Mailbox(
                max_messages=MAX_WAITING, max_bytes=MAX_WAITING_BYTES, overflow=Overflow.BLOCK
            )
            cells.append(
                ActorCell(
                    path,
                    lambda: CollectionActor(collection, self._environment),
                    mailbox=mailbox,
                    dead_letters=self._dead_letters,
                )
            )
            return cells[0]

        self._supervisor.start_child(
            # Nobody would start it again, were it given up.
            ChildSpec(collection.name, make, backoff=BACKOFF, shutdown=LAST_WRITE, tireless=True)
        )
        return cells[0]


def _queries(config: Config) -> FairQueue:
    """Let as many look through documents as there are threads for that, and others wait."""
    working, limits = config.store.pool_size, config.limits
    per_address = share_of(working, limits.address_share)
    return FairQueue(Shares(working, per_address), Shares.of(limits.max_queries, limits))
