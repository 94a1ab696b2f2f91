"""The documents of all collections in one database: SQLite in a file, or PostgreSQL.

This file states what a store promises; `tests/documents/store/` holds the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from ...config import Definition
from ...transport import JSON
from .filters import Filter, Query
from .paging import Bounds, Page

__all__ = [
    "Change",
    "ChangeType",
    "Decide",
    "Document",
    "Misfit",
    "Store",
    "Write",
    "WriteResult",
]

Document: TypeAlias = dict[str, JSON]
"""A whole document, `id`, `createdAt` and `updatedAt` included, which are texts.

Its numbers are as `normalise_number` returns them. What a store returns is equal to what it was
given, though names may come in another order.
"""

ChangeType: TypeAlias = Literal["created", "updated", "deleted"]

Decide: TypeAlias = Callable[[Document | None], Document | None]
"""From the document that is there (None: none) to the one that is to be (None: none).

Pure: it runs on a thread, inside the transaction, and again from the new document when another
pod has created one meanwhile. Whatever it raises refuses the write.
"""


@frozen
class Write:
    """One write of the document with this id.

    `decide` may not return another id. It gets an object of its own, and may return it changed.
    """

    id: str
    decide: Decide


@frozen
class Change:
    """A committed write. `sequence` grows in the order in which a pod commits in a collection.

    No number comes twice, and between them may be gaps. Where pods share a database their numbers
    are mixed, and one pod may commit a smaller number after another's greater one.
    `document` is what was written, or for `deleted` what was there; `before` is what was there
    before an update.
    """

    sequence: int
    type: ChangeType
    document: Document
    before: Document | None = None


WriteResult: TypeAlias = Change | Exception | None
"""What became of one write: see `Store.commit`."""


@frozen
class Misfit:
    """What a definition wants of a property, and the documents that are there do not allow.

    `sentence` is for who runs the pod; it names documents, and none of their values.
    """

    property: str
    unique: bool
    sentence: str


class Store(Protocol):
    """Documents of all collections. Every call may raise `StoreUnavailable`, and then did nothing.

    One that writes may raise `StoreUncertain`, which is one of them, and then did all or nothing.

    Calls wait for a thread of the pool, `busy_timeout` at most, and run there; trio's thread never
    waits for a disk. A call that is cancelled before it runs did nothing; one that runs returns
    when its thread has, with its result: what it wrote is then written or not, and nothing in
    between, whatever kills the process.
    """

    async def open(self) -> None:
        """Connect, and make what the database lacks. Harmless when that is done."""

    async def close(self) -> None:
        """Give the connections back when what still runs has ended. That cannot be cancelled."""

    async def prepare(self, definition: Definition) -> Sequence[Misfit]:
        """Make the collection's table and its indexes, and drop indexes it no longer wants.

        Return what the documents there do not allow; all the rest is done. They can be read and
        changed nevertheless, and no write makes another duplicate of what is to be unique.
        """

    async def find(
        self, definition: Definition, query: Query, bounds: Bounds | None = None
    ) -> Page:
        """Return the documents that a query wants, in their order, as they were at one moment.

        Without `bounds` at most `max_limit` of them and `max_answer_bytes`; one at least, so that
        whoever pages by `skip` gets ahead. Raises `QueryError`, as `count` and `get` do, for texts
        and numbers that the database does not have.
        """

    async def count(self, definition: Definition, filter: Filter) -> int:  # noqa: A002
        """Return how many documents a filter wants."""

    async def get(self, definition: Definition, id: str) -> Document | None:  # noqa: A002
        """Return a document, or None."""

    async def commit(
        self, definition: Definition, writes: Sequence[Write], *, together: bool = False
    ) -> Sequence[WriteResult]:
        """Apply writes one after another, in one transaction; return what became of each.

        A `Change` was committed together with its entry in the outbox; None changed
        nothing (there was nothing, and is to be nothing); an exception is what `decide` raised,
        `DuplicateValue`, `Unstorable`, or a ValueError or TypeError when what `decide` returned is
        no document with this id, and refused that one write alone. Null and what is missing are no
        duplicates. Raises `StoreUnavailable` when the transaction failed: then none is written.
        Of writes that belong `together` one that is refused undoes all: then there is no `Change`.
        """

    async def claim_outbox(self, definition: Definition, limit: int) -> Sequence[Change]:
        """Return committed changes that no pod has relayed, oldest first, and make them this pod's.

        Those that this pod wrote, and those that another pod has not relayed for a minute since
        it wrote them or asked for them here; where the database is this pod's alone (SQLite), all.
        """

    async def clear_outbox(self, definition: Definition, sequences: Sequence[int]) -> None:
        """Remove changes from the outbox: they are relayed."""
