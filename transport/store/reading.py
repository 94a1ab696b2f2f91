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
from ...config import Store as Settings
from .filters import Filter, Query
from .matching import project
from .sql import condition, ordering
from .store import Document, Page

__all__ = ["as_text", "by_id", "count", "find", "get"]

_CHUNK: Final = 50
"""Documents that are fetched from the database at a time: so many are in memory beside the page."""


def as_text(table: Table) -> ColumnElement[str]:
    """Return a document as the text that holds its JSON, in any database."""
    return cast(table.c.document, Text)


def find(
    connection: Connection, table: Table, definition: Definition, query: Query, settings: Settings
) -> Page:
    """Return what a query wants, within the bounds of the settings."""
    dialect = connection.dialect.name
    ours = query.limit is None or query.limit > settings.max_limit
    limit = settings.max_limit if query.limit is None else min(query.limit, settings.max_limit)
    statement = (
        select(as_text(table))
        .where(condition(query.filter, table, definition, dialect))
        .order_by(*ordering(query.sort, table, dialect))
        .limit(limit + ours)  # one more shows that there are more
        .offset(query.skip)
    )
    page: list[bytes] = []
    size = 0
    for document in _stream(connection, statement, limit + ours):
        shown = _shown(document, query)
        size += len(shown)
        # The first is always taken: whoever pages by `$skip` gets ahead, whatever its size.
        if len(page) == limit or (page and size > settings.max_answer_bytes):
            return Page(tuple(page), truncated=True)
        page.append(shown)
    return Page(tuple(page))


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
