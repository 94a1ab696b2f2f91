"""Where in a document something is that a converter has refused."""

from __future__ import annotations

from collections.abc import Callable

from cattrs.errors import AttributeValidationNote, IterableValidationNote

__all__ = ["joined", "place_of"]


def place_of(path: str, error: BaseException, key: Callable[[str], str]) -> str:
    """Extend a path by where in its parent an error happened; `key` is what files call a field."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return joined(path, key(note.name))
        if isinstance(note, IterableValidationNote):
            index = note.index
            return f"{path}[{index}]" if isinstance(index, int) else joined(path, index)
    return path


def joined(path: str, key: str) -> str:
    """Return the path of a key below another."""
    return f"{path}.{key}" if path else key
