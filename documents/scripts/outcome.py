"""What a script decided, as plain JSON that no script can reach any more."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from attrs import frozen

from ...transport import JSON
from ..store import Document

__all__ = [
    "NotPlain",
    "Response",
    "ScriptOutcome",
    "plain",
    "plain_document",
    "plain_text",
    "plain_whole",
]

# Without these, orjson would write dates and dataclasses in forms of its own.
_STRICT = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_MAX_LEVELS = 16


class NotPlain(TypeError):
    """A value is not JSON; the message names the place in it."""


@frozen
class Response:
    """An answer that takes the place of the usual one. `body` is answered as JSON."""

    body: JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@frozen
class ScriptOutcome:
    """What one run of a script decided. Whoever ran it has to act on it.

    - `data`: the document as the script left it, a copy; empty when the script cancelled.
    - `errors`: (field, message) of what is wrong with the request; any refuses it.
    - `hidden`: fields to leave out wherever the document is shown; they are still in `data`.
    - `protected`: fields whose change by the request is undone. It is in `data` already; they are
      named for a writer that finds another document there than `previous`.
    - `cancelled`: (message, HTTP status) when the script ended the request, else None.
    - `response`: what is answered instead of the document, or None.
    """

    data: Document
    errors: tuple[tuple[str, str], ...] = ()
    hidden: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()
    cancelled: tuple[str, int] | None = None
    response: Response | None = None

    @property
    def shown(self) -> Document:
        """The document without the hidden fields."""
        return {name: value for name, value in self.data.items() if name not in self.hidden}


def plain(value: object, name: str) -> JSON:
    """Return a copy of a value that is made of JSON only; tuples become lists, UUIDs texts.

    NaN and infinities become null, as everywhere on the wire. Raises `NotPlain`, which names the
    place that is not JSON: `name` and the keys that lead there.
    """
    try:
        copy: JSON = orjson.loads(orjson.dumps(value, option=_STRICT))
    except TypeError as error:
        raise NotPlain(
            f"{_misfit(value, name)} is not JSON ({error}); use None, bool, int, float, str, "
            "lists, and dicts whose keys are texts."
        ) from error
    return copy


def plain_document(value: object, name: str) -> Document:
    """Return a copy of a value that must be a JSON object, or raise `NotPlain`."""
    copy = plain(value, name)
    if not isinstance(copy, dict):
        raise NotPlain(f"{name} must stay a dict, and is of type {type(value).__name__}.")
    return copy


def plain_text(value: object, name: str) -> str:
    """Return a text that is nothing else: what inherits from `str` may do anything when compared.

    Raises `TypeError` for what is no text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, and is of type {type(value).__name__}")
    return str.__str__(value)


def plain_whole(value: object, name: str) -> int:
    """Return a whole number that is nothing else, or raise `TypeError`."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, and is of type {type(value).__name__}")
    return int.__index__(value)


def _misfit(value: object, name: str) -> str:
    """Name the innermost part that is not JSON; below some levels, the whole part there."""
    for _ in range(_MAX_LEVELS):
        inner = next(((part, at) for at, part in _parts(value) if not _fits(part)), None)
        if inner is None:
            break
        value, name = inner[0], f"{name}[{inner[1]}]"
    return name


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((ascii(key)[:80], part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(index), part) for index, part in enumerate(value))


def _fits(value: object) -> bool:
    try:
        orjson.dumps(value, option=_STRICT)
    except TypeError:
        return False
    return True
