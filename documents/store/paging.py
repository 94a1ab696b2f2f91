"""Which part of what a query finds is returned: its own `$limit`, and the bounds of the pod."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from .filters import Query

__all__ = ["Bounds", "Page", "how_many", "page_of"]


@frozen
class Bounds:
    """How much of what a query finds is returned: documents, and bytes of them, one at least."""

    documents: int
    nbytes: int


@frozen
class Page:
    """What a query found: each document as JSON bytes.

    `truncated` says that there are more, which a bound of the pod has left out, and not the query's
    own limit.
    """

    documents: tuple[bytes, ...]
    truncated: bool = False


def how_many(query: Query, bounds: Bounds) -> int:
    """Return how many documents to look for: where the bound is ours, one more shows the rest."""
    if query.limit is None or query.limit > bounds.documents:
        return bounds.documents + 1
    return query.limit


def page_of(found: Iterable[bytes], query: Query, bounds: Bounds) -> Page:
    """Return the page that is made of the first documents, as they are shown."""
    limit = bounds.documents if query.limit is None else min(query.limit, bounds.documents)
    ours = how_many(query, bounds) > limit
    page: list[bytes] = []
    size = 0
    for shown in found:
        if len(page) == limit:
            return Page(tuple(page), truncated=ours)
        size += len(shown)
        # The first is always taken: whoever pages by `$skip` gets ahead, whatever its size.
        if page and size > bounds.nbytes:
            return Page(tuple(page), truncated=True)
        page.append(shown)
    return Page(tuple(page))
