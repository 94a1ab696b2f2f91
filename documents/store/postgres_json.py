"""How PostgreSQL reads JSONB: `->` for the value, `jsonb_typeof` for what it is.

`->` with a text never leads into an array, `#>` would. Texts are compared by code points (the
collation "C"), whatever the database's own order is. Numbers are decimals: an operand arrives as
the text that the document has, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen
from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Integer,
    Numeric,
    Text,
    any_,
    case,
    cast,
    collate,
    column,
    func,
    literal,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import Grouping

from .filters import Path
from .json_dialect import Elements, JsonValue, inlined

__all__ = ["PostgresJson"]

_CODE_POINTS: Final = "C"


@frozen
class PostgresJson:
    """PostgreSQL 12 and later."""

    def value_at(self, json: ColumnElement[Any], path: Path, *, literal: bool = False) -> JsonValue:
        """Return the value at a path; see `JsonDialect`."""
        return _value_at(_node(json, path, in_full=literal))

    def elements(self, json: ColumnElement[Any], path: Path) -> Elements:
        """Return the elements of the array at a path as rows."""
        array = _array(_node(json, path))
        rows = func.jsonb_array_elements(array).table_valued(column("value", JSONB))
        return Elements(rows, _value_at(rows.c.value), rows.c.value)

    def text_among(self, text: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
        """Say that a text is one of these."""
        return text == any_(_texts(values))

    def number_among(
        self, number: ColumnElement[float], values: Sequence[float]
    ) -> ColumnElement[bool]:
        """Say that a number is one of these."""
        return number == any_(cast(_texts([repr(value) for value in values]), ARRAY(Numeric)))

    def number(self, value: float) -> ColumnElement[float]:
        """Return an operand as a decimal."""
        return cast(literal(repr(value), Text()), Numeric(asdecimal=False))

    def matches(self, text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
        """Say that a portable pattern is found in a text."""
        return text.regexp_match(literal(pattern, Text()))


def _node(json: ColumnElement[Any], path: Path, *, in_full: bool = False) -> ColumnElement[Any]:
    node: ColumnElement[Any] = type_coerce(json, JSONB)
    for name in path:
        node = node.op("->", return_type=JSONB())(
            inlined(name) if in_full else literal(name, Text())
        )
    return node


def _array(node: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an array, an empty one where there is none: functions of arrays raise for others."""
    is_array = func.jsonb_typeof(node) == inlined("array")
    return case((is_array, node), else_=cast(inlined("[]"), JSONB))


def _value_at(node: ColumnElement[Any]) -> JsonValue:
    kind = func.jsonb_typeof(node, type_=Text)
    number, flag = kind == inlined("number"), kind == inlined("boolean")
    return JsonValue(
        exists=node.is_not(None),
        is_null=kind == inlined("null"),
        is_text=kind == inlined("string"),
        is_number=number,
        is_flag=flag,
        is_object=kind == inlined("object"),
        is_array=kind == inlined("array"),
        text=collate(node.op("#>>", return_type=Text())(inlined("{}")), _CODE_POINTS),
        # An index wants an expression like these in parentheses.
        number=Grouping(case((number, cast(node, Numeric(asdecimal=False))))),
        flag=Grouping(case((flag, cast(node, Boolean)))),
        length=func.jsonb_array_length(_array(node), type_=Integer),
    )


def _texts(values: Sequence[str]) -> ColumnElement[Sequence[str]]:
    return literal(list(values), ARRAY(Text))
