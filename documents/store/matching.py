"""What filters, orders and fields mean, in plain Python on documents. The stores agree with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import ge, gt, le, lt
from typing import Final, TypeAlias, TypeVar

from ...transport import JSON
from .filters import (
    All,
    Any,
    Compare,
    ElementMatches,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    Order,
    Path,
    Query,
    Size,
    SortKey,
    Test,
)
from .patterns import found, portable
from .scalars import normalise_number
from .store import Document

__all__ = ["Ranks", "by_rank", "matches", "ordered", "project", "ranks"]

T = TypeVar("T")


class _Nothing:
    """What is at a path where nothing is."""


_NOTHING: Final = _Nothing()

_Value: TypeAlias = "JSON | _Nothing"
_Rank: TypeAlias = "tuple[int, str | float]"

Ranks: TypeAlias = tuple[_Rank, ...]
"""Where a document stands among others, by each key of a sort."""

_COMPARE: Final[dict[Order, Callable[[str | float, str | float], bool]]] = {
    Order.BELOW: lt,
    Order.AT_MOST: le,
    Order.ABOVE: gt,
    Order.AT_LEAST: ge,
}


def matches(filter: Filter, document: Document) -> bool:  # noqa: A002 - the field's own word
    """Say whether a filter wants a document."""
    return _wants(filter, document)


def _wants(filter: Filter, root: JSON) -> bool:  # noqa: A002
    match filter:
        case All(filters):
            return all(_wants(inner, root) for inner in filters)
        case Any(filters):
            return any(_wants(inner, root) for inner in filters)
        case Not(inner):
            return not _wants(inner, root)
        case _:
            return any(_holds(filter, value) for value in _values(filter.path, root))


def ordered(documents: Iterable[Document], sort: Sequence[SortKey]) -> list[Document]:
    """Return documents in order; they must come in the order of their creation."""
    return by_rank(((ranks(document, sort), document) for document in documents), sort)


def ranks(document: Document, sort: Sequence[SortKey]) -> Ranks:
    """Return where a document stands by each key: all that an order has to know of it."""
    return tuple(_rank(_at(key.path, document)) for key in sort)


def by_rank(items: Iterable[tuple[Ranks, T]], sort: Sequence[SortKey]) -> list[T]:
    """Return items in the order of their ranks; they must come in the order of their creation."""
    result = list(items)
    for place, key in reversed(list(enumerate(sort))):

        def rank(item: tuple[Ranks, T], place: int = place) -> _Rank:
            return item[0][place]

        # Each pass keeps the order of the one before among equals.
        result.sort(key=rank, reverse=key.descending)
    return [item for _, item in result]


def project(document: Document, query: Query) -> Document:
    """Return what a query shows of a document: a new one."""
    if not query.fields:
        return dict(document)
    if query.without:
        return {name: value for name, value in document.items() if name not in query.fields}
    return {name: value for name, value in document.items() if name in query.fields or name == "id"}


def _values(path: Path, root: JSON) -> Sequence[_Value]:
    """Return what is at a path: of each object in the first array on the way, if there is one."""
    value: _Value = root
    for place, name in enumerate(path):
        if isinstance(value, list):
            inside = [_at(path[place:], item) for item in value if isinstance(item, dict)]
            return inside or (_NOTHING,)
        if not isinstance(value, dict):
            return (_NOTHING,)
        value = value.get(name, _NOTHING)
    return (value,)


def _at(path: Path, document: Document) -> _Value:
    """Return what is at a path through objects alone."""
    value: _Value = document
    for name in path:
        if not isinstance(value, dict):
            return _NOTHING
        value = value.get(name, _NOTHING)
    return value


def _holds(test: Test, value: _Value) -> bool:
    match test:
        case Exists():
            return value is not _NOTHING
        case Size(_, length):
            return isinstance(value, list) and len(value) == length
        case ElementMatches(_, inner):
            return isinstance(value, list) and any(_wants(inner, element) for element in value)
        case Equal() | Compare() | Matches():
            if isinstance(value, list):
                return any(_holds_for(test, element) for element in value)
            return _holds_for(test, value)


def _holds_for(test: Equal | Compare | Matches, value: _Value) -> bool:
    match test:
        case Equal(_, values):
            return any(_rank(value) == _rank(wanted) for wanted in values)
        case Compare(_, order, wanted):
            (kind, operand), (same, limit) = _rank(value), _rank(wanted)
            return kind == same and _COMPARE[order](operand, limit)
        case Matches(_, pattern, ignore_case):
            return isinstance(value, str) and found(portable(pattern, ignore_case), value)


def _rank(value: _Value) -> _Rank:
    """Return where a value stands among all; those that stand at the same place are equal."""
    if value is None or isinstance(value, _Nothing):
        return 0, 0
    if isinstance(value, bool):
        return 5 + value, 0
    if isinstance(value, int | float):
        number = normalise_number(value)
        return 1, value if number is None else number
    if isinstance(value, str):
        return 2, value
    return (3, 0) if isinstance(value, dict) else (4, 0)
