"""Reading documents: one statement each, on a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
)

from ...config import Definition
from .filters import Filter, Query
from .matching import project
from .paging import Bounds, Page, how_many, page_of
from .sql import condition, ordering
from .store import Document

__all__ = ["as_text", "by_id", "count", "find", "get"]

_CHUNK: Final = 50
"""Documents that are fetched from the database at a time: so many are in memory beside the page."""


def as_text(table: Table) -> ColumnElement[str]:
    """Return a document as the text that holds its JSON, in any database."""
    return cast(table.c.document, Text)


def find(
    connection: Connection, table: Table, definition: Definition, query: Query, bounds: Bounds
) -> Page:
    """Return what a query wants, within these bounds."""
    dialect = connection.dialect.name
    wanted = how_many(query, bounds)
    statement = (
        select(as_text(table))
        .where(condition(query.filter, table, definition, dialect))
        .order_by(*ordering(query.sort, table, dialect))
        .limit(wanted)
        .offset(query.skip)
    )
    found = _stream(connection, statement, wanted)
    return page_of((_shown(document, query) for document in found), query, bounds)


def count(connection: Connection, table: Table, definition: Definition, wanted: Filter) -> int:
    """Return how many documents a filter wants."""
    where = condition(wanted, table, definition, connection.dialect.name)
    return connection.scalars(select(func.count()).select_from(table).where(where)).one()


def by_id(table: Table) -> Select[str]:
    """Return the statement for `get`: building it takes longer than the database does."""
    return select(as_text(table)).where(table.c.id == bindparam("this"))


def get(
    connection: Connection,
    statement: Select[str],
    id: str,  # noqa: A002
) -> Document | None:
    """Return a document, or None."""
    found = connection.scalars(statement, {"this": id}).one_or_none()
    if found is None:
        return None
    document: Document = orjson.loads(found)
    return document


def _stream(connection: Connection, statement: Executable, limit: int) -> Iterator[str]:
    """Yield the documents' texts; a cursor in PostgreSQL costs too much for a few of them."""
    options = {"yield_per": _CHUNK} if limit > _CHUNK else {}
    with connection.execution_options(**options).scalars(statement) as texts:
        yield from texts


def _shown(document: str, query: Query) -> bytes:
    if not query.fields:
        return document.encode()
    return orjson.dumps(project(orjson.loads(document), query))
