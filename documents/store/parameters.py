"""URL parameters, whole or dotted, as the one JSON object that they mean.

Parameters that meet at different places of one object are one object again, as a client took it
apart: `age.$gte=18&age.$lt=65`. Those that meet at the same place, because one is repeated or they
contradict in shape (`a=1&a.$gt=2`, `a=1&a.b=2`), are separate conditions, and all must hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

import orjson

from ...config import Definition, PropertyType
from ...config.fields import shown
from ...transport import JSON
from ..errors import QueryError
from .conditions import MAX_DEPTH
from .paths import declared_type
from .vocabulary import OPTIONS

__all__ = ["MAX_PARAMETERS", "nested"]

MAX_PARAMETERS: Final = 500
"""Parameters of one request; each is compared with those before it."""

_TEXTS: Final = ("$regex", "$options")


def nested(params: Sequence[tuple[str, str]], definition: Definition) -> dict[str, JSON]:
    """Return the object that parameters mean; raises `QueryError`."""
    if len(params) > MAX_PARAMETERS:
        raise QueryError(f"A query has at most {MAX_PARAMETERS} parameters; use $in or $or.")
    options: dict[str, JSON] = {}
    conditions: list[dict[str, JSON]] = []
    for name, text in params:
        given = _object(name, text, definition)
        if name.split(".", 1)[0] in OPTIONS:
            if not _fit(options, given):
                raise QueryError(f"{shown(name)} is said twice; say it once.")
            options = _joined(options, given)
        else:
            _add(conditions, given)
    if len(conditions) < 2:
        return {**(conditions[0] if conditions else {}), **options}
    return {"$and": list(conditions), **options}


def _object(name: str, text: str, definition: Definition) -> dict[str, JSON]:
    names = name.split(".")
    if len(names) > MAX_DEPTH:
        raise QueryError(f"{shown(name)} leads too deep; it has at most {MAX_DEPTH} names.")
    value = _value(name, names, text, definition)
    top, *inside = names
    if top in OPTIONS and inside:  # `$sort.a` does not contradict `$sort.a.b`
        inside = [".".join(inside)]
    for inner in reversed(inside):
        value = {inner: value}
    return {top: value}


def _value(name: str, names: list[str], text: str, definition: Definition) -> JSON:
    """Return what a parameter's text means: JSON where it is, else the text itself."""
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.startswith(("{", "[", '"')):
            raise QueryError(
                f"{shown(name)} begins like JSON but is none ({error}); "
                "a text that begins so is written as a JSON string."
            ) from None
        return text
    if isinstance(value, bool | int | float) and _takes_text(names, definition):
        return text
    return value


def _takes_text(names: list[str], definition: Definition) -> bool:
    if names[0] in OPTIONS:  # what an option says of a property is no value of it
        return False
    if names[-1] in _TEXTS:
        return True
    path = tuple(takewhile(lambda name: not name.startswith("$"), names))
    declared = declared_type(path, definition)
    return declared is PropertyType.STRING and names[-1] != "$exists"


def _add(conditions: list[dict[str, JSON]], given: dict[str, JSON]) -> None:
    """Put an object into the first that has a place for it, else beside them."""
    for at, there in enumerate(conditions):
        if _fit(there, given):
            conditions[at] = _joined(there, given)
            return
    conditions.append(given)


def _fit(one: dict[str, JSON], other: dict[str, JSON], depth: int = 0) -> bool:
    """Say whether two objects have no place in common, and so can be one."""
    return all(_fit_inside(one[key], other[key], depth + 1) for key in one.keys() & other.keys())


def _fit_inside(one: JSON, other: JSON, depth: int) -> bool:
    if not isinstance(one, dict) or not isinstance(other, dict) or depth > MAX_DEPTH:
        return False  # what is too deep is refused by whoever reads it
    operators = {key.startswith("$") for key in (*one, *other)}
    return len(operators) == 1 and _fit(one, other, depth)


def _joined(one: dict[str, JSON], other: dict[str, JSON]) -> dict[str, JSON]:
    both = {
        key: _joined(one[key], other[key])  # type: ignore[arg-type] # they fit, so both are objects
        for key in one.keys() & other.keys()
    }
    return {**one, **other, **both}
