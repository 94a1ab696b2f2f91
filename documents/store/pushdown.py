"""What of a filter may be asked of the documents as they are stored, and what may not.

Where somebody sees documents otherwise than they are stored, a condition may be left to a database
only if it looks at nothing but what is seen as it is stored. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .filters import All, Any, Filter, Not, SortKey

__all__ = ["asks_only", "named", "sorted_by_only", "split"]


def named(wanted: Filter) -> frozenset[str]:
    """Return the properties that a filter looks at."""
    match wanted:
        case All(filters) | Any(filters):
            return frozenset().union(*map(named, filters))
        case Not(inner):
            return named(inner)
        case _:
            return frozenset(wanted.path[:1])


def asks_only(wanted: Filter, names: frozenset[str]) -> bool:
    """Say whether a filter looks at nothing but these properties."""
    return named(wanted) <= names


def sorted_by_only(sort: Sequence[SortKey], names: frozenset[str]) -> bool:
    """Say whether an order looks at nothing but these properties."""
    return all(key.path[0] in names for key in sort)


def split(wanted: Filter, names: frozenset[str]) -> tuple[Filter, Filter]:
    """Return two filters that together are this one; the first looks at these properties alone."""
    parts = list(_conjuncts(wanted))
    inside = tuple(part for part in parts if asks_only(part, names))
    outside = tuple(part for part in parts if not asks_only(part, names))
    return All(inside), All(outside)


def _conjuncts(wanted: Filter) -> Iterator[Filter]:
    if isinstance(wanted, All):
        for inner in wanted.filters:
            yield from _conjuncts(inner)
    else:
        yield wanted
