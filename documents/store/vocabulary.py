"""The words of the query language, and what is said of one that is unknown or stands elsewhere."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from ...config.fields import shown
from ..errors import QueryError

__all__ = ["LOGIC", "OPERATORS", "OPTIONS", "misplaced_at_top", "misplaced_in"]

OPTIONS: Final = ("$sort", "$limit", "$skip", "$fields")
"""What a query may say beside its filter, at its top."""

LOGIC: Final = ("$and", "$or", "$nor")
"""What stands around conditions."""

OPERATORS: Final = (
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex"),
    *("$options", "$not", "$all", "$size", "$elemMatch"),
)
"""What tests a property."""


def misplaced_at_top(operator: str) -> QueryError:
    """Say why something is no condition, though it begins like an operator."""
    if operator in OPTIONS:
        return QueryError(f"{operator} belongs at the top of a query, beside the conditions.")
    if operator in OPERATORS:
        return QueryError(
            f'{operator} tests a property; write {{"age": {{"{operator}": …}}}}, '
            "and for the opposite of whole conditions $nor."
        )
    return _unknown(operator, (*LOGIC, *OPERATORS, *OPTIONS))


def misplaced_in(name: str, operator: str) -> QueryError:
    """Say why something is no test of the property `name`, which is written for people."""
    if operator in LOGIC or operator in OPTIONS:
        return QueryError(
            f"{operator} cannot stand inside {name}; "
            "put it at the top, with the whole path in each condition."
        )
    return _unknown(operator, OPERATORS)


def _unknown(operator: str, known: tuple[str, ...]) -> QueryError:
    near = get_close_matches(operator, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
    return QueryError(f"{shown(operator)} is no operator; {hint}")
