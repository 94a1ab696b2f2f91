"""The store of documents in one database: SQLite in a file, or PostgreSQL."""

# ruff: noqa: A002 - `id` and `filter` are the words of what is promised

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Final, TypeVar

import trio
from attrs import frozen
from sqlalchemy import Connection, Select, Table

from ...config import Definition, LogSampler, get_logger
from ...config import Store as StoreSettings
from ...transport import NoThread, in_thread
from ..errors import StoreUnavailable
from . import indexes, outbox, reading
from .engine import deadline, make_engine, sqlite_file, write_transaction
from .failures import READ_ONLY, answering, translated, unavailable
from .filters import Filter, Query
from .paging import Bounds, Page
from .store import Change, Document, Misfit, Write, WriteResult
from .tables import documents_table
from .writing import TableWriter

__all__ = ["DatabaseStore"]

T = TypeVar("T")

_BUSY: Final = "The database has too much to do; try again."
_log = get_logger("store")


@frozen
class _CollectionStatements:
    definition: Definition
    table: Table
    by_id: Select[str]
    writer: TableWriter


class _Undone(Exception):
    """Leaves a transaction of writes that belong together, one of which is refused."""

    def __init__(self, outcomes: Sequence[WriteResult]) -> None:
        super().__init__()
        self.outcomes = outcomes


class DatabaseStore:
    """Keeps the promises of `Store`. Raises `ConfigurationError` when `url` cannot be used.

    `pod_id` is this pod's name among those that share the database; `wall` returns unix seconds.
    A call waits for `busy_timeout` at most until one of `pool_size` threads is free for it.
    """

    def __init__(
        self,
        url: str,
        *,
        pod_id: str,
        settings: StoreSettings,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._engine = make_engine(url, settings)
        self._file = sqlite_file(self._engine, f"pod {pod_id}")
        self._pod = pod_id
        self._settings = settings
        self._bounds = Bounds(settings.max_limit, settings.max_answer_bytes)
        self._wall = wall
        self._threads = trio.CapacityLimiter(settings.pool_size)
        self._closing = trio.Lock()
        self._sampler = LogSampler(burst=1)
        self._is_open = False
        self._trouble: StoreUnavailable | None = None
        self._turns: defaultdict[str, trio.Lock] = defaultdict(trio.Lock)
        self._collections: dict[str, _CollectionStatements] = {}

    async def open(self) -> None:
        """Connect, and make what the database lacks. Harmless when that is done."""

        def work(connection: Connection) -> None:
            indexes.exclusive(connection)
            outbox.make(connection)

        try:
            if self._file is not None:
                await self._run(self._file.open, opening=True)
            self._is_open = True  # not before: a file that is not claimed may be another pod's
            await self._transact("", work)
            with suppress(StoreUnavailable):  # one that can only be read can be read
                await self.probe()
        except StoreUnavailable:
            await self.close()
            raise

    async def close(self) -> None:
        """Give the connections back when what still runs has ended. That cannot be cancelled.

        From now on, as before `open`, every call raises `StoreUnavailable`: whoever connected then
        would leave connections behind that nobody gives back.
        """
        self._is_open = False
        holders = [object() for _ in range(self._settings.pool_size)]
        with trio.CancelScope(shield=True):
            async with self._closing:
                for holder in holders:
                    await self._threads.acquire_on_behalf_of(holder)
                with suppress(NoThread):  # then what it holds goes with the process
                    await in_thread(self._engine.dispose)
                if self._file is not None:
                    self._file.close()
                for holder in holders:
                    self._threads.release_on_behalf_of(holder)

    @property
    def trouble(self) -> StoreUnavailable | None:
        """Why documents cannot be written, as far as is known, and will not until that is mended.

        What is over when one asks again, such as a lock, is none.
        """
        return self._trouble

    async def probe(self) -> None:
        """Look whether documents can be written: nobody may ask for them now.

        Where it is known that they cannot, one is, and removed. Raises `StoreUnavailable`.
        """
        if self._trouble is None:
            await self._read(self._look)
        else:
            await self._transact("", lambda there: outbox.try_out(there, self._pod, self._wall()))
            self._mended()

    async def prepare(self, definition: Definition) -> Sequence[Misfit]:
        """Make the collection's table and its indexes, and drop indexes it no longer wants."""
        known = self._collection(definition)
        misfits = await self._transact(
            definition.name, lambda there: indexes.prepare(there, definition, known.table)
        )
        known.writer.unguarded = frozenset(each.property for each in misfits if each.unique)
        return misfits

    async def find(
        self, definition: Definition, query: Query, bounds: Bounds | None = None
    ) -> Page:
        """Return the documents that a query wants, within bounds: these, or the settings'."""
        table, within = self._collection(definition).table, bounds or self._bounds
        return await self._read(lambda there: reading.find(there, table, definition, query, within))

    async def count(self, definition: Definition, filter: Filter) -> int:
        """Return how many documents a filter wants."""
        table = self._collection(definition).table
        return await self._read(lambda there: reading.count(there, table, definition, filter))

    async def get(self, definition: Definition, id: str) -> Document | None:
        """Return a document, or None."""
        statement = self._collection(definition).by_id
        return await self._read(lambda there: reading.get(there, statement, id))

    async def commit(
        self, definition: Definition, writes: Sequence[Write], *, together: bool = False
    ) -> Sequence[WriteResult]:
        """Apply writes in one transaction; return what became of each, as `Store` tells."""
        writer = self._collection(definition).writer

        def work(connection: Connection) -> list[WriteResult]:
            done = writer.apply(connection, writes, pod=self._pod, now=self._wall())
            if together and any(isinstance(each, Exception) for each in done):
                raise _Undone([each if isinstance(each, Exception) else None for each in done])
            return done

        try:
            done = await self._transact(definition.name, work)
        except _Undone as undone:
            return undone.outcomes
        if any(isinstance(each, Change) for each in done):
            self._mended()
        return done

    async def claim_outbox(self, definition: Definition, limit: int) -> Sequence[Change]:
        """Return changes that no pod has relayed, oldest first, and make them this pod's."""
        name = definition.name
        return await self._transact(
            name,
            lambda there: outbox.claim(there, name, limit, pod=self._pod, now=self._wall()),
        )

    async def clear_outbox(self, definition: Definition, sequences: Sequence[int]) -> None:
        """Remove changes from the outbox: they are relayed."""
        name = definition.name
        await self._transact(name, lambda there: outbox.clear(there, name, sequences))

    def _collection(self, definition: Definition) -> _CollectionStatements:
        """Return what belongs to a definition: SQLAlchemy knows a statement again by its table."""
        known = self._collections.get(definition.name)
        if known is None or known.definition != definition:
            table = documents_table(definition.name)
            writer = TableWriter(definition, table, self._engine.dialect)
            known = _CollectionStatements(definition, table, reading.by_id(table), writer)
            self._collections[definition.name] = known
        return known

    def _look(self, connection: Connection) -> None:
        if self._file is not None and not self._file.writable():
            raise unavailable(READ_ONLY)
        if self._file is None and outbox.is_read_only(connection):
            raise unavailable(READ_ONLY)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        def on_thread() -> T:
            seconds = self._settings.statement_timeout
            with self._engine.begin() as there, deadline(there, seconds), answering():
                return work(there)

        return await self._run(on_thread)

    async def _transact(self, collection: str, work: Callable[[Connection], T]) -> T:
        """Run a transaction when it is its turn.

        Writes of one collection follow each other, or their changes could be numbered in another
        order than they are committed in. In SQLite, where one transaction writes at a time, all
        do: whoever waits in the database's own queue has no turn there, and holds a thread.
        """

        def on_thread() -> T:
            with write_transaction(self._engine) as connection:
                return work(connection)

        shared = self._engine.dialect.name == "sqlite"
        return await self._run(on_thread, self._turns["" if shared else collection])

    async def _run(
        self, work: Callable[[], T], turn: trio.Lock | None = None, *, opening: bool = False
    ) -> T:
        def on_thread() -> T:
            # It may have been closed while this waited for a thread.
            if not self._is_open and not opening:
                raise self._closed()
            with translated():
                if self._file is not None and not opening:
                    self._file.check()
                return work()

        # The deadline is for the wait alone: a thread that has begun is never left behind.
        with trio.move_on_after(self._settings.busy_timeout):
            async with turn or nullcontext():
                try:
                    return await in_thread(on_thread, limiter=self._threads)
                except (NoThread, StoreUnavailable) as error:
                    self._tell(error)
                    if isinstance(error, StoreUnavailable):
                        self._suffer(error)
                        raise
                    raise StoreUnavailable(str(error)) from error
        raise StoreUnavailable(_BUSY, _BUSY)

    def _closed(self) -> StoreUnavailable:
        """Say why it is not open: what was in the way of opening it, if anything was."""
        why = self._trouble
        if why is None:
            return StoreUnavailable("The database is not open at the moment; try again.")
        return StoreUnavailable(str(why), why.public, kind=why.kind, lasting=why.lasting)

    def _suffer(self, error: StoreUnavailable) -> None:
        if not error.lasting:
            return
        if self._trouble is None or self._trouble.kind != error.kind:
            _log.error("documents cannot be written", reason=str(error), kind=error.kind)
        self._trouble = error

    def _mended(self) -> None:
        if self._trouble is not None:
            _log.info("documents can be written again", after=self._trouble.kind)
            self._trouble = None

    def _tell(self, error: NoThread | StoreUnavailable) -> None:
        """Tell who runs the pod what clients are not told."""
        suppressed = self._sampler.admit(str(error))
        if suppressed is not None:
            _log.warning("the database did not answer", reason=str(error), suppressed=suppressed)
