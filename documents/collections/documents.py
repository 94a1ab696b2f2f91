"""From what a client sends to the document that is kept: pure, by the collection's definition.

Every function returns a new document and raises `RequestRefused` (400) that names each property
that will not do. Times are unix seconds.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from ...config import BUILT_IN, Definition, Property, PropertyType
from ...transport import JSON, MAX_DEPTH
from ..errors import FieldError, invalid
from ..store import Document, format_date, normalise_date, normalise_number
from ..users import Caller
from .updates import OPERATORS, alike, updated

__all__ = ["can_be_id", "changed", "checked", "chosen_id", "created", "misfits", "new_id", "shown"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TAKEN_IDS: Final = frozenset({"count", "query"})
"""What stands in the place of an id in the pod's own paths."""

_LARGEST = sys.float_info.max

_DOTTED: Final = (
    "is a path and no name: dots lead into objects, so send the whole object that is to be there"
)


def new_id() -> str:
    """Return an id that no other document has: 96 random bits in hexadecimal."""
    return secrets.token_hex(12)


def can_be_id(text: str) -> bool:
    """Say whether a document could have this id; databases cannot even look for some others."""
    return _ID.fullmatch(text) is not None and text not in _TAKEN_IDS


def created(
    definition: Definition,
    data: Mapping[str, JSON],
    caller: Caller,
    id: str,  # noqa: A002
    now: float,
) -> Document:
    """Return the document that a client's data makes: defaults, times and the owner filled in."""
    document: Document = {"id": id}
    document.update((name, value) for name, value in data.items() if name not in BUILT_IN)
    for name, about in definition.properties.items():
        if about.default is not None and name not in document:
            document[name] = _default(about, now)
    if definition.has_owners and definition.owner not in BUILT_IN:
        _claim(definition, document, caller)
    document["createdAt"] = document["updatedAt"] = format_date(now)
    return checked(definition, document)


def chosen_id(data: Mapping[str, JSON]) -> str:
    """Return the id that a client chose for its new document, or a new one."""
    given = data.get("id")
    if given is None or given == "":
        return new_id()
    if not isinstance(given, str) or not can_be_id(given):
        words = "must be 1 to 64 letters, digits, '_' and '-'; leave it out to be given one"
        raise invalid((FieldError("id", words),))
    return given


def changed(
    definition: Definition,
    current: Document,
    changes: Mapping[str, JSON],
    caller: Caller,
    now: float,
    *,
    merge: bool = False,
) -> Document:
    """Return a document with some properties changed, by values or by operators.

    Its `updatedAt` grows with each change, so that no two states of it have the same.
    """
    given = changes.get("id", current["id"])
    if given != current["id"]:
        raise invalid((FieldError("id", "cannot be changed; leave it out"),))
    document = updated(definition, current, changes, merge=merge)
    owner = definition.owner
    if definition.has_owners and not caller.is_root and document.get(owner) != current.get(owner):
        raise invalid((FieldError(owner, "cannot be given away; leave it out"),))
    document["updatedAt"] = _later(current.get("updatedAt"), now)
    return checked(definition, document, current)


def checked(
    definition: Definition, document: Mapping[str, JSON], before: Mapping[str, JSON] | None = None
) -> Document:
    """Return a document whose values are what the definition says, dates in their stored form.

    What it had `before` and keeps unchanged is not judged: the definition may be younger than the
    document, and whoever changes one property answers for no other. Where others are refused, a
    property that is not defined any more is emptied by taking it out.
    """
    known = before or {}
    document = {
        name: value
        for name, value in document.items()
        if value is not None or name not in known or _undefined(definition, name) is None
    }
    errors = list(misfits(definition, document, known))
    if errors:
        raise invalid(tuple(errors))
    return {name: _stored(definition, name, value) for name, value in document.items()}


def misfits(
    definition: Definition, document: Mapping[str, JSON], before: Mapping[str, JSON]
) -> Iterator[FieldError]:
    """Yield what of a document the definition does not allow, and was not so `before`."""
    for name, about in definition.properties.items():
        needed = about.required and (not before or before.get(name) is not None)
        if needed and document.get(name) is None:
            yield FieldError(name, "is required")
    for name, value in document.items():
        if name in before and alike(before[name], value):
            continue
        sentence = _name_refusal(definition, name) or _value_refusal(definition, name, value)
        if sentence is not None:
            yield FieldError(name[:64], sentence)


def shown(
    definition: Definition, document: Document, hidden: frozenset[str] = frozenset()
) -> Document:
    """Return a document without what is private or hidden."""
    left_out = definition.private | hidden
    if left_out.isdisjoint(document):
        return document
    return {name: value for name, value in document.items() if name not in left_out}


def _claim(definition: Definition, document: Document, caller: Caller) -> None:
    owner = definition.owner
    if caller.is_root or caller.user_id is None:
        if caller.user_id is None and not caller.is_root and document.get(owner) is not None:
            raise invalid((FieldError(owner, "is for users who have signed in; leave it out"),))
        return
    if document.get(owner, caller.user_id) != caller.user_id:
        raise invalid((FieldError(owner, "is you, and nobody else; leave it out"),))
    document[owner] = caller.user_id


def _later(before: JSON, now: float) -> str:
    """Return a date as it is stored: now, and later than another one."""
    date = format_date(now)
    if not isinstance(before, str) or before < date or normalise_date(before) is None:
        return date
    return format_date(datetime.fromisoformat(before).timestamp() + 0.001)


def _default(about: Property, now: float) -> JSON:
    if about.type is PropertyType.DATE and about.default == "now":
        return format_date(now)
    return _copied(about.default)


def _copied(value: JSON) -> JSON:
    """Copy a default: the document must not share it with the definition."""
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value


# -- what is wrong ---------------------------------------------------------------------------


def _name_refusal(definition: Definition, name: str) -> str | None:
    if name in definition.properties or name in BUILT_IN:
        return None
    sentence = _undefined(definition, name)
    if sentence is not None:
        return sentence
    if name in OPERATORS:
        return f'stands in the place of a value, as in {{"votes": {{"{name}": …}}}}'
    if not name or name[0] == "$" or len(name) > 256:
        return "cannot be a name: use 1 to 256 characters, the first not '$'"
    return _DOTTED if "." in name else None


def _undefined(definition: Definition, name: str) -> str | None:
    """Say that a definition has no such property, where it allows for no others."""
    if not definition.strict or name in definition.properties or name in BUILT_IN:
        return None
    if name == definition.owner and definition.has_owners:
        return None
    return f"is not a property of '{definition.name}', which keeps no others"


def _value_refusal(definition: Definition, name: str, value: JSON) -> str | None:
    about = definition.properties.get(name)
    if about is not None and value is not None and not _FITS[about.type](value):
        return f"must be {_WORDS[about.type]}"
    return _content_refusal({name: value}, 0)


def _content_refusal(value: JSON, depth: int) -> str | None:
    """Find what no database keeps as it is, and names that mean something else in a query.

    That is NUL in texts, numbers that JSON lacks, deep nesting; operators and paths.
    """
    if isinstance(value, str):
        return "holds the character NUL, which cannot be kept" if "\0" in value else None
    if isinstance(value, int | float):
        return None if -_LARGEST <= value <= _LARGEST else "holds a number that JSON does not have"
    if not isinstance(value, dict | list):
        return None
    if depth >= MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels"
    inner: Iterator[JSON] = iter(value)
    if isinstance(value, dict):
        if depth:
            sentence = next(filter(None, map(_inner_name_refusal, value)), None)
            if sentence is not None:
                return sentence
        inner = (part for pair in value.items() for part in pair)
    return next(filter(None, (_content_refusal(part, depth + 1) for part in inner)), None)


def _inner_name_refusal(name: str) -> str | None:
    if name.startswith("$"):
        return (
            f"holds the name {name[:64]!r}, which no value may have: operators stand alone in a "
            'PUT, as in {"votes": {"$inc": 1}}, and are for whole properties'
        )
    return f"holds the name {name[:64]!r}, which {_DOTTED}" if "." in name else None


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: JSON) -> bool:
    return (isinstance(value, str) or _is_number(value)) and normalise_date(value) is not None  # type: ignore[arg-type] # narrowed


_FITS: Final[Mapping[PropertyType, Callable[[JSON], bool]]] = {
    PropertyType.STRING: lambda value: isinstance(value, str),
    PropertyType.NUMBER: _is_number,
    PropertyType.BOOLEAN: lambda value: isinstance(value, bool),
    PropertyType.DATE: _is_date,
    PropertyType.ARRAY: lambda value: isinstance(value, list),
    PropertyType.OBJECT: lambda value: isinstance(value, dict),
}
_WORDS: Final = {
    PropertyType.STRING: "a string",
    PropertyType.NUMBER: "a number",
    PropertyType.BOOLEAN: "true or false",
    PropertyType.DATE: "a date such as 2026-11-25T08:00:00Z, or unix milliseconds",
    PropertyType.ARRAY: "an array",
    PropertyType.OBJECT: "an object",
}


# -- what is stored --------------------------------------------------------------------------


def _stored(definition: Definition, name: str, value: JSON) -> JSON:
    about = definition.properties.get(name)
    if about is not None and about.type is PropertyType.DATE and _is_date(value):
        return normalise_date(value)  # type: ignore[arg-type] # `_is_date` has looked
    return _bounded(value)


def _bounded(value: JSON) -> JSON:
    """Give each number the one form in which all stores keep and compare it alike."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return normalise_number(value)
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items()}
    return value
