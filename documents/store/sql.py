"""Filters and orders as SQL: what `filters` says, in the words of a database.

Everything that a client sent is a bound parameter. Only the names that a definition declares are
written into a statement, where an index has to be recognised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeAlias, TypeVar

from attrs import frozen
from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from ...config import Definition, Property, PropertyType
from .filters import (
    All,
    Any,
    Compare,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    Order,
    Path,
    Scalar,
    SortKey,
)
from .json_dialect import Expression, JsonDialect, JsonValue, text_value
from .paths import SCALARS, declared_type
from .patterns import portable
from .postgres_json import PostgresJson
from .scalars import normalise_number
from .sqlite_json import SqliteJson, register_functions

__all__ = [
    "condition",
    "index_condition",
    "index_expression",
    "ordering",
    "register_functions",
]

_DIALECTS: Final[Mapping[str, JsonDialect]] = {
    "postgresql": PostgresJson(),
    "sqlite": SqliteJson(),
}
_COLUMNS: Final[Mapping[Path, str]] = {
    ("id",): "id",
    ("createdAt",): "created_at",
    ("updatedAt",): "updated_at",
}

T = TypeVar("T")

_Test: TypeAlias = Equal | Compare | Matches


def condition(
    filter: Filter,  # noqa: A002 - the field's own word
    table: Table,
    definition: Definition,
    dialect: str,
) -> ColumnElement[bool]:
    """Return what holds for the rows that a filter wants, for a WHERE.

    `dialect` is "sqlite" or "postgresql". NULL stands for false at the top; inside it never
    meets a NOT.
    """
    return _Conditions(table, definition, _DIALECTS[dialect]).of(filter)


def ordering(sort: Sequence[SortKey], table: Table, dialect: str) -> list[Expression]:
    """Return what to order by, the order of creation last."""
    terms: list[Expression] = [
        term.desc() if key.descending else term.asc()
        for key in sort
        for term in _terms(key.path, table, _DIALECTS[dialect])
    ]
    return [*terms, table.c.sequence.asc()]


def index_expression(
    name: str,
    property: Property,  # noqa: A002 - the field's own word
    table: Table,
    dialect: str,
) -> Expression:
    """Return what an index on a declared property has to hold: what `Equal` on it compares.

    Raises ValueError for arrays and objects.
    """
    if property.type not in SCALARS:
        raise ValueError(f"{name} is of type {property.type}, which no index can hold")
    value = _DIALECTS[dialect].value_at(table, (name,), literal=True)
    if property.type is PropertyType.NUMBER:
        return value.number
    return value.flag if property.type is PropertyType.BOOLEAN else value.text


def index_condition(
    name: str,
    property: Property,  # noqa: A002 - the field's own word
    table: Table,
    dialect: str,
) -> ColumnElement[bool]:
    """Return which documents an index on a declared property is of: those with such a value.

    All others, where it is missing, null, or of the type that it had before, are no duplicates.
    """
    value = _DIALECTS[dialect].value_at(table, (name,), literal=True)
    if property.type is PropertyType.NUMBER:
        return value.is_number
    return value.is_flag if property.type is PropertyType.BOOLEAN else value.is_text


@frozen
class _Conditions:
    """The conditions of one statement."""

    table: Table
    definition: Definition
    dialect: JsonDialect

    def of(self, wanted: Filter) -> ColumnElement[bool]:
        match wanted:
            case All(filters):
                return and_(true(), *map(self.of, filters))
            case Any(filters):
                return or_(false(), *map(self.of, filters))
            case Not(inner):
                return not_(func.coalesce(self.of(inner), false()))
            case Exists(path):
                return self._value_at(path).exists
            case Equal() | Compare() | Matches():
                return self._holds(wanted)

    def _value_at(self, path: Path) -> JsonValue:
        if path in _COLUMNS:
            return text_value(self.table.c[_COLUMNS[path]])
        return _value_at(self.dialect, self.table, path, literal=self._is_scalar(path))

    def _is_scalar(self, path: Path) -> bool:
        return declared_type(path, self.definition) in SCALARS

    def _holds(self, test: _Test) -> ColumnElement[bool]:
        """Test the value at a path, and the elements of an array there."""
        value = self._value_at(test.path)
        holds = _holds_for(test, value, self.dialect)
        if self._is_scalar(test.path):
            return holds
        rows, element = self.dialect.elements(self.table, test.path)
        among = select(1).select_from(rows).where(_holds_for(test, element, self.dialect))
        return or_(holds, and_(value.is_array, exists(among)))


@lru_cache(maxsize=256)
def _value_at(
    dialect: JsonDialect, table: Table, path: Path, *, literal: bool = False
) -> JsonValue:
    """Return the value at a path, built once: building it took a quarter of a whole `find`."""
    return dialect.value_at(table, path, literal=literal)


def _holds_for(test: _Test, value: JsonValue, dialect: JsonDialect) -> ColumnElement[bool]:
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
    tests = [_is_flag(value, flag) for flag in sorted(flags)]
    if texts:
        tests.append(and_(value.is_text, dialect.text_among(value.text, texts)))
    if numbers:
        tests.append(and_(value.is_number, dialect.number_among(value.number, numbers)))
    if None in values:
        tests.append(or_(value.is_null, not_(value.exists)))
    return or_(false(), *tests)


def _is_flag(value: JsonValue, flag: bool) -> ColumnElement[bool]:
    return and_(value.is_flag, value.flag == (true() if flag else false()))


def _exact(value: float) -> float:
    number = normalise_number(value)
    return value if number is None else number


def _terms(path: Path, table: Table, dialect: JsonDialect) -> Iterator[Expression]:
    """Yield what the order by the value at a path is made of."""
    if path in _COLUMNS:
        yield table.c[_COLUMNS[path]]
        return
    value = _value_at(dialect, table, path)
    yield case(
        (value.is_number, 1),
        (value.is_text, 2),
        (value.is_object, 3),
        (value.is_array, 4),
        (_is_flag(value, flag=False), 5),
        (_is_flag(value, flag=True), 6),
        else_=0,
    )
    yield case((value.is_number, value.number))
    yield case((value.is_text, value.text))
