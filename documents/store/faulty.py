"""A store that fails on purpose: for chaos tests of a pod that runs."""

# ruff: noqa: A002 - `id` and `filter` are the words of what is promised

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...config import Definition
from ..errors import StoreUnavailable
from .filters import Filter, Query
from .paging import Bounds, Page
from .store import Change, Document, Misfit, Store, Write, WriteResult

__all__ = ["FaultyStore"]


class FaultyStore:
    """Wraps another store: before each call `failing` is asked, and one that fails does nothing.

    `failing` returns for how many seconds more calls may fail, or None for one that may pass. What
    is raised is what a database that is away raises, and clients are told no more than then.
    """

    def __init__(self, store: Store, failing: Callable[[], float | None]) -> None:
        self._store = store
        self._failing = failing

    async def open(self) -> None:
        """Connect: never fails by itself, or a pod could not start."""
        await self._store.open()

    async def close(self) -> None:
        """Give the connections back."""
        await self._store.close()

    async def prepare(self, definition: Definition) -> Sequence[Misfit]:
        """Make the collection's table."""
        self._check()
        return await self._store.prepare(definition)

    async def find(
        self, definition: Definition, query: Query, bounds: Bounds | None = None
    ) -> Page:
        """Return the documents that a query wants."""
        self._check()
        return await self._store.find(definition, query, bounds)

    async def count(self, definition: Definition, filter: Filter) -> int:
        """Return how many documents a filter wants."""
        self._check()
        return await self._store.count(definition, filter)

    async def get(self, definition: Definition, id: str) -> Document | None:
        """Return a document, or None."""
        self._check()
        return await self._store.get(definition, id)

    async def commit(
        self, definition: Definition, writes: Sequence[Write], *, together: bool = False
    ) -> Sequence[WriteResult]:
        """Apply writes in one transaction."""
        self._check()
        return await self._store.commit(definition, writes, together=together)

    async def claim_outbox(self, definition: Definition, limit: int) -> Sequence[Change]:
        """Return changes that no pod has relayed."""
        self._check()
        return await self._store.claim_outbox(definition, limit)

    async def clear_outbox(self, definition: Definition, sequences: Sequence[int]) -> None:
        """Remove changes from the outbox."""
        self._check()
        await self._store.clear_outbox(definition, sequences)

    def _check(self) -> None:
        left = self._failing()
        if left is not None:
            raise StoreUnavailable(
                f"The database is failed on purpose (chaos) for {left:.1f} s more; wait, or run "
                "'deployd chaos stop'."
            )
