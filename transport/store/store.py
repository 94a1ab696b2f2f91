"""The documents of all collections in one database: SQLite in a file, or PostgreSQL.

This file states what a store promises; `tests/transport/store/` holds the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from ...config import Definition
from ..wire import JSON
from .filters import Filter, Query

__all__ = ["Change", "ChangeType", "Decide", "Document", "Page", "Store", "Write"]

Document: TypeAlias = dict[str, JSON]
"""A whole document, `id`, `createdAt` and `updatedAt` included."""

ChangeType: TypeAlias = Literal["created", "updated", "deleted"]

Decide: TypeAlias = Callable[[Document | None], Document | None]
"""From the document that is there (None: none) to the one that is to be (None: none).

Pure: it runs on a thread, inside the transaction. Whatever it raises refuses the write.
"""


@frozen
class Write:
    """One write of the document with this id.

    `decide` may return neither another id nor the object it was given, changed.
    """

    id: str
    decide: Decide


@frozen
class Change:
    """A committed write. `sequence` grows in commit order within a collection.

    `document` is what was written, or for `deleted` what was there.
    """

    sequence: int
    type: ChangeType
    document: Document


@frozen
class Page:
    """What a query found: each document as JSON bytes. `truncated` when a bound left some out."""

    documents: tuple[bytes, ...]
    truncated: bool = False


class Store(Protocol):
    """Documents of all collections. Every call may raise `StoreUnavailable`, and then did nothing.

    One that writes may raise `StoreUncertain`, which is one of them, and then did all or nothing.

    Calls wait for a thread of the pool and run there; trio's thread never waits for a disk. A
    call that is cancelled returns when its thread has: what it wrote is then written or not, and
    nothing in between.
    """

    async def open(self) -> None:
        """Connect, and make what the database lacks. Harmless when that is done."""

    async def close(self) -> None:
        """Give the connections back."""

    async def prepare(self, definition: Definition) -> None:
        """Make the collection's table and its indexes, and drop indexes it no longer wants.

        Raises `StoreMisfit` when a property is to be unique and values of it are not.
        """

    async def find(self, definition: Definition, query: Query) -> Page:
        """Return the documents that a query wants, at most `max_limit` of them."""

    async def count(self, definition: Definition, filter: Filter) -> int:  # noqa: A002
        """Return how many documents a filter wants."""

    async def get(self, definition: Definition, id: str) -> Document | None:  # noqa: A002
        """Return a document, or None."""

    async def write(
        self, definition: Definition, writes: Sequence[Write]
    ) -> Sequence[Change | Exception | None]:
        """Carry writes out one after another, in one transaction; return what became of each.

        A `Change` was committed together with a note that it has to be told; None changed
        nothing (there was nothing, and is to be nothing); an exception is what `decide` raised, or
        `DuplicateValue`, and refused that one write alone. Raises `StoreUnavailable` when the
        transaction failed: then none is written.
        """

    async def untold(self, definition: Definition, limit: int) -> Sequence[Change]:
        """Return committed changes that no pod has told, oldest first, and make them this pod's.

        Those that this pod wrote, and those that another pod has left untold for a minute; where
        the database is this pod's alone (SQLite), all.
        """

    async def told(self, definition: Definition, sequences: Sequence[int]) -> None:
        """Forget that these changes have to be told."""
