"""Reading documents: the rights, the query, and how the caller sees what it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from attrs import evolve, frozen

from ...transport import JSON
from ..errors import QueryError, RequestRefused, StoreUnavailable
from ..store import All, Bounds, Document, Page, Query, named, page_of, read_query
from ..users import demand, missing, readable
from . import documents
from .environment import Collection, CollectionEnvironment
from .scripting import Call
from .searching import Search
from .view import Viewer
from .writing import refusal_of

__all__ = ["TRUNCATED", "QueryResult", "Reader"]

TRUNCATED: Final = {"X-Truncated": "true"}


@frozen
class QueryResult:
    """What was found: JSON, ready to be sent, and headers that say how complete it is."""

    body: bytes
    headers: Mapping[str, str]


class Reader:
    """Answers what clients and scripts want to read. Every call may raise `RequestRefused`.

    Where no script decides what a document is, the database answers: everybody who may read a
    document sees the same of it but what is private, which nobody can ask by.
    """

    def __init__(self, environment: CollectionEnvironment, viewer: Viewer) -> None:
        self._env = environment
        self._viewer = viewer

    async def find(
        self,
        collection: Collection,
        call: Call,
        query: Mapping[str, JSON],
        *,
        whole: bool = False,
    ) -> QueryResult:
        """Return the documents that a query wants and the caller may see, as a JSON array.

        `whole` is for who would not see that a bound has cut it: all of it, or a refusal.
        """
        demand(collection.definition, "get", call.caller)
        await collection.usable()
        wanted = _read(collection, call, query)
        settings = self._env.settings
        whole_bounds = Bounds(settings.scan_limit, settings.scan_bytes)
        bounds = whole_bounds if whole else self._env.answers
        page = await self._page(collection, call, wanted, bounds)
        if page.truncated and whole:
            raise self._too_many(collection)
        headers = TRUNCATED if page.truncated else {}
        return QueryResult(b"[" + b",".join(page.documents) + b"]", headers)

    async def versions(
        self, collection: Collection, call: Call
    ) -> tuple[Sequence[tuple[str, str]], bool]:
        """Return id and `updatedAt` of what a query finds, and whether a bound has left out more.

        A query of everything has to say so: who forgets a condition would ask for that.
        """
        if call.query.keys() <= {"$sort", "$limit"}:
            raise RequestRefused(
                400, "Say which documents, by a query; id.$exists=true stands for all of them."
            )
        if call.query.keys() & {"$skip", "$fields"}:
            raise RequestRefused(400, "$skip and $fields are for reading; leave them out.")
        fields: JSON = {"id": 1, "updatedAt": 1}
        found = await self.find(collection, call, {**call.query, "$fields": fields})
        documents_: list[Document] = orjson.loads(found.body)
        if not all("id" in each and "updatedAt" in each for each in documents_):
            sentence = "A script answers something else than documents; remove them by their ids."
            raise RequestRefused(400, sentence)
        pairs = [(str(each["id"]), str(each["updatedAt"])) for each in documents_]
        return pairs, bool(found.headers)

    async def get(self, collection: Collection, call: Call, id: str) -> JSON:  # noqa: A002
        """Return one document as the caller may see it."""
        definition = collection.definition
        demand(definition, "get", call.caller)
        await collection.usable()
        try:
            there = documents.can_be_id(id)
            document = await self._env.store.get(definition, id) if there else None
        except StoreUnavailable as error:
            raise refusal_of(error) from error
        if document is None:
            raise missing(definition.name)
        return await self._viewer.view(collection, call, document)

    async def count(self, collection: Collection, call: Call, query: Mapping[str, JSON]) -> int:
        """Return how many documents a query wants of those that the caller may see."""
        demand(collection.definition, "get", call.caller)
        await collection.usable()
        wanted = _read(collection, call, query)
        if collection.has("get"):
            return await self._search(collection, call, wanted).count()
        try:
            return await self._env.store.count(
                collection.definition, _readable(collection, call, wanted).filter
            )
        except (StoreUnavailable, QueryError) as error:
            raise refusal_of(error) from error

    async def _page(
        self, collection: Collection, call: Call, wanted: Query, bounds: Bounds
    ) -> Page:
        definition = collection.definition
        if collection.has("get"):
            found = await self._search(collection, call, wanted).find(bounds)
            return page_of(found[wanted.skip :], wanted, bounds)
        try:
            page = await self._env.store.find(
                definition, _readable(collection, call, wanted), bounds
            )
        except (StoreUnavailable, QueryError) as error:
            raise refusal_of(error) from error
        if not definition.private:
            return page
        stored = [orjson.loads(document) for document in page.documents]
        shown = tuple(orjson.dumps(documents.shown(definition, document)) for document in stored)
        return evolve(page, documents=shown)

    def _too_many(self, collection: Collection) -> RequestRefused:
        bounds = self._env.settings
        return RequestRefused(
            400,
            f"A script asks for more documents of '{collection.name}' than {bounds.scan_limit:,} "
            f"or {bounds.scan_bytes:,} bytes at once; go through them with all(), ask for a $limit "
            "and $fields, or raise collections.scanLimit and collections.scanBytes.",
        )

    def _search(self, collection: Collection, call: Call, wanted: Query) -> Search:
        return Search(self._viewer, self._env, collection, call, wanted)


def _read(collection: Collection, call: Call, query: Mapping[str, JSON]) -> Query:
    """Read a query. Whoever may not see what is private may not ask by it either."""
    definition = collection.definition
    secrets = frozenset() if call.caller.internal else definition.private
    declared = {name: it for name, it in definition.properties.items() if name not in secrets}
    try:  # not even the type of what is private is told
        wanted = read_query(query, evolve(definition, properties=declared))
    except QueryError as error:
        raise refusal_of(error) from error
    looked_at = named(wanted.filter) | {key.path[0] for key in wanted.sort}
    secret = looked_at & secrets
    if secret:
        raise RequestRefused(
            400, f"Nobody can ask for documents by '{min(secret)}': it is private."
        )
    return wanted


def _readable(collection: Collection, call: Call, wanted: Query) -> Query:
    """Return a query that finds no other documents than the caller may read."""
    own = readable(collection.definition, call.caller)
    return wanted if own == All() else evolve(wanted, filter=All((wanted.filter, own)))
