"""The query language of collections: URL parameters or a JSON object, read into a `Query`.

`parameters` takes the two URL forms, `conditions` filters, `patterns` what `$regex` may be; here
are the options at the top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ...config import Definition
from ...config.fields import shown
from ...transport import JSON
from ..errors import QueryError
from .conditions import read_filter
from .filters import Path, Query, SortKey
from .parameters import nested
from .paths import read_path
from .vocabulary import OPTIONS

__all__ = ["MAX_FIELDS", "MAX_SKIP", "MAX_SORT_KEYS", "parse_query", "read_query"]

MAX_SKIP: Final = 10**9
"""Documents that may be skipped. A higher limit than this is the same as this."""

MAX_SORT_KEYS: Final = 8
"""Paths to sort by."""

MAX_FIELDS: Final = 200
"""Names in `$fields`."""


def parse_query(params: Sequence[tuple[str, str]], definition: Definition) -> Query:
    """Read the decoded parameters of a URL; raises `QueryError`.

    `?age.$gte=18`, `?age={"$gte":18}` and `?$or=[{…},{…}]` may be mixed. A text that is JSON is
    read as JSON, any other stands for itself. For a property that is declared as a string, and
    for `id`, a bare number, true or false is a text too: `?zip=12`. All parameters must hold,
    also repeated ones; `$sort`, `$limit`, `$skip`, `$fields` may be said once.
    """
    return read_query(nested(params, definition), definition)


def read_query(value: Mapping[str, JSON], definition: Definition) -> Query:
    """Read a query that is an object already; raises `QueryError`.

    Its operators are `vocabulary.OPERATORS` inside a property, `LOGIC` around conditions, and
    at its top `OPTIONS`.
    """
    fields, without = _fields(value.get("$fields"))
    return Query(
        filter=read_filter(
            {key: inner for key, inner in value.items() if key not in OPTIONS}, definition
        ),
        sort=_sort(value.get("$sort")),
        limit=_limit(value.get("$limit")),
        skip=_skip(value.get("$skip", 0)),
        fields=fields,
        without=without,
    )


def _sort(value: JSON) -> tuple[SortKey, ...]:
    if value is None:
        return ()
    keys = tuple(_sort_keys(value, ()))
    if len(keys) > MAX_SORT_KEYS:
        raise QueryError(f"$sort has at most {MAX_SORT_KEYS} keys; leave the last ones out.")
    return keys


def _sort_keys(value: JSON, path: Path) -> Iterator[SortKey]:
    if not isinstance(value, dict):
        raise QueryError(f'$sort needs an object such as {{"createdAt": -1}}, not {shown(value)}.')
    for name, inner in value.items():
        inside = read_path(name, path)
        if isinstance(inner, dict):
            yield from _sort_keys(inner, inside)
        elif isinstance(inner, bool) or inner not in (1, -1):
            raise QueryError(
                f"$sort of {shown('.'.join(inside))} is 1 (ascending) or -1 (descending), "
                f"not {shown(inner)}."
            )
        else:
            yield SortKey(inside, descending=inner == -1)


def _limit(value: JSON) -> int | None:
    return None if value is None else min(_whole("$limit", value), MAX_SKIP)


def _skip(value: JSON) -> int:
    skip = _whole("$skip", value)
    if skip > MAX_SKIP:
        raise QueryError(f"$skip is at most {MAX_SKIP}; ask for what comes after a value instead.")
    return skip


def _whole(option: str, value: JSON) -> int:
    if isinstance(value, float) and value.is_integer():  # JSON knows one kind of number
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise QueryError(f"{option} needs a whole number from 0 on, not {shown(value)}.")
    return value


def _fields(value: JSON) -> tuple[frozenset[str], bool]:
    """Return the names in `$fields`, and whether they are to be left out."""
    if value is None:
        return frozenset(), False
    chosen = dict.fromkeys(_names(value), 1) if isinstance(value, list) else value
    if not isinstance(chosen, dict) or not chosen:
        raise QueryError(
            f'$fields needs names, as {{"a": 1}}, {{"a": 0}} or ["a"], not {shown(value)}.'
        )
    if len(chosen) > MAX_FIELDS:
        raise QueryError(f"$fields has at most {MAX_FIELDS} names; leave it out to get all.")
    for name, choice in chosen.items():
        _check_field(name, choice)
    shows = {bool(choice) for name, choice in chosen.items() if name != "id"}
    if len(shows) > 1:
        raise QueryError("$fields either shows properties (1) or leaves some out (0), not both.")
    names = frozenset(chosen)
    return (names - {"id"}, True) if shows == {False} else (names, False)


def _names(value: list[JSON]) -> Iterator[str]:
    for name in value:
        if not isinstance(name, str):
            raise QueryError(f"$fields needs names of properties, not {shown(name)}.")
        yield name


def _check_field(name: str, choice: JSON) -> None:
    if len(read_path(name)) > 1:
        raise QueryError(f"$fields knows whole properties only; name {shown(name.split('.')[0])}.")
    if not isinstance(choice, int) or choice not in (0, 1):
        raise QueryError(f"$fields of {shown(name)} is 1 (show) or 0 (leave out).")
    if name == "id" and not choice:
        raise QueryError("$fields cannot leave id out: it is always shown.")
