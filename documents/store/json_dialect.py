"""A place in a document as SQL, and what a database has to offer for one.

`sql` says what filters and orders mean and knows no dialect; `sqlite_json` and `postgres_json` know
how each database reads JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from attrs import frozen
from sqlalchemy import ColumnElement, Text, false, literal, literal_column, true
from sqlalchemy.sql import FromClause

from .filters import Path

__all__ = ["Elements", "Expression", "JsonDialect", "JsonValue", "inlined", "text_value"]

Expression: TypeAlias = ColumnElement[str] | ColumnElement[float] | ColumnElement[bool]


@frozen
class JsonValue:
    """What is at a path, or an element of an array there.

    The tests may be SQL's NULL where there is nothing; so are they false. `text`, `number`, `flag`
    and `length`, that of an array, mean something only where the test of the same kind holds, and
    must raise nowhere.
    """

    exists: ColumnElement[bool]
    is_null: ColumnElement[bool]
    is_text: ColumnElement[bool]
    is_number: ColumnElement[bool]
    is_flag: ColumnElement[bool]
    is_object: ColumnElement[bool]
    is_array: ColumnElement[bool]
    text: ColumnElement[str]
    number: ColumnElement[float]
    flag: ColumnElement[bool]
    length: ColumnElement[int]


@frozen
class Elements:
    """The elements of an array as rows: one as a value, and as JSON in which paths lead on."""

    rows: FromClause
    value: JsonValue
    json: ColumnElement[Any]


def text_value(text: ColumnElement[str]) -> JsonValue:
    """Return the place of a column that always holds a text, ordered by code points."""
    return JsonValue(
        exists=true(),
        is_null=false(),
        is_text=true(),
        is_number=false(),
        is_flag=false(),
        is_object=false(),
        is_array=false(),
        text=text,
        number=literal(0.0),
        flag=false(),
        length=literal(0),
    )


def inlined(text: str) -> ColumnElement[str]:
    """Write a text of the pod's own into a statement in full, as an index needs it there.

    SQLAlchemy's own `literal_execute` would write it anew at every execution, which takes longer
    than most queries do.
    """
    quoted = text.replace("'", "''")
    return literal_column(f"'{quoted}'", Text())


class JsonDialect(Protocol):
    """How a database reads JSON."""

    def __hash__(self) -> int:
        """All of a kind are the same."""

    def value_at(self, json: ColumnElement[Any], path: Path, *, literal: bool = False) -> JsonValue:
        """Return the value at a path that is not empty, in a column or another expression of JSON.

        `literal` writes the path into the statement, as an index needs it; only for names that a
        definition declares.
        """

    def elements(self, json: ColumnElement[Any], path: Path) -> Elements:
        """Return the elements of the array at a path as rows.

        Where there is no array, what they are means nothing, and raises nothing.
        """

    def text_among(self, text: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
        """Say that a text is one of these."""

    def number_among(
        self, number: ColumnElement[float], values: Sequence[float]
    ) -> ColumnElement[bool]:
        """Say that a number is one of these, by value."""

    def number(self, value: float) -> ColumnElement[float]:
        """Return an operand, converted just as the numbers in documents are."""

    def matches(self, text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
        """Say that a portable pattern is found in a text."""
