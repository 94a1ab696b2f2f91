"""Reading documents: the rights, the query, the `get` script, and what of it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from attrs import evolve, frozen

from ...transport import JSON, QueryError, StoreUnavailable
from ...transport.store import (
    All,
    Any,
    Compare,
    Document,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    Query,
    read_query,
)
from . import documents
from .environment import Collection, CollectionEnvironment
from .refused import RequestRefused
from .rights import demand, demand_owner, readable
from .scripting import Asked, run_get
from .writing import refusal_of

__all__ = ["Found", "Reader"]

_TRUNCATED: Final = {"X-Truncated": "true"}


@frozen
class Found:
    """What was found: JSON, ready to be sent, and headers that say how complete it is."""

    body: bytes
    headers: Mapping[str, str]


class Reader:
    """Answers what clients and scripts want to read. Every call may raise `RequestRefused`."""

    def __init__(self, environment: CollectionEnvironment) -> None:
        self._env = environment

    async def find(self, collection: Collection, asked: Asked, query: Mapping[str, JSON]) -> Found:
        """Return the documents that a query wants and the caller may see, as a JSON array."""
        demand(collection.definition, "get", asked.caller)
        await collection.usable()
        wanted = _read(collection, asked, query)
        try:
            page = await self._env.store.find(collection.definition, wanted)
        except (StoreUnavailable, QueryError) as error:
            raise refusal_of(error) from error
        headers = _TRUNCATED if page.truncated else {}
        if not collection.has("get") and not collection.definition.private:
            return Found(b"[" + b",".join(page.documents) + b"]", headers)
        found = [orjson.loads(document) for document in page.documents]
        shown = await self.shown(collection, asked, found)
        return Found(
            orjson.dumps([document for document in shown if document is not None]), headers
        )

    async def get(self, collection: Collection, asked: Asked, id: str) -> JSON:  # noqa: A002
        """Return one document as the caller may see it."""
        definition = collection.definition
        demand(definition, "get", asked.caller)
        await collection.usable()
        try:
            there = documents.can_be_id(id)
            document = await self._env.store.get(definition, id) if there else None
        except StoreUnavailable as error:
            raise refusal_of(error) from error
        if document is None:
            raise RequestRefused(404, f"There is no such document in '{definition.name}'.")
        demand_owner(definition, "get", asked.caller, document)
        if not collection.has("get"):
            return documents.shown(definition, document)
        [outcome] = await run_get(collection, self._env, asked, [document])
        if isinstance(outcome, RequestRefused):
            raise outcome
        return outcome

    async def count(self, collection: Collection, asked: Asked, query: Mapping[str, JSON]) -> int:
        """Return how many documents a query wants of those that the caller may read."""
        demand(collection.definition, "get", asked.caller)
        await collection.usable()
        wanted = _read(collection, asked, query)
        try:
            return await self._env.store.count(collection.definition, wanted.filter)
        except (StoreUnavailable, QueryError) as error:
            raise refusal_of(error) from error

    async def shown(
        self, collection: Collection, asked: Asked, found: Sequence[Document]
    ) -> list[JSON]:
        """Return documents as the caller may see them; None for one that a script keeps back.

        The rights to read them are not asked for here.
        """
        if not collection.has("get"):
            return [documents.shown(collection.definition, document) for document in found]
        outcomes = await run_get(collection, self._env, asked, found)
        return [None if isinstance(one, RequestRefused) else one for one in outcomes]


def _read(collection: Collection, asked: Asked, query: Mapping[str, JSON]) -> Query:
    definition = collection.definition
    try:
        wanted = read_query(query, definition)
    except QueryError as error:
        raise refusal_of(error) from error
    named = _named(wanted.filter) | {key.path[0] for key in wanted.sort}
    secret = named & definition.private
    if secret and not asked.caller.internal:
        raise RequestRefused(
            400, f"Nobody can ask for documents by '{min(secret)}': it is private."
        )
    own = readable(definition, asked.caller)
    if own == All():
        return wanted
    return evolve(wanted, filter=All((wanted.filter, own)))


def _named(wanted: Filter) -> frozenset[str]:
    """Return the properties that a filter asks about."""
    match wanted:
        case All(filters) | Any(filters):
            return frozenset().union(*map(_named, filters))
        case Not(inner):
            return _named(inner)
        case Equal(path) | Compare(path) | Exists(path) | Matches(path):
            return frozenset(path[:1])
