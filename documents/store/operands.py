"""What a condition compares with: a value of a type that the property can have.

What could never hold is refused and not compared, for whoever asks so means something else: a `+`
that a URL has made a blank, a date without its zone, a number in quotation marks.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ...config import PropertyType
from ...config.fields import shown
from ...transport import JSON
from ..errors import QueryError
from .filters import Scalar
from .paths import SCALARS, check_text
from .scalars import normalise_date, normalise_number

__all__ = ["check_inside", "check_may_be", "operand"]

_NAMES: Final = {
    PropertyType.STRING: "a string",
    PropertyType.NUMBER: "a number",
    PropertyType.BOOLEAN: "true or false",
    PropertyType.DATE: "a date",
    PropertyType.ARRAY: "an array",
    PropertyType.OBJECT: "an object",
}
_REMEDIES: Final = {
    PropertyType.STRING: 'write it in quotation marks, as "5"',
    PropertyType.NUMBER: "write a number without quotation marks",
    PropertyType.BOOLEAN: "write true or false without quotation marks",
    PropertyType.DATE: "write it with its zone, as in 2026-11-25T08:00:00Z or "
    "2026-11-25T09:00:00+01:00 (a + is %2B in a URL), as a day, or as unix milliseconds",
    PropertyType.OBJECT: "compare what is inside it",
}


def operand(name: str, declared: PropertyType | None, given: JSON) -> Scalar:
    """Return an operand as documents store such a value.

    `name` is the property's, for people, and `declared` its type, if it has one. Raises
    `QueryError` where no value of that type can equal it. Null is of every type.
    """
    if given is None:
        return None
    if not isinstance(given, str | int | float):
        raise QueryError(
            f"{name} can be compared with a text, a number, true, false or null, "
            f"not with {shown(given)}; compare what is inside it, for several values use $in."
        )
    if declared is PropertyType.DATE and not isinstance(given, bool):
        date = normalise_date(given)
        if date is not None:
            return date
    if declared is not None and not _fits(declared, given):
        raise QueryError(
            f"{name} is {_NAMES[declared]}, which {shown(given)} is not; {_REMEDIES[declared]}."
        )
    if isinstance(given, str):
        return check_text(given, f"What {name} is compared with")
    if isinstance(given, bool):
        return given
    number = normalise_number(given)
    if number is None:
        raise QueryError(f"{name} can be compared with finite numbers only.")
    return number


def check_inside(name: str, outer: str, declared: PropertyType | None, inner: str) -> None:
    """Raise `QueryError` where a path leads into a property in which nothing is.

    `name` is the whole path for people, `outer` its first name and `inner` its second.
    """
    if declared in SCALARS:
        raise QueryError(
            f"{name} leads into {shown(outer)}, which is {_NAMES[declared]}; "
            f"operators begin with a dollar sign, as in {outer}.${inner}."
        )


def check_may_be(
    name: str, declared: PropertyType | None, types: Collection[PropertyType], operator: str
) -> None:
    """Raise `QueryError` where an operator is for properties of other types than the declared."""
    if declared is not None and declared not in types:
        wanted = " or ".join(_NAMES[each] for each in sorted(types))
        raise QueryError(f"{operator} tests {wanted}, and {name} is {_NAMES[declared]}.")


def _fits(declared: PropertyType, given: str | float) -> bool:
    match declared:
        case PropertyType.STRING:
            return isinstance(given, str)
        case PropertyType.NUMBER:
            return isinstance(given, int | float) and not isinstance(given, bool)
        case PropertyType.BOOLEAN:
            return isinstance(given, bool)
        case PropertyType.ARRAY:  # one of its elements may
            return True
    return False
