"""The names in a query: how they are written, and what the definition says of them."""

from __future__ import annotations

from typing import Final

from ...config import Definition, PropertyType
from ...config.fields import shown
from ..errors import QueryError
from .filters import Path

__all__ = ["MAX_NAME", "MAX_SEGMENTS", "SCALARS", "check_text", "declared_type", "read_path"]

MAX_SEGMENTS: Final = 8
"""Names in a path."""

MAX_NAME: Final = 64
"""Characters of a name."""

SCALARS: Final = frozenset(
    {PropertyType.STRING, PropertyType.NUMBER, PropertyType.BOOLEAN, PropertyType.DATE}
)
"""Types whose properties hold neither arrays nor objects."""

_BUILT_IN: Final = {
    "id": PropertyType.STRING,
    "createdAt": PropertyType.DATE,
    "updatedAt": PropertyType.DATE,
}


def read_path(text: str, inside: Path = ()) -> Path:
    """Return the path that a dotted name means inside another; raises `QueryError`."""
    names = tuple(text.split("."))
    if len(inside) + len(names) > MAX_SEGMENTS:
        raise QueryError(f"{shown(text)} leads too deep; a path has at most {MAX_SEGMENTS} names.")
    for name in names:
        _check_name(name, text)
    return inside + names


def _check_name(name: str, text: str) -> None:
    if not name:
        raise QueryError(f"{shown(text)} holds an empty name; write a path as address.city.")
    if len(name) > MAX_NAME:
        raise QueryError(f"{shown(name)} is too long; a name has at most {MAX_NAME} characters.")
    if name.startswith("$"):
        raise QueryError(f'{shown(text)} is no path; write operators as {{"age": {{"$gt": 1}}}}.')
    if any(character in '"\\\x7f' or character < " " for character in name):
        raise QueryError(
            f"{shown(text)} cannot be asked for: rename properties with quotation marks, "
            "backslashes or control characters."
        )
    check_text(name, "A name")


def check_text(text: str, what: str) -> str:
    """Return a text that every database can hold, or raise `QueryError`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise QueryError(f"{what} holds half a surrogate pair; send whole characters.") from None
    if "\0" in text:
        raise QueryError(f"{what} holds the character U+0000; remove it.")
    return text


def declared_type(path: Path, definition: Definition) -> PropertyType | None:
    """Return what type is declared for the values at a path, or None."""
    if len(path) != 1:
        return None
    name = path[0]
    about = definition.properties.get(name)
    return _BUILT_IN.get(name) or (about.type if about else None)
