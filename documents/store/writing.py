"""Writing documents: any number of writes in one transaction, each with its entry in the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from attrs import frozen
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from ...config import Definition
from ..errors import DuplicateValue
from .failures import refusal
from .indexes import unique_indexes
from .reading import as_text
from .store import Change, ChangeType, Document, Write, WriteResult
from .tables import OUTBOX
from .uniqueness import Uniqueness

__all__ = ["TableWriter"]

_ATTEMPTS: Final = 3
"""Times that one write is tried when other pods create and remove the document meanwhile."""


@frozen
class _Done:
    """A write that has changed something, not yet committed, and its document as JSON.

    `found` is what an update has found there, as JSON.
    """

    type: ChangeType
    document: Document
    text: str
    found: str | None = None

    def numbered(self, sequence: int) -> Change:
        before = None if self.found is None else orjson.loads(self.found)
        return Change(sequence, self.type, self.document, before)


class TableWriter:
    """Writes the documents of one collection. The statements are built once.

    `unguarded` are the unique properties for which there is no index (yet, or as long as values
    clash): of these the writer sees to it that no write makes another duplicate.
    """

    def __init__(self, definition: Definition, table: Table, dialect: Dialect) -> None:
        self._name = definition.name
        self._dialect = dialect.name
        self._indexes = unique_indexes(definition, table, dialect)
        self._uniqueness = Uniqueness(definition, table)
        self.unguarded = self._uniqueness.properties
        this = table.c.id == bindparam("this")
        columns: dict[str, ColumnElement[str]] = {
            "created_at": bindparam("created_at", type_=Text),
            "updated_at": bindparam("updated_at", type_=Text),
            "document": cast(bindparam("text", type_=Text), table.c.document.type),
        }
        self._read = select(as_text(table)).where(this).with_for_update()
        self._insert = insert(table).values(id=bindparam("this"), **columns).inline()
        self._update = update(table).where(this).values(**columns)
        self._delete = delete(table).where(this)

    def apply(
        self, connection: Connection, writes: Sequence[Write], *, pod: str, now: float
    ) -> list[WriteResult]:
        """Do writes one after another, and enter the changes in the outbox; the caller commits."""
        if self.unguarded:
            self._uniqueness.take_turn(connection)
        done = [self._apply_alone(connection, write) for write in writes]
        changed = [each for each in done if isinstance(each, _Done)]
        sequences = iter(self._add_to_outbox(connection, changed, pod, now))
        return [
            each.numbered(next(sequences)) if isinstance(each, _Done) else each for each in done
        ]

    def _apply_alone(self, connection: Connection, write: Write) -> _Done | Exception | None:
        """Do one write, so that what it fails of undoes nothing else."""
        outcome: _Done | Exception | None = None
        for _ in range(_ATTEMPTS):
            self._savepoint(connection, "SAVEPOINT one_write")
            try:
                outcome = self._apply_one(connection, write)
            except DBAPIError as error:
                outcome = refusal(error, self._indexes)
                if outcome is None:  # the transaction is lost, and any savepoint with it
                    raise
                self._savepoint(connection, "ROLLBACK TO SAVEPOINT one_write")
            self._savepoint(connection, "RELEASE SAVEPOINT one_write")
            if not (isinstance(outcome, DuplicateValue) and outcome.field == "id"):
                break
            # Another pod has created this document since we looked: decide again, from that one.
        return outcome

    def _savepoint(self, connection: Connection, statement: str) -> None:
        """Mark where a write begins, for PostgreSQL, whose transactions no failure survives.

        In SQLite a statement that fails undoes itself alone, and a write is one statement.
        Measured there: savepoints were half of the time that a thousand inserts took.
        """
        if self._dialect == "postgresql":
            connection.exec_driver_sql(statement)

    def _apply_one(self, connection: Connection, write: Write) -> _Done | Exception | None:
        found = connection.scalars(self._read, {"this": write.id}).one_or_none()
        before: Document | None = None if found is None else orjson.loads(found)
        try:
            after = write.decide(before)
            values = None if after is None else _values(write.id, after)
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses this write
            return error
        if after is not None and values is not None:
            taken = self._uniqueness.taken(connection, self.unguarded, write.id, before, after)
            if taken is not None:
                return DuplicateValue(taken)
            connection.execute(self._insert if found is None else self._update, values)
            return _Done("created" if found is None else "updated", after, values["text"], found)
        if found is None:
            return None
        connection.execute(self._delete, {"this": write.id})
        return _Done("deleted", orjson.loads(found), found)

    def _add_to_outbox(
        self, connection: Connection, changes: Sequence[_Done], pod: str, now: float
    ) -> Sequence[int]:
        """Enter changes in the outbox, and return their sequence numbers in the same order."""
        if not changes:
            return ()
        rows = [
            {
                "collection": self._name,
                "type": change.type,
                "document": change.text,
                "before": change.found,
                "pod": pod,
                "claimed_at": now,
            }
            for change in changes
        ]
        return connection.scalars(_ADD_TO_OUTBOX, rows).all()


_ADD_TO_OUTBOX: Final = insert(OUTBOX).returning(OUTBOX.c.sequence, sort_by_parameter_order=True)


def _values(id: str, document: Document) -> dict[str, str]:  # noqa: A002
    """Return what the columns hold. Raises what says how `decide` has broken its promise."""
    if document.get("id") != id:
        raise ValueError(f"decide must keep the id {id!r}, and returned {document.get('id')!r}")
    created_at, updated_at = document.get("createdAt"), document.get("updatedAt")
    if not isinstance(created_at, str) or not isinstance(updated_at, str):
        raise TypeError("decide must return texts as createdAt and updatedAt")
    text = orjson.dumps(document).decode()
    return {"this": id, "created_at": created_at, "updated_at": updated_at, "text": text}
