"""What HTTP asks of collections: rights first, then scripts, then documents."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Collection as Names
from contextlib import asynccontextmanager
from typing import Final, cast, get_args

import orjson
import trio
from attrs import evolve

from ...actors import failure_of
from ...config import check_collection_name
from ...transport import JSON, Identity, TooManyWaiting
from ..errors import QueryError, RequestRefused, refused_for
from ..http import ApiAnswer, ApiRequest, Offer
from ..scripts import Response
from ..store import nested
from ..users import Caller, Method, demand, demand_many, is_users, may_ask
from .directory import Directory
from .discovery import Discovery
from .environment import Collection, CollectionEnvironment
from .preconditions import (
    UNCONDITIONAL,
    Preconditions,
    entity_tag,
    of_version,
    read_preconditions,
)
from .reading import TRUNCATED, Reader
from .scripting import Call, run_before
from .service import CollectionService
from .unstored import run_unstored, unstored_methods
from .writing import ATTEMPTS, WriteRequest

__all__ = ["Api", "answer_of"]

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_READINGS: Final = {"count": ("GET", "POST"), "query": ("POST",)}
"""What stands in the place of an id, and how it is asked for."""
_CHANGED_MEANWHILE: Final = (404, 409, 412)
"""What a removal is refused with whose document others have changed since it was found."""
_WEIGHT: Final = 256
"""Bytes that a write weighs in a mailbox beside its document."""


class Api:
    """The collections as HTTP asks for them.

    `creates` is whether a POST may make a new one, of root and of a developer's own.
    """

    def __init__(
        self,
        directory: Directory,
        discovery: Discovery,
        environment: CollectionEnvironment,
        service: CollectionService,
        reader: Reader,
        *,
        creates: bool,
    ) -> None:
        self._directory = directory
        self._discovery = discovery
        self._env = environment
        self._service = service
        self._reader = reader
        self._creates = creates

    def offers(self, identity: Identity | None) -> Sequence[Offer]:
        """Return the collections with which somebody may do anything at all, sorted by name."""
        offers = (_offer(collection, Caller(identity)) for collection in self._directory)
        return sorted(
            (offer for offer in offers if offer.methods), key=lambda offer: offer.definition.name
        )

    def methods(self, name: str, parts: Sequence[str]) -> Names[str]:
        """Return what may be asked at a path; where there is nothing, `handle` says so."""
        collection = self._directory.find(name)
        if collection is None:
            return _METHODS
        if collection.definition.no_store:
            return unstored_methods(collection)
        if not parts:
            return ("GET", "POST", "DELETE")
        if len(parts) > 1:
            return _METHODS
        if parts[0] in _READINGS:
            return _READINGS[parts[0]]
        return ("GET", "PUT", "PATCH", "DELETE")

    def takes_queries(self, name: str) -> bool:
        """Say whether queries may be posted: not to what only runs scripts."""
        collection = self._directory.find(name)
        return collection is not None and not collection.definition.no_store

    async def handle(self, request: ApiRequest) -> ApiAnswer:
        """Carry a request out. What goes wrong is an answer too; only bugs are raised."""
        try:
            collection = await self._collection(request)
            call = _call_of(request, collection)
            if request.batch is not None:
                return await self._create_all(collection, call, request.batch)
            call, body = await self._before(collection, call, request.body)
            if collection.definition.no_store:
                outcome = await run_unstored(collection, self._env, call, body)
                return _answered(outcome.data, outcome.response)
            return await self._route(collection, call, body)
        except RequestRefused as refused:
            return answer_of(refused, root=Caller(request.identity).is_root)
        except Exception:
            raise
        except BaseException as error:  # what is a script's must not end the listener
            raise failure_of(error) from error

    async def _collection(self, request: ApiRequest) -> Collection:
        name = request.collection
        found = self._directory.find(name)
        sentence = check_collection_name(name) or self._differs(name)
        if found is None and sentence is None:
            await self._discovery.scan_for(name)
            found = self._directory.find(name)
        if found is None and sentence is None and self._may_create(request):
            await self._discovery.create(name)
            found = self._directory.find(name)
        if found is None:
            raise RequestRefused(404, sentence or _no_collection(name))
        return found

    def _differs(self, name: str) -> str | None:
        there = self._directory.find_alike(name)
        return there and f"This collection's name is written '{there}'."

    def _may_create(self, request: ApiRequest) -> bool:
        root = request.identity is not None and request.identity.is_root
        return self._creates and request.method == "POST" and (request.own or root)

    async def _before(
        self, collection: Collection, call: Call, body: Mapping[str, JSON]
    ) -> tuple[Call, Mapping[str, JSON]]:
        """Ask the rights, then the script that sees every request."""
        demand(collection.definition, cast("Method", call.method.lower()), call.caller)
        if not collection.has("beforerequest"):
            return call, body
        outcome, query = await run_before(collection, self._env, call, dict(body))
        return evolve(call, query=query), outcome.data

    async def _route(
        self, collection: Collection, call: Call, body: Mapping[str, JSON]
    ) -> ApiAnswer:
        match call.method, call.parts:
            case "GET", ():
                async with self._search_turn(call):
                    found = await self._reader.find(collection, call, call.query)
                return ApiAnswer(200, found.body, found.headers)
            case "GET", ("count",):
                async with self._search_turn(call):
                    count = await self._reader.count(collection, call, call.query)
                return _answer({"count": count})
            case "GET", (id_,):
                shown = await self._reader.get(collection, call, id_)
                return _document(shown, read_preconditions(call.headers))
            case "POST", ():
                return await self._answer_write(collection, call, "post", None, body)
            case "DELETE", ():
                return await self._remove_all(collection, call)
            case "PUT" | "PATCH", (id_,):
                return await self._answer_write(collection, call, "put", id_, body)
            case "DELETE", (id_,):
                return await self._answer_write(collection, call, "delete", id_, body)
        raise RequestRefused(404, _elsewhere(collection.name))

    async def _answer_write(
        self,
        collection: Collection,
        call: Call,
        method: Method,
        id_: str | None,
        body: Mapping[str, JSON],
    ) -> ApiAnswer:
        if is_users(collection.definition) and method == "post":
            self._count_sign_up(call)
        answer = await self._service.submit(collection, _write(method, id_, body, call))
        return _document(answer.body) if answer.response is None else _scripted(answer.response)

    async def _create_all(
        self, collection: Collection, call: Call, batch: Sequence[Mapping[str, JSON]]
    ) -> ApiAnswer:
        """Add many documents at once, all or none; each is seen by each script by itself."""
        definition, most = collection.definition, self._env.answers.documents
        if definition.no_store or is_users(definition):
            raise RequestRefused(400, f"Send to '{definition.name}' one object at a time.")
        if not 0 < len(batch) <= most:
            raise RequestRefused(400, f"Send 1 to {most:,} documents at once (store.maxLimit).")
        writes = []
        for given in batch:
            asked, body = await self._before(collection, call, given)
            writes.append(_write("post", None, body, evolve(asked, nbytes=0)))
        writes[0] = evolve(writes[0], nbytes=_WEIGHT + call.nbytes)
        return _answer(await self._service.submit_batch(collection, writes))

    async def _remove_all(self, collection: Collection, call: Call) -> ApiAnswer:
        """Remove what a query finds, all of it or nothing, as a GET of it would show it to root.

        What others change meanwhile is looked at again.
        """
        demand_many(collection.definition, call.caller)
        for attempt in range(1, ATTEMPTS + 1):
            async with self._search_turn(call):
                found, truncated = await self._reader.versions(collection, call)
            writes = [_removal(id_, version, call) for id_, version in found]
            try:
                await self._service.submit_batch(collection, writes)
            except RequestRefused as refused:
                if attempt == ATTEMPTS or refused.status not in _CHANGED_MEANWHILE:
                    raise
            else:
                break
        return ApiAnswer(
            200, orjson.dumps({"deleted": len(writes)}), TRUNCATED if truncated else {}
        )

    def _count_sign_up(self, call: Call) -> None:
        if call.caller.is_root:
            return
        wait = self._env.sign_ups.attempt(call.asker.network, trio.current_time())
        if wait:
            seconds = str(math.ceil(wait))
            sentence = f"Too many new users come from this address; try again in {seconds} s."
            raise RequestRefused(429, sentence, headers={"Retry-After": seconds})

    @asynccontextmanager
    async def _search_turn(self, call: Call) -> AsyncIterator[None]:
        """Look through documents when it is one's turn: that may take long, and threads are few."""
        try:
            async with self._env.queries.turn(call.asker):
                yield
        except TooManyWaiting as error:
            raise refused_for(error) from error


def _offer(collection: Collection, caller: Caller) -> Offer:
    definition, events = collection.definition, frozenset(collection.scripts.by_event)
    methods = get_args(Method)
    may = frozenset(method for method in methods if may_ask(definition, method, caller))
    offered = may & events if definition.no_store else may
    return Offer(definition, events, offered, root=caller.is_root)


def _call_of(request: ApiRequest, collection: Collection) -> Call:
    try:
        query: Mapping[str, JSON] = nested(request.params, collection.definition)
    except QueryError as error:
        raise RequestRefused(400, str(error)) from error
    if request.query is not None:
        if query:
            raise RequestRefused(400, "Send the query in the body or in the URL, not in both.")
        query = request.query
    # What only runs scripts has none for PATCH: `methods` says so.
    merge = request.method == "PATCH"
    method = "PUT" if merge else request.method
    return Call(
        Caller(request.identity),
        query,
        method,
        request.parts,
        request.nbytes,
        request.asker,
        request.headers,
        merge=merge,
    )


def _write(method: Method, id_: str | None, body: Mapping[str, JSON], call: Call) -> WriteRequest:
    return WriteRequest(
        method,
        id_,
        body,
        call,
        nbytes=_WEIGHT + call.nbytes,
        merge=call.merge,
        preconditions=read_preconditions(call.headers),
    )


def _removal(id_: str, version: str, call: Call) -> WriteRequest:
    """Return the removal of a document in one state of it, and in no other."""
    call = evolve(call, parts=(id_,), query={})
    return WriteRequest("delete", id_, {}, call, preconditions=of_version(version))


def _answer(value: JSON) -> ApiAnswer:
    return ApiAnswer(200, orjson.dumps(value))


def _answered(value: JSON, response: Response | None) -> ApiAnswer:
    """Answer with what a script has set, or else with this."""
    return _answer(value) if response is None else _scripted(response)


def _document(shown: JSON, asked: Preconditions = UNCONDITIONAL) -> ApiAnswer:
    """Answer with a document and the tag of its state, or that the asker has it already."""
    tag = entity_tag(shown)
    headers = {} if tag is None else {"ETag": tag}
    if asked.knows(tag):
        return ApiAnswer(304, b"", headers)
    return ApiAnswer(200, orjson.dumps(shown), headers)


def _scripted(response: Response) -> ApiAnswer:
    return ApiAnswer(response.status, orjson.dumps(response.body), dict(response.headers))


def answer_of(refused: RequestRefused, *, root: bool = False) -> ApiAnswer:
    """Return a refusal as HTTP answers it: `{"error", "errors"?}`, with `detail?` for root."""
    body: dict[str, JSON] = {"error": refused.sentence}
    if root and refused.detail:
        body["detail"] = refused.detail
    if refused.errors:
        body["errors"] = [{"field": e.field, "message": e.message} for e in refused.errors]
    return ApiAnswer(refused.status, orjson.dumps(body), refused.headers)


def _no_collection(name: str) -> str:
    return (
        f"There is no collection '{name}'; make the folder '{name}' with a config.json in the "
        "folder of collections, and it is there a second later."
    )


def _elsewhere(name: str) -> str:
    return f"Read or add documents at /{name}, and read, change or remove one at /{name}/<id>."
