"""How SQLite reads JSON: `json_extract` for the value, `json_type` for what it is.

`json_extract` turns true into 1 and objects into text, so no value counts without its type.
Operands that are numbers go through the same routine, so that both sides are converted alike.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import orjson
from attrs import frozen
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Float,
    Integer,
    Text,
    case,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from .filters import Path
from .json_dialect import Elements, JsonValue, inlined
from .patterns import found

__all__ = ["SqliteJson", "register_functions"]

_MATCHES: Final = "deployd_matches"


def register_functions(dbapi_connection: sqlite3.Connection) -> None:
    """Give a new connection the function that filters with patterns call."""
    dbapi_connection.create_function(_MATCHES, 2, _matches, deterministic=True)


def _matches(pattern: str, text: object) -> bool:
    return isinstance(text, str) and found(pattern, text)


@frozen
class SqliteJson:
    """SQLite 3.38 and later."""

    def value_at(self, json: ColumnElement[Any], path: Path, *, literal: bool = False) -> JsonValue:
        """Return the value at a path; see `JsonDialect`."""
        where = _where(path, in_full=literal)
        return _value_at(
            func.json_type(json, where, type_=Text),
            func.json_extract(json, where),
            func.json_array_length(json, where, type_=Integer),
        )

    def elements(self, json: ColumnElement[Any], path: Path) -> Elements:
        """Return the elements of the array at a path as rows."""
        rows = func.json_each(json, _where(path)).table_valued("type", "value")
        # A text among them is given as it is, and is no JSON.
        inside = rows.c.type.in_([inlined("object"), inlined("array")])
        element = case((inside, rows.c.value), else_=inlined("null"))
        length = func.json_array_length(element, type_=Integer)
        return Elements(rows, _value_at(rows.c.type, rows.c.value, length), element)

    def text_among(self, text: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
        """Say that a text is one of these."""
        if len(values) == 1:  # as most are: the statement is built twice as fast
            return text == literal(values[0], Text())
        return _among(text, values)

    def number_among(
        self, number: ColumnElement[float], values: Sequence[float]
    ) -> ColumnElement[bool]:
        """Say that a number is one of these."""
        if len(values) == 1:
            return number == self.number(values[0])
        return _among(number, values)

    def number(self, value: float) -> ColumnElement[float]:
        """Return an operand, read from JSON as the documents are."""
        return func.json_extract(_json(value), inlined("$"), type_=Float)

    def matches(self, text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
        """Say that a portable pattern is found in a text."""
        return func.deployd_matches(pattern, text, type_=Boolean)


def _where(path: Path, *, in_full: bool = False) -> ColumnElement[str]:
    """Return a JSON path; no name holds a quotation mark or a backslash (`paths` sees to it)."""
    where = "$" + "".join(f'."{name}"' for name in path)
    return inlined(where) if in_full else literal(where, Text())


def _value_at(
    kind: ColumnElement[str], value: ColumnElement[Any], length: ColumnElement[int]
) -> JsonValue:
    return JsonValue(
        exists=kind.is_not(None),
        is_null=kind == inlined("null"),
        is_text=kind == inlined("text"),
        is_number=or_(kind == inlined("integer"), kind == inlined("real")),
        is_flag=or_(kind == inlined("true"), kind == inlined("false")),
        is_object=kind == inlined("object"),
        is_array=kind == inlined("array"),
        text=type_coerce(value, Text()),
        number=type_coerce(value, Float()),
        flag=type_coerce(value, Boolean()),
        length=length,
    )


def _among(
    value: ColumnElement[Any], values: Sequence[str] | Sequence[float]
) -> ColumnElement[bool]:
    """Pass all values as one parameter, of which SQLite has a limited number."""
    rows = func.json_each(_json(values)).table_valued("value")
    return value.in_(select(rows.c.value))


def _json(value: object) -> ColumnElement[str]:
    return literal(orjson.dumps(value).decode(), Text())
