"""Finding documents where a `get` script decides what they are: by what the caller sees of them.

The store narrows the search down by what is always shown as it is stored, and nothing else: a
database that filtered, sorted or counted by anything more would tell what the script keeps back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

import orjson
import trio
from attrs import evolve, frozen

from ...transport import JSON
from ..errors import QueryError, RequestRefused, StoreUnavailable
from ..store import (
    All,
    Bounds,
    Document,
    Filter,
    Page,
    Query,
    Ranks,
    by_rank,
    how_many,
    matches,
    project,
    ranks,
    sorted_by_only,
    split,
)
from ..users import readable
from .environment import Collection, CollectionEnvironment
from .scripting import Call
from .view import DocumentView, Viewer, as_stored
from .writing import refusal_of

__all__ = ["Search"]

FIRST_LOOK: Final = 100
"""Documents that are looked at first, where not more are wanted."""

MORE: Final = 4
"""How many times as many are looked at next, when those did not do."""

AT_ONCE: Final = 200
AT_ONCE_BYTES: Final = 2**20
"""What is shown to the script, and judged, in one go: documents, and bytes of them."""


@frozen
class _Hit:
    """A document that a query wants: where it stands among others, and what is answered of it."""

    ranks: Ranks
    body: bytes


_Judged = dict[bytes, _Hit | None]
"""What was found of documents as they are stored: what is the same is not looked at again."""


class Search:
    """One query of one caller over documents as the caller sees them.

    `wanted` holds what the client asks for, and nothing of rights. `find` and `count` raise
    `RequestRefused`.
    """

    def __init__(
        self,
        viewer: Viewer,
        environment: CollectionEnvironment,
        collection: Collection,
        call: Call,
        wanted: Query,
    ) -> None:
        self._viewer = viewer
        self._env = environment
        self._collection = collection
        self._asked = evolve(call, parts=())
        self._wanted = wanted
        definition, caller = collection.definition, call.caller
        stored = as_stored(definition, caller)
        narrow, self._rest = split(wanted.filter, stored)
        self._narrow = All((narrow, readable(definition, caller)))
        self._in_order = sorted_by_only(wanted.sort, stored)

    async def find(self, bounds: Bounds) -> list[bytes]:
        """Return what is shown of the documents that are wanted, in order, none skipped.

        There are more of them than the query or these bounds allow for, if there are.
        """
        wanted = self._wanted
        hits = await self._hits(wanted.skip + how_many(wanted, bounds))
        if self._in_order:
            return [hit.body for hit in hits]
        return by_rank(((hit.ranks, hit.body) for hit in hits), wanted.sort)

    async def count(self) -> int:
        """Return how many documents are wanted."""
        return len(await self._hits(None))

    async def _hits(self, needed: int | None) -> list[_Hit]:
        """Return so many hits, if there are, in the store's order; None stands for all.

        All are needed too where the store cannot sort.
        """
        with trio.move_on_after(2 * self._env.settings.script_timeout) as scope:
            return await self._look(needed if self._in_order else None, scope)
        raise self._too_slow()

    async def _look(self, needed: int | None, scope: trio.CancelScope) -> list[_Hit]:
        most = self._env.settings.scan_limit
        at_once = needed is None or needed > most
        window = most if needed is None else min(max(needed, FIRST_LOOK), most)
        judged: _Judged = {}
        while True:
            page = await self._page(window)
            if page.truncated and at_once:
                raise self._too_much()
            for several in _in_pieces([one for one in page.documents if one not in judged]):
                await self._judge(several, judged, scope)
            hits = [hit for hit in map(judged.get, page.documents) if hit is not None]
            if not page.truncated or (needed is not None and len(hits) >= needed):
                return hits
            if len(page.documents) < window or window == most:
                raise self._too_much()
            window = min(window * MORE, most)

    async def _page(self, window: int) -> Page:
        query = Query(self._narrow, self._wanted.sort if self._in_order else ())
        bounds = Bounds(window, self._env.settings.scan_bytes)
        try:
            return await self._env.store.find(self._collection.definition, query, bounds)
        except (StoreUnavailable, QueryError) as error:
            raise refusal_of(error) from error

    async def _judge(
        self, several: Sequence[bytes], judged: _Judged, scope: trio.CancelScope
    ) -> None:
        found: list[Document] = [orjson.loads(one) for one in several]
        views = await self._viewer.views(self._collection, self._asked, found)
        until = time.monotonic() + scope.deadline - trio.current_time()
        # In a thread, as in a database: a pattern may take long on a long text.
        hits = await trio.to_thread.run_sync(
            _hits_among, views, self._rest, self._wanted, until, limiter=self._env.searchers
        )
        if hits is None:
            raise self._too_slow()
        judged.update(zip(several, hits, strict=True))

    def _too_much(self) -> RequestRefused:
        settings = self._env.settings
        return RequestRefused(
            400,
            f"More documents of '{self._collection.name}' would have to be looked at than "
            f"{settings.scan_limit:,} or {settings.scan_bytes:,} bytes, for its get script decides "
            "what they are; ask and sort by id, createdAt, updatedAt or open properties, "
            "or raise collections.scanLimit and collections.scanBytes.",
        )

    def _too_slow(self) -> RequestRefused:
        return RequestRefused(
            503,
            f"Looking through '{self._collection.name}' took too long, for its get script decides "
            "what is there; ask for less, or by id, createdAt, updatedAt or open properties.",
            headers={"Retry-After": "2"},
        )


def _in_pieces(documents: Sequence[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for document in documents:
        size += len(document)
        if piece and (len(piece) == AT_ONCE or size > AT_ONCE_BYTES):
            yield piece
            piece, size = [], len(document)
        piece.append(document)
    if piece:
        yield piece


def _hits_among(
    views: Sequence[DocumentView | RequestRefused], rest: Filter, wanted: Query, until: float
) -> list[_Hit | None] | None:
    """Say of each whether it is wanted; None when the time (of the monotonic clock) is over."""
    hits: list[_Hit | None] = []
    for view in views:
        if time.monotonic() > until:
            return None
        hits.append(_hit(view, rest, wanted))
    return hits


def _hit(view: DocumentView | RequestRefused, rest: Filter, wanted: Query) -> _Hit | None:
    if isinstance(view, RequestRefused) or not matches(rest, view.known):
        return None
    body: JSON = project(view.body, wanted) if isinstance(view.body, dict) else view.body
    return _Hit(ranks(view.known, wanted.sort), orjson.dumps(body))
