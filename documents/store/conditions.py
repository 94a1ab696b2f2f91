"""The filter that a JSON object means: `{"done": false, "age": {"$gte": 18}}`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from ...config import Definition, PropertyType
from ...config.fields import shown
from ...transport import JSON
from ..errors import QueryError
from .filters import All, Any, Compare, Equal, Exists, Filter, Matches, Not, Order, Path, Scalar
from .paths import check_text, declared_type, read_path
from .patterns import portable
from .scalars import normalise_date, normalise_number

__all__ = ["MAX_CONDITIONS", "MAX_DEPTH", "MAX_VALUES", "OPTIONS", "read_filter"]

MAX_DEPTH: Final = 16
"""Objects inside objects, the query itself counted."""

MAX_CONDITIONS: Final = 200
"""Conditions of a query, however they are nested."""

MAX_VALUES: Final = 1000
"""Values of one `$in` or `$nin`."""

OPTIONS: Final = ("$sort", "$limit", "$skip", "$fields")
"""What a query may say beside its filter, at its top."""

_LOGIC: Final = ("$and", "$or", "$nor")
_OPERATORS: Final = (
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex"),
    *("$options", "$not"),
)


def read_filter(value: Mapping[str, JSON], definition: Definition) -> Filter:
    """Return what an object asks of documents; raises `QueryError`.

    All its entries must hold. A date is compared as it is stored, however it is written.
    """
    return _FilterParser(definition).conditions(value, 1)


class _FilterParser:
    """Reads one filter, and counts its conditions."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._found = 0

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
        if operator not in _LOGIC:
            raise _misplaced_at_top(operator)
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
        if not isinstance(value, dict):
            return self._equal(path, value)
        _check_depth(depth)
        operators = list(filter(_is_operator, value))
        if not value:
            raise QueryError(f"{_dotted(path)} cannot equal an object; compare what is inside it.")
        if operators and len(operators) < len(value):
            raise QueryError(
                f"{_dotted(path)} mixes {shown(operators[0])} with names of properties; "
                "write two conditions, joined by $and."
            )
        if operators:
            return self._operators(path, value, depth)
        return _all(
            self._property(read_path(key, path), inner, depth + 1) for key, inner in value.items()
        )

    def _operators(self, path: Path, value: Mapping[str, JSON], depth: int) -> Filter:
        if "$options" in value and "$regex" not in value:
            raise QueryError(f"{_dotted(path)} has $options without $regex; add the pattern.")
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
        raise _misplaced_in(path, operator)

    def _equal(self, path: Path, operand: JSON) -> Filter:
        return self._count(Equal(path, (self._scalar(path, operand),)))

    def _among(self, path: Path, operator: str, operand: JSON) -> Filter:
        if not isinstance(operand, list):
            raise QueryError(f"{operator} of {_dotted(path)} needs a list, not {shown(operand)}.")
        if len(operand) > MAX_VALUES:
            raise QueryError(
                f"{operator} of {_dotted(path)} has {len(operand)} values; "
                f"at most {MAX_VALUES} may stand there, ask several times."
            )
        return self._count(Equal(path, tuple(self._scalar(path, inner) for inner in operand)))

    def _compare(self, path: Path, order: Order, operand: JSON) -> Filter:
        scalar = self._scalar(path, operand)
        if scalar is None or isinstance(scalar, bool):
            raise QueryError(
                f"{order} of {_dotted(path)} needs a number or a text, not {shown(operand)}."
            )
        return self._count(Compare(path, order, scalar))

    def _exists(self, path: Path, operand: JSON) -> Filter:
        if not isinstance(operand, bool):
            raise QueryError(
                f"$exists of {_dotted(path)} needs true or false, not {shown(operand)}."
            )
        test = self._count(Exists(path))
        return test if operand else Not(test)

    def _matches(self, path: Path, pattern: JSON, options: JSON) -> Filter:
        if not isinstance(pattern, str):
            raise QueryError(f"$regex of {_dotted(path)} needs a text, not {shown(pattern)}.")
        if options not in ("", "i"):
            raise QueryError(
                f'$options of {_dotted(path)} knows only "i" (ignore case), not {shown(options)}.'
            )
        ignore_case = options == "i"
        portable(check_text(pattern, f"$regex of {_dotted(path)}"), ignore_case)
        return self._count(Matches(path, pattern, ignore_case))

    def _not(self, path: Path, operand: JSON, depth: int) -> Filter:
        if not isinstance(operand, dict) or not operand or not all(map(_is_operator, operand)):
            raise QueryError(
                f'$not of {_dotted(path)} needs operators, such as {{"$gt": 5}}, '
                f"not {shown(operand)}; for a single value write $ne."
            )
        _check_depth(depth + 1)
        return Not(self._operators(path, operand, depth + 1))

    def _scalar(self, path: Path, operand: JSON) -> Scalar:
        """Return an operand as documents store such a value."""
        if operand is None or isinstance(operand, bool):
            return operand
        if not isinstance(operand, str | int | float):
            raise QueryError(
                f"{_dotted(path)} can be compared with a text, a number, true, false or null, "
                f"not with {shown(operand)}; compare what is inside it, for several values use $in."
            )
        if declared_type(path, self._definition) is PropertyType.DATE:
            date = normalise_date(operand)
            if date is not None:
                return date
        if isinstance(operand, str):
            return check_text(operand, f"What {_dotted(path)} is compared with")
        number = normalise_number(operand)
        if number is None:
            raise QueryError(f"{_dotted(path)} can be compared with finite numbers only.")
        return number

    def _count(self, test: Filter) -> Filter:
        self._found += 1
        if self._found > MAX_CONDITIONS:
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


def _dotted(path: Path) -> str:
    return shown(".".join(path))


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise QueryError(f"A query nests at most {MAX_DEPTH} objects; flatten it.")


def _misplaced_at_top(operator: str) -> QueryError:
    if operator in OPTIONS:
        return QueryError(f"{operator} belongs at the top of a query, beside the conditions.")
    if operator in _OPERATORS:
        return QueryError(
            f'{operator} tests a property; write {{"age": {{"{operator}": …}}}}, '
            "and for the opposite of whole conditions $nor."
        )
    return _unknown(operator, (*_LOGIC, *_OPERATORS, *OPTIONS))


def _misplaced_in(path: Path, operator: str) -> QueryError:
    if operator in _LOGIC or operator in OPTIONS:
        return QueryError(
            f"{operator} cannot stand inside {_dotted(path)}; "
            "put it at the top, with the whole path in each condition."
        )
    return _unknown(operator, _OPERATORS)


def _unknown(operator: str, known: tuple[str, ...]) -> QueryError:
    near = get_close_matches(operator, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
    return QueryError(f"{shown(operator)} is no operator; {hint}")
