"""The filter that a JSON object means: `{"done": false, "age": {"$gte": 18}}`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Final, TypeAlias

from ...config import Definition, PropertyType
from ...config.fields import shown
from ...transport import JSON
from ..errors import QueryError
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
    Order,
    Path,
    Scalar,
    Size,
)
from .operands import check_inside, check_may_be, operand
from .paths import check_text, declared_type, read_path
from .patterns import portable
from .vocabulary import LOGIC, misplaced_at_top, misplaced_in

__all__ = ["MAX_CONDITIONS", "MAX_DEPTH", "MAX_VALUES", "read_filter"]

MAX_DEPTH: Final = 16
"""Objects inside objects, the query itself counted."""

MAX_CONDITIONS: Final = 200
"""Conditions of a query, however they are nested, each counted for every name of its path."""

MAX_VALUES: Final = 1000
"""Values of one `$in` or `$nin`."""

_ARRAYS: Final = frozenset({PropertyType.ARRAY})
_TEXTS: Final = frozenset({PropertyType.STRING, PropertyType.DATE, PropertyType.ARRAY})
"""What `$regex` can find something in: dates are texts, and arrays may hold some."""

Declared: TypeAlias = Callable[[Path], PropertyType | None]
"""Says what type is declared for what is at a path."""


def read_filter(value: Mapping[str, JSON], definition: Definition) -> Filter:
    """Return what an object asks of documents; raises `QueryError`.

    All its entries must hold. A date is compared as it is stored, however it is written.
    """

    def declared(path: Path) -> PropertyType | None:
        return declared_type(path, definition)

    return _FilterParser(declared, count(1)).conditions(value, 1)


def _undeclared(_: Path) -> None:
    """Nothing is declared of what is in an array."""


class _FilterParser:
    """Reads one filter, and counts its conditions.

    `within` is the path of the array whose elements are tested; empty at the top.
    """

    def __init__(self, declared: Declared, numbers: Iterator[int], within: Path = ()) -> None:
        self._declared = declared
        self._numbers = numbers
        self._within = within

    def conditions(self, value: Mapping[str, JSON], depth: int) -> Filter:
        """Read an object at the top, or one inside `$and`, `$or`, `$nor`."""
        _check_depth(depth)
        if not value:
            return self._count(All())
        return _all(
            self._logic(key, inner, depth)
            if _is_operator(key)
            else self._property(read_path(key), inner, depth + 1)
            for key, inner in value.items()
        )

    def _logic(self, operator: str, value: JSON, depth: int) -> Filter:
        if operator not in LOGIC:
            raise misplaced_at_top(operator)
        if not isinstance(value, list) or not value:
            raise QueryError(
                f"{operator} needs a list of objects, such as {operator}=[{{…}},{{…}}]."
            )
        filters = []
        for inner in value:
            if not isinstance(inner, dict):
                raise QueryError(f"{operator} needs objects in its list, not {shown(inner)}.")
            filters.append(self.conditions(inner, depth + 1))
        if operator == "$and":
            return _all(filters)
        return Any(tuple(filters)) if operator == "$or" else Not(Any(tuple(filters)))

    def _property(self, path: Path, value: JSON, depth: int) -> Filter:
        """Read what is asked of the value at a path."""
        if len(path) > 1:
            check_inside(self._dotted(path), path[0], self._declared(path[:1]), path[1])
        if not isinstance(value, dict):
            return self._equal(path, value)
        _check_depth(depth)
        operators = list(filter(_is_operator, value))
        if not value:
            raise QueryError(
                f"{self._dotted(path)} cannot equal an object; compare what is inside it."
            )
        if operators and len(operators) < len(value):
            raise QueryError(
                f"{self._dotted(path)} mixes {shown(operators[0])} with names of properties; "
                "write two conditions, joined by $and."
            )
        if operators:
            return self._operators(path, value, depth)
        return _all(
            self._property(read_path(key, path), inner, depth + 1) for key, inner in value.items()
        )

    def _operators(self, path: Path, value: Mapping[str, JSON], depth: int) -> Filter:
        if "$options" in value and "$regex" not in value:
            raise QueryError(f"{self._dotted(path)} has $options without $regex; add the pattern.")
        return _all(
            self._operator(path, operator, value, depth)
            for operator in value
            if operator != "$options"
        )

    def _operator(
        self, path: Path, operator: str, siblings: Mapping[str, JSON], depth: int
    ) -> Filter:
        operand = siblings[operator]
        match operator:
            case "$eq":
                return self._equal(path, operand)
            case "$ne":
                return Not(self._equal(path, operand))
            case "$gt" | "$gte" | "$lt" | "$lte":
                return self._compare(path, Order(operator), operand)
            case "$in":
                return self._among(path, operator, operand)
            case "$nin":
                return Not(self._among(path, operator, operand))
            case "$exists":
                return self._exists(path, operand)
            case "$regex":
                return self._matches(path, operand, siblings.get("$options", ""))
            case "$not":
                return self._not(path, operand, depth)
        return self._of_arrays(path, operator, operand, depth)

    def _of_arrays(self, path: Path, operator: str, operand: JSON, depth: int) -> Filter:
        match operator:
            case "$all":
                return self._all_of(path, operand)
            case "$size":
                return self._size(path, operand)
            case "$elemMatch":
                return self._element(path, operand, depth)
        raise misplaced_in(self._dotted(path), operator)

    def _equal(self, path: Path, operand: JSON) -> Filter:
        return self._count(Equal(path, (self._scalar(path, operand),)))

    def _among(self, path: Path, operator: str, operand: JSON) -> Filter:
        if not isinstance(operand, list):
            raise QueryError(
                f"{operator} of {self._dotted(path)} needs a list, not {shown(operand)}."
            )
        if len(operand) > MAX_VALUES:
            raise QueryError(
                f"{operator} of {self._dotted(path)} has {len(operand)} values; "
                f"at most {MAX_VALUES} may stand there, ask several times."
            )
        return self._count(Equal(path, tuple(self._scalar(path, inner) for inner in operand)))

    def _compare(self, path: Path, order: Order, operand: JSON) -> Filter:
        scalar = self._scalar(path, operand)
        if scalar is None or isinstance(scalar, bool):
            raise QueryError(
                f"{order} of {self._dotted(path)} needs a number or a text, not {shown(operand)}."
            )
        return self._count(Compare(path, order, scalar))

    def _exists(self, path: Path, operand: JSON) -> Filter:
        if not isinstance(operand, bool):
            raise QueryError(
                f"$exists of {self._dotted(path)} needs true or false, not {shown(operand)}."
            )
        test = self._count(Exists(path))
        return test if operand else Not(test)

    def _matches(self, path: Path, pattern: JSON, options: JSON) -> Filter:
        if not isinstance(pattern, str):
            raise QueryError(f"$regex of {self._dotted(path)} needs a text, not {shown(pattern)}.")
        if options not in ("", "i"):
            raise QueryError(
                f'$options of {self._dotted(path)} knows only "i" (ignore case), '
                f"not {shown(options)}."
            )
        ignore_case = options == "i"
        check_may_be(self._dotted(path), self._declared(path), _TEXTS, "$regex")
        portable(check_text(pattern, f"$regex of {self._dotted(path)}"), ignore_case)
        return self._count(Matches(path, pattern, ignore_case))

    def _not(self, path: Path, operand: JSON, depth: int) -> Filter:
        if not isinstance(operand, dict) or not operand or not all(map(_is_operator, operand)):
            raise QueryError(
                f'$not of {self._dotted(path)} needs operators, such as {{"$gt": 5}}, '
                f"not {shown(operand)}; for a single value write $ne."
            )
        _check_depth(depth + 1)
        return Not(self._operators(path, operand, depth + 1))

    def _all_of(self, path: Path, operand: JSON) -> Filter:
        self._check_array(path, "$all")
        if not isinstance(operand, list) or not operand:
            raise QueryError(
                f'$all of {self._dotted(path)} needs a list of values, such as ["a", "b"], '
                f"not {shown(operand)}."
            )
        return _all([self._equal(path, value) for value in operand])

    def _size(self, path: Path, operand: JSON) -> Filter:
        self._check_array(path, "$size")
        if isinstance(operand, bool) or not isinstance(operand, int) or not 0 <= operand < 2**31:
            raise QueryError(
                f"$size of {self._dotted(path)} needs a whole number from 0 on, "
                f"not {shown(operand)}."
            )
        return self._count(Size(path, operand))

    def _element(self, path: Path, operand: JSON, depth: int) -> Filter:
        """Read what one element is asked: operators for a value, conditions for an object."""
        self._check_array(path, "$elemMatch")
        if not isinstance(operand, dict) or not operand:
            raise QueryError(
                f'$elemMatch of {self._dotted(path)} needs conditions, such as {{"sku": 5}} or '
                f'{{"$gt": 1}}, not {shown(operand)}.'
            )
        inside = _FilterParser(_undeclared, self._numbers, (*self._within, *path))
        if all(_is_operator(key) and key not in LOGIC for key in operand):
            _check_depth(depth + 1)
            return ElementMatches(path, inside._operators((), operand, depth + 1))
        return ElementMatches(path, inside.conditions(operand, depth + 1))

    def _check_array(self, path: Path, operator: str) -> None:
        check_may_be(self._dotted(path), self._declared(path), _ARRAYS, operator)

    def _scalar(self, path: Path, given: JSON) -> Scalar:
        """Return an operand as documents store such a value."""
        return operand(self._dotted(path), self._declared(path), given)

    def _dotted(self, path: Path) -> str:
        """Return a path as people write it."""
        return shown(".".join((*self._within, *path)))

    def _count(self, test: Filter) -> Filter:
        """Count a condition once for each name of its path: at each there may be an array."""
        names = 1 if isinstance(test, All | Any | Not) else max(1, len(test.path))
        if max(islice(self._numbers, names)) > MAX_CONDITIONS:
            raise QueryError(
                f"A query has at most {MAX_CONDITIONS} conditions; "
                "ask several times, or use $in for many values of one property."
            )
        return test


def _all(filters: Iterable[Filter]) -> Filter:
    joined = tuple(filters)
    return joined[0] if len(joined) == 1 else All(joined)


def _is_operator(key: str) -> bool:
    return key.startswith("$")


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise QueryError(f"A query nests at most {MAX_DEPTH} objects; flatten it.")
