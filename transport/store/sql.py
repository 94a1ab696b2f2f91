"""Stand-in until the branch `language` is merged: equality, and the order of creation."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, Text, and_, cast, func, or_, true

from ...config import Definition, Property
from .filters import All, Compare, Equal, Filter, SortKey

__all__ = ["condition", "index_expression", "ordering", "register_functions"]


def condition(
    filter: Filter,  # noqa: A002
    table: Table,
    definition: Definition,
    dialect: str,
) -> ColumnElement[bool]:
    """Return the condition that a filter means."""
    if isinstance(filter, All):
        return and_(true(), *(condition(one, table, definition, dialect) for one in filter.filters))
    if isinstance(filter, Compare):
        return _value(filter.path[0], table, dialect) > str(filter.operand)
    if not isinstance(filter, Equal):
        raise NotImplementedError
    return or_(*(_value(filter.path[0], table, dialect) == value for value in filter.values))


def ordering(sort: Sequence[SortKey], table: Table, dialect: str) -> list[ColumnElement[object]]:
    """Return what to order by."""
    return [table.c.sequence.desc() if sort and sort[0].descending else table.c.sequence]


def index_expression(
    name: str,
    property: Property,  # noqa: A002
    table: Table,
    dialect: str,
) -> ColumnElement[object]:
    """Return the expression an index is made over."""
    return _value(name, table, dialect)


def register_functions(dbapi_connection: object) -> None:
    """Do nothing yet."""


def _value(name: str, table: Table, dialect: str) -> ColumnElement[object]:
    if dialect == "sqlite":
        return cast(func.json_extract(table.c.document, f'$."{name}"'), Text)
    return table.c.document.op("->>")(name)
