"""Where the paths of a filter begin, as SQL: a document of a table, or an element of an array."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

from attrs import frozen
from sqlalchemy import ColumnElement, Table

from ...config import Definition
from .filters import Path
from .json_dialect import Elements, JsonDialect, JsonValue, text_value
from .paths import SCALARS, declared_type

__all__ = ["COLUMNS", "ArrayElement", "PathRoot", "StoredDocument", "value_in"]

COLUMNS: Final[Mapping[Path, str]] = {
    ("id",): "id",
    ("createdAt",): "created_at",
    ("updatedAt",): "updated_at",
}
"""What every document has, in columns of its own."""


class PathRoot(Protocol):
    """Where paths begin: a document, or an element of an array."""

    @property
    def json(self) -> ColumnElement[Any]:
        """What paths are looked up in."""

    def value_at(self, path: Path) -> JsonValue:
        """Return the value at a path through objects alone."""

    def holds_no_array(self, path: Path) -> bool:
        """Say whether what is at a path is declared to be no array."""


@frozen
class StoredDocument:
    """A row of a collection's table."""

    dialect: JsonDialect
    table: Table
    definition: Definition

    @property
    def json(self) -> ColumnElement[Any]:
        """The column of documents."""
        return self.table.c.document

    def value_at(self, path: Path) -> JsonValue:
        """Return the value at a path; see `PathRoot`."""
        if path in COLUMNS:
            return text_value(self.table.c[COLUMNS[path]])
        return value_in(self.dialect, self.table, path, literal=self.holds_no_array(path))

    def holds_no_array(self, path: Path) -> bool:
        """Say whether a scalar is declared for a path."""
        return declared_type(path, self.definition) in SCALARS


@frozen
class ArrayElement:
    """An element of an array. Nothing is declared of what is in it."""

    dialect: JsonDialect
    element: Elements

    @property
    def json(self) -> ColumnElement[Any]:
        """The element."""
        return self.element.json

    def value_at(self, path: Path) -> JsonValue:
        """Return the value at a path; see `PathRoot`."""
        return self.dialect.value_at(self.json, path) if path else self.element.value

    def holds_no_array(self, path: Path) -> bool:
        """Say no: it may be one."""
        return False


@lru_cache(maxsize=256)
def value_in(dialect: JsonDialect, table: Table, path: Path, *, literal: bool = False) -> JsonValue:
    """Return the value at a path, built once: building it took a quarter of a whole `find`."""
    return dialect.value_at(table.c.document, path, literal=literal)
