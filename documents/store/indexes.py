"""A collection's table and the indexes that its definition asks for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

from attrs import frozen
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Index,
    LargeBinary,
    Table,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from ...config import Definition, PropertyType
from . import outbox
from .engine import take_time
from .failures import code_of, reason_of
from .json_dialect import Expression, inlined
from .sql import index_condition, index_expression
from .store import Misfit

__all__ = ["drop", "exclusive", "misfits", "prepare", "unique_indexes"]

_OURS: Final = re.compile(r"(unique|lookup)_.*_[0-9a-f]{16}")
"""An index with another name is somebody else's, and is left alone."""

_SCHEMA_LOCK: Final = 0x6465706C6F7964
"""Any number that is the same in all pods."""

_NAMED: Final = 5
"""Values that several documents have: of so many some are named."""

_INDEXES_OF: Final = {
    "sqlite": text("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = :table"),
    "postgresql": text(
        "SELECT indexname FROM pg_indexes"
        " WHERE schemaname = current_schema() AND tablename = :table"
    ),
}


@frozen
class _Wanted:
    """An index that there is to be, over the documents that have a value of the property's type."""

    property: str
    unique: bool
    expression: ColumnElement[Any]
    condition: ColumnElement[bool]
    method: str
    """How PostgreSQL is to make it."""


def unique_indexes(definition: Definition, table: Table, dialect: Dialect) -> Mapping[str, str]:
    """Return the property, by the name of its unique index, of each that must be unique.

    The index of ids is there under the names that both databases report it by.
    """
    wanted = _wanted(definition, table, dialect)
    names = {name: about.property for name, about in wanted.items() if about.unique}
    return {**names, "id": "id", f"ids_{definition.name}": "id"}


def prepare(connection: Connection, definition: Definition, table: Table) -> Sequence[Misfit]:
    """Make the table and its indexes, and drop those of ours that are wanted no longer.

    Return what the documents there do not allow; all the rest is made.
    """
    dialect = connection.dialect
    exclusive(connection)
    table.create(connection, checkfirst=True)
    outbox.make(connection)  # a database that was away is prepared in any order
    wanted = _wanted(definition, table, dialect)
    there = drop(connection, table, but=wanted)
    missing = sorted(wanted.keys() - there)
    made = (_create(connection, definition, table, name, wanted[name]) for name in missing)
    return [misfit for misfit in made if misfit is not None]


def drop(connection: Connection, table: Table, but: Collection[str] = ()) -> set[str]:
    """Drop the indexes of ours but these; return the names of all that were there."""
    dialect = connection.dialect
    there = set(connection.scalars(_INDEXES_OF[dialect.name], {"table": table.name}))
    quote = dialect.identifier_preparer.quote
    for name in there.difference(but):
        if _OURS.fullmatch(name):
            connection.exec_driver_sql(f"DROP INDEX {quote(name)}")
    return there


def misfits(connection: Connection, definition: Definition, table: Table) -> Sequence[Misfit]:
    """Return which properties cannot be unique as the documents are now. It changes nothing."""
    wanted = _wanted(definition, table, connection.dialect).values()
    found = (_duplicates(connection, table, each) for each in wanted if each.unique)
    return [misfit for misfit in found if misfit is not None]


def exclusive(connection: Connection) -> None:
    """Let no other pod change tables until this transaction ends, however long it takes."""
    take_time(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))


def _create(
    connection: Connection, definition: Definition, table: Table, name: str, wanted: _Wanted
) -> Misfit | None:
    """Make an index, or return why the documents there do not allow for it.

    Whether values clash is asked first: asking locks nobody out, and making an index does.
    """
    if wanted.unique:
        misfit = _duplicates(connection, table, wanted)
        if misfit is not None:
            return misfit
    where = wanted.condition
    index = Index(
        name,
        wanted.expression,
        unique=wanted.unique,
        postgresql_using=wanted.method,
        postgresql_where=where,
        sqlite_where=where,
        _table=table,
    )
    try:
        with _alone(connection):
            index.create(connection)
    except DBAPIError as error:
        if reason_of(error) is not None:  # the database's trouble, and none of the documents'
            raise
        return Misfit(
            wanted.property,
            wanted.unique,
            f"'{wanted.property}' cannot be {'unique' if wanted.unique else 'indexed'}, "
            f"for the database refuses to make the index ({code_of(error)}); change its values.",
        )
    finally:
        table.indexes.discard(index)
    return None


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Undo what fails inside, and nothing else."""
    if connection.dialect.name == "sqlite":  # there a statement that fails undoes itself
        yield
        return
    with connection.begin_nested():
        yield


def _duplicates(connection: Connection, table: Table, wanted: _Wanted) -> Misfit | None:
    """Return that several documents have one value of a property, and some of them by their ids."""
    rows = connection.execute(
        select(func.min(table.c.id), func.max(table.c.id), func.count())
        .where(wanted.condition)
        .group_by(wanted.expression)
        .having(func.count() > 1)
        .order_by(func.min(table.c.id))
        .limit(_NAMED + 1)
    ).all()
    if not rows:
        return None
    named = "; ".join(_group(*row) for row in rows[:_NAMED])
    more = "; and more" if len(rows) > _NAMED else ""
    return Misfit(
        wanted.property,
        True,
        f"'{wanted.property}' is not unique: these documents have the same value: {named}{more}. "
        "Change them, or take 'unique' away; until then no others can come to have one value.",
    )


def _group(first: str, last: str, count: int) -> str:
    return f"{first} and {last}" + (f" and {count - 2} more" if count > 2 else "")


def _wanted(definition: Definition, table: Table, dialect: Dialect) -> dict[str, _Wanted]:
    """Return what to make, by name.

    A unique index serves to look up too, so one is enough, but not where it is over a digest.
    """
    wanted = {}
    for name, about in definition.properties.items():
        if not (about.unique or about.index):
            continue
        expression = index_expression(name, about, table, dialect.name)
        condition = index_condition(name, about, table, dialect.name)
        long = dialect.name == "postgresql" and about.type in _TEXTS
        if about.unique:
            key = _digest(expression) if long else expression
            each = _Wanted(name, True, key, condition, "btree")
            wanted[_index_name(definition, each, dialect)] = each
        if long or not about.unique:
            method = "spgist" if long else "btree"
            each = _Wanted(name, False, expression, condition, method)
            wanted[_index_name(definition, each, dialect)] = each
    return wanted


_TEXTS: Final = (PropertyType.STRING, PropertyType.DATE)
"""Types whose values may be longer than the 2,704 bytes that a B-tree of PostgreSQL's takes.

(A property that was a string before it was a date may have such values too.) SP-GiST takes texts
of any length: https://www.postgresql.org/docs/current/spgist-builtin-opclasses.html."""


def _digest(value: Expression) -> ColumnElement[bytes]:
    """Return the SHA-256 of a text: two that have one are one.

    What the cast would read as an escape is escaped; `convert_to` cannot stand in an index.
    """
    escaped = func.replace(value, inlined("\\"), inlined("\\\\"))
    return func.sha256(cast(escaped, LargeBinary), type_=LargeBinary)


def _index_name(definition: Definition, wanted: _Wanted, dialect: Dialect) -> str:
    """Return a name for people to read and for one index alone, in at most 63 bytes.

    PostgreSQL cuts longer names. What the index is over, and of which documents, is part of it:
    another type of the property is another index.
    """
    over = "\0".join(
        str(each.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        for each in (wanted.expression, wanted.condition)
    )
    identity = "\0".join((definition.name, wanted.property, wanted.method, over))
    digest = sha256(identity.encode()).hexdigest()[:16]
    kind = "unique" if wanted.unique else "lookup"
    return f"{kind}_{definition.name[:19]}_{wanted.property[:19]}_{digest}"
