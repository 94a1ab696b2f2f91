"""Filters and orders as SQL: what `filters` says, in the words of a database.

Everything that a client sent is a bound parameter. Only the names that a definition declares are
written into a statement, where an index has to be recognised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen
from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    case,
    exists,
    false,
    func,
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
    ElementMatches,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    Path,
    Size,
    SortKey,
    Test,
)
from .json_dialect import Elements, Expression, JsonDialect, JsonValue
from .paths import SCALARS
from .places import COLUMNS, ArrayElement, PathRoot, StoredDocument, value_in
from .postgres_json import PostgresJson
from .sql_values import holds_for, is_flag
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
    reads = _DIALECTS[dialect]
    return _Conditions(reads, StoredDocument(reads, table, definition)).of(filter)


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
    value = _DIALECTS[dialect].value_at(table.c.document, (name,), literal=True)
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
    value = _DIALECTS[dialect].value_at(table.c.document, (name,), literal=True)
    if property.type is PropertyType.NUMBER:
        return value.is_number
    return value.is_flag if property.type is PropertyType.BOOLEAN else value.is_text


@frozen
class _Conditions:
    """The conditions of one statement on what begins at a place."""

    dialect: JsonDialect
    place: PathRoot

    def of(self, wanted: Filter) -> ColumnElement[bool]:
        match wanted:
            case All(filters):
                return and_(true(), *map(self.of, filters))
            case Any(filters):
                return or_(false(), *map(self.of, filters))
            case Not(inner):
                return not_(func.coalesce(self.of(inner), false()))
            case _:
                return self._somewhere(wanted)

    def _somewhere(self, test: Test) -> ColumnElement[bool]:
        """Test what is at the path, or in the objects of an array that is on the way."""
        path = test.path
        if len(path) < 2:
            return self._holds(test)
        before = [path[:length] for length in range(1, len(path))]
        ways = [self.place.value_at(prefix).is_array for prefix in before]
        here = self._holds(test)
        if _finds_nothing(test):
            here = and_(not_(func.coalesce(or_(*ways), false())), here)
        inside = [self._inside(test, prefix, way) for prefix, way in zip(before, ways, strict=True)]
        return or_(here, *inside)

    def _inside(
        self, test: Test, array: Path, is_array: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        element = self.dialect.elements(self.place.json, array)
        among = select(1).select_from(element.rows)
        rest = evolve(test, path=test.path[len(array) :])
        holds = self._from(element)._holds(rest)  # noqa: SLF001 - of the same kind
        found: list[ColumnElement[bool]] = [exists(among.where(element.value.is_object, holds))]
        if _finds_nothing(test):
            found.append(not_(exists(among.where(element.value.is_object))))
        return and_(is_array, or_(*found))

    def _holds(self, test: Test) -> ColumnElement[bool]:
        """Test the value at a path through objects alone."""
        value = self.place.value_at(test.path)
        match test:
            case Exists():
                return value.exists
            case Size(_, length):
                return and_(value.is_array, value.length == length)
            case ElementMatches(path, inner):
                element = self.dialect.elements(self.place.json, path)
                return self._among(value, element, self._from(element).of(inner))
            case Equal() | Compare() | Matches():
                holds = holds_for(test, value, self.dialect)
                if self.place.holds_no_array(test.path):
                    return holds
                element = self.dialect.elements(self.place.json, test.path)
                among = holds_for(test, element.value, self.dialect)
                return or_(holds, self._among(value, element, among))

    def _among(
        self, value: JsonValue, element: Elements, holds: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        """Say that a value is an array, and that something holds for one of its elements."""
        return and_(value.is_array, exists(select(1).select_from(element.rows).where(holds)))

    def _from(self, element: Elements) -> _Conditions:
        return evolve(self, place=ArrayElement(self.dialect, element))


def _finds_nothing(test: Test) -> bool:
    """Say whether a test holds where there is nothing."""
    return isinstance(test, Equal) and None in test.values


def _terms(path: Path, table: Table, dialect: JsonDialect) -> Iterator[Expression]:
    """Yield what the order by the value at a path is made of."""
    if path in COLUMNS:
        yield table.c[COLUMNS[path]]
        return
    value = value_in(dialect, table, path)
    yield case(
        (value.is_number, 1),
        (value.is_text, 2),
        (value.is_object, 3),
        (value.is_array, 4),
        (is_flag(value, flag=False), 5),
        (is_flag(value, flag=True), 6),
        else_=0,
    )
    yield case((value.is_number, value.number))
    yield case((value.is_text, value.text))
