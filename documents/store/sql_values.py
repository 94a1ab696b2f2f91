"""What a filter asks of one value, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Text, and_, false, literal, not_, or_, true

from .filters import Compare, Equal, Matches, Order, Scalar
from .json_dialect import JsonDialect, JsonValue
from .patterns import portable
from .scalars import normalise_number

__all__ = ["ValueTest", "holds_for", "is_flag"]

T = TypeVar("T")

ValueTest: TypeAlias = Equal | Compare | Matches
"""Tests of a value. They hold for an array, too, where they hold for one of its elements."""


def holds_for(test: ValueTest, value: JsonValue, dialect: JsonDialect) -> ColumnElement[bool]:
    """Return what holds where a test does, of a value that is no array."""
    match test:
        case Equal(_, values):
            return _equal(values, value, dialect)
        case Compare(_, order, operand):
            return _compared(value, order, operand, dialect)
        case Matches(_, pattern, ignore_case):
            written = portable(pattern, ignore_case)
            return and_(value.is_text, dialect.matches(value.text, written))


def _compared(
    value: JsonValue, order: Order, operand: str | float, dialect: JsonDialect
) -> ColumnElement[bool]:
    if isinstance(operand, str):
        return and_(value.is_text, _in_order(value.text, order, literal(operand, Text())))
    return and_(value.is_number, _in_order(value.number, order, dialect.number(_exact(operand))))


def _in_order(left: ColumnElement[T], order: Order, right: ColumnElement[T]) -> ColumnElement[bool]:
    match order:
        case Order.BELOW:
            return left < right
        case Order.AT_MOST:
            return left <= right
        case Order.ABOVE:
            return left > right
        case Order.AT_LEAST:
            return left >= right


def _equal(values: Sequence[Scalar], value: JsonValue, dialect: JsonDialect) -> ColumnElement[bool]:
    flags = {value for value in values if isinstance(value, bool)}
    texts = [value for value in values if isinstance(value, str)]
    numbers = [
        _exact(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    tests = [is_flag(value, flag) for flag in sorted(flags)]
    if texts:
        tests.append(and_(value.is_text, dialect.text_among(value.text, texts)))
    if numbers:
        tests.append(and_(value.is_number, dialect.number_among(value.number, numbers)))
    if None in values:
        tests.append(or_(value.is_null, not_(value.exists)))
    return or_(false(), *tests)


def is_flag(value: JsonValue, flag: bool) -> ColumnElement[bool]:
    """Return what holds where a value is this one, true or false."""
    return and_(value.is_flag, value.flag == (true() if flag else false()))


def _exact(value: float) -> float:
    number = normalise_number(value)
    return value if number is None else number
