"""What a client's changes make of a document's properties: values, and the operators of updates.

Pure. The store decides a write from the document as it is, inside the transaction, so that of two
that count up at the same time none is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ...config import BUILT_IN, Definition, PropertyType
from ...config.fields import shown
from ...transport import JSON
from ..errors import FieldError, invalid
from ..store import Document

__all__ = ["OPERATORS", "alike", "updated"]


def updated(
    definition: Definition, current: Document, changes: Mapping[str, JSON], *, merge: bool = False
) -> Document:
    """Return a document with properties changed: each to a value, or by one operator.

    What is not named stays; with `merge` inside of objects too, and null takes out (RFC 7396).
    Raises `RequestRefused` (400) that names each property to which an
    operator cannot be applied. Whether the values will do is not judged here.
    """
    document = dict(current)
    errors = []
    for name, change in changes.items():
        if name in BUILT_IN:
            continue
        if not isinstance(change, dict) or not any(key.startswith("$") for key in change):
            if merge:
                _merge(document, name, change)
            else:
                document[name] = change
            continue
        try:
            _apply(definition, document, name, change)
        except _Inapplicable as unfit:
            errors.append(FieldError(name[:64], str(unfit)))
    if errors:
        raise invalid(tuple(errors))
    return document


def _merge(into: dict[str, JSON], name: str, change: JSON) -> None:
    if change is None:
        into.pop(name, None)
        return
    if isinstance(change, dict):
        there = into.get(name)
        merged = dict(there) if isinstance(there, dict) else {}
        for inner, value in change.items():
            _merge(merged, inner, value)
        change = merged
    into[name] = change


def alike(one: JSON, other: JSON) -> bool:
    """Say whether two values are one to whoever reads them; in Python 1 equals true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and one == other


class _Inapplicable(Exception):
    """An operator cannot be applied; the message goes on where the property's name ends."""


def _apply(
    definition: Definition, document: Document, name: str, change: Mapping[str, JSON]
) -> None:
    [operator, *others] = change
    if others:
        raise _Inapplicable(f"is changed by one operator at a time, not by {', '.join(change)}")
    if operator not in OPERATORS:
        raise _Inapplicable(
            f"cannot be changed by {shown(operator)}, which is no operator of updates; "
            f"known are {', '.join(OPERATORS)}"
        )
    if operator == "$unset":
        if change[operator] is not True:
            raise _Inapplicable('is taken out by {"$unset": true}, and by nothing else')
        document.pop(name, None)
        return
    wanted, words, compute = _COMPUTED[operator]
    about = definition.properties.get(name)
    if about is not None and about.type is not wanted:
        raise _Inapplicable(f"is declared as {about.type.value}, and {operator} is for {words}")
    document[name] = compute(document.get(name), change[operator])


def _inc(there: JSON, by: JSON) -> JSON:
    if not _is_number(by):
        raise _Inapplicable(f"can be raised by a number ($inc), not by {shown(by)}")
    if there is None:
        return by
    if not _is_number(there):
        raise _Inapplicable("holds no number, to which $inc could add one")
    return there + by  # type: ignore[operator] # both are numbers


def _push(there: JSON, value: JSON) -> JSON:
    return [*_array(there, "$push"), value]


def _pull(there: JSON, value: JSON) -> JSON:
    if isinstance(value, dict) and any(key.startswith("$") for key in value):
        raise _Inapplicable("loses what equals a value ($pull), and no conditions can stand there")
    return [one for one in _array(there, "$pull") if not alike(one, value)]


def _add_to_set(there: JSON, value: JSON) -> JSON:
    array = _array(there, "$addToSet")
    return array if any(alike(one, value) for one in array) else [*array, value]


def _array(there: JSON, operator: str) -> list[JSON]:
    if there is None:
        return []
    if not isinstance(there, list):
        raise _Inapplicable(f"holds no array, which {operator} is for")
    return there


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_COMPUTED: Final[Mapping[str, tuple[PropertyType, str, Callable[[JSON, JSON], JSON]]]] = {
    "$inc": (PropertyType.NUMBER, "numbers", _inc),
    "$push": (PropertyType.ARRAY, "arrays", _push),
    "$pull": (PropertyType.ARRAY, "arrays", _pull),
    "$addToSet": (PropertyType.ARRAY, "arrays", _add_to_set),
}
OPERATORS: Final = (*_COMPUTED, "$unset")
"""What a PUT may say of a property in the place of a value, as in `{"votes": {"$inc": 1}}`."""
