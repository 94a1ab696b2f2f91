"""A collection's table and the indexes that its definition asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from attrs import frozen
from sqlalchemy import Connection, Dialect, Index, Table, func, select, text
from sqlalchemy.exc import DBAPIError

from ...config import Definition
from ..errors import StoreMisfit
from .engine import take_time
from .failures import duplicate
from .json_dialect import Expression
from .sql import index_expression
from .tables import OUTBOX

__all__ = ["exclusive", "prepare", "unique_indexes"]

_OURS: Final = re.compile(r"(unique|lookup)_.*_[0-9a-f]{16}")
"""An index with another name is somebody else's, and is left alone."""

_SCHEMA_LOCK: Final = 0x6465706C6F7964
"""Any number that is the same in all pods."""

_INDEXES_OF: Final = {
    "sqlite": text("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = :table"),
    "postgresql": text(
        "SELECT indexname FROM pg_indexes"
        " WHERE schemaname = current_schema() AND tablename = :table"
    ),
}


@frozen
class _Wanted:
    property: str
    unique: bool
    expression: Expression


def unique_indexes(definition: Definition, table: Table, dialect: Dialect) -> Mapping[str, str]:
    """Return the property, by the name of its unique index, of each that must be unique.

    The index of ids is there under the names that both databases report it by.
    """
    wanted = _wanted(definition, table, dialect)
    names = {name: about.property for name, about in wanted.items() if about.unique}
    return {**names, "id": "id", f"ids_{definition.name}": "id"}


def prepare(connection: Connection, definition: Definition, table: Table) -> None:
    """Make the table and its indexes, and drop those of ours that are wanted no longer.

    Raises `StoreMisfit` when a property is to be unique and values of it are not.
    """
    dialect = connection.dialect
    exclusive(connection)
    table.create(connection, checkfirst=True)
    OUTBOX.create(connection, checkfirst=True)  # a database that was away is prepared in any order
    wanted = _wanted(definition, table, dialect)
    there = set(connection.scalars(_INDEXES_OF[dialect.name], {"table": table.name}))
    quote = dialect.identifier_preparer.quote
    for name in there - wanted.keys():
        if _OURS.fullmatch(name):
            connection.exec_driver_sql(f"DROP INDEX {quote(name)}")
    for name in wanted.keys() - there:
        _create(connection, definition, table, name, wanted[name])


def exclusive(connection: Connection) -> None:
    """Let no other pod change tables until this transaction ends, however long it takes."""
    take_time(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))


def _create(
    connection: Connection, definition: Definition, table: Table, name: str, wanted: _Wanted
) -> None:
    index = Index(name, wanted.expression, unique=wanted.unique, _table=table)
    try:
        index.create(connection)
    except DBAPIError as error:
        if duplicate(error) is None:
            raise
        raise StoreMisfit(
            f"'{wanted.property}' of the collection '{definition.name}' cannot be unique: several"
            " documents have the same value. Change them first, or take 'unique' away."
        ) from None
    finally:
        table.indexes.discard(index)


def _wanted(definition: Definition, table: Table, dialect: Dialect) -> dict[str, _Wanted]:
    """Return what to make, by name. A unique index serves to look up too, so one is enough."""
    wanted = {}
    for property_name, about in definition.properties.items():
        if about.unique or about.index:
            expression = index_expression(property_name, about, table, dialect.name)
            name = _index_name(definition, property_name, about.unique, expression, dialect)
            wanted[name] = _Wanted(property_name, about.unique, expression)
    return wanted


def _index_name(
    definition: Definition,
    property_name: str,
    unique: bool,
    expression: Expression,
    dialect: Dialect,
) -> str:
    """Return a name for people to read and for one index alone, in at most 63 bytes.

    PostgreSQL cuts longer names. What the index is over is part of it: another type of the
    property is another index.
    """
    over = str(expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    identity = "\0".join((definition.name, property_name, over))
    digest = sha256(identity.encode()).hexdigest()[:16]
    kind = "unique" if unique else "lookup"
    return f"{kind}_{definition.name[:19]}_{property_name[:19]}_{digest}"
