"""Collections over HTTP: from a request to what it asks for, and from the answer to a response.

What is asked is carried out elsewhere (`CollectionsApi`); here is what HTTP demands of it: a body
that is a JSON object, said to be one, of a bounded depth and size, and a caller with a good token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import parse_qsl, unquote

import orjson
import trio
from attrs import evolve, field, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ...transport import JSON, NOBODY, Asker, BadToken, Identity, WireError, decode_json
from ...transport.http import (
    NOT_JSON,
    AnyMethodRoute,
    OwnRoute,
    asker_of,
    error_response,
    json_response,
    refusal,
    says_json,
    with_gzip,
)
from .openapi import Offer, openapi

__all__ = [
    "ApiAnswer",
    "ApiRequest",
    "CollectionsApi",
    "Identify",
    "catalogue_routes",
    "collection_routes",
    "json_body",
]

MAX_PARAMETERS = 200
"""Parameters of one URL."""

COMPRESSING: Final = 2
"""Threads that compress answers; more answers wait for theirs."""

_CONDITIONAL: Final = ("if-match", "if-none-match", "if-unmodified-since")

_AN_OBJECT: Final = 'Send a JSON object such as {"title": "Buy milk"}.'

_QUERIES: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("query",): (),
    ("count",): ("count",),
}
"""Where a query is posted that is too long for a URL, and what is read with it."""


@frozen
class ApiRequest:
    """What a client asks of a collection. `parts` are what follows its name in the path.

    `query` is the query that came in a body, and not in `params`.
    """

    method: str
    collection: str
    parts: tuple[str, ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, JSON] = field(factory=dict)
    query: Mapping[str, JSON] | None = None
    identity: Identity | None = None
    asker: Asker = NOBODY
    nbytes: int = 0
    """Bytes of the body."""
    batch: tuple[Mapping[str, JSON], ...] | None = None
    """What came in the body as an array, and not in `body`."""
    headers: Mapping[str, str] = field(factory=dict)
    """Those that make a request conditional, by their names in small letters."""
    own: bool = False
    """Whether a developer's own asks: of this machine, and the pod runs for development."""


@frozen
class ApiAnswer:
    """What becomes of it: `body` is JSON."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(factory=dict)


class CollectionsApi(Protocol):
    """Whoever carries requests out."""

    async def handle(self, request: ApiRequest) -> ApiAnswer:
        """Carry a request out. What goes wrong is an answer too; only bugs are raised."""

    def offers(self, identity: Identity | None) -> Sequence[Offer]:
        """Return the collections with which somebody may do anything at all, sorted by name."""

    def methods(self, name: str, parts: Sequence[str]) -> Collection[str]:
        """Return what may be asked at `/<name>/<parts>`: some of GET, POST, PUT, PATCH, DELETE.

        Where there is nothing, all of them: `handle` says what is wrong.
        """

    def takes_queries(self, name: str) -> bool:
        """Say whether `POST /<name>/query` and `/count` read, with a query in the body."""


class Identify(Protocol):
    """How one knows who asks."""

    def __call__(self, request: Request) -> Identity | None:
        """Return who asks, or None for nobody in particular. Raises `BadToken`."""


class Own(Protocol):
    """How one knows a developer's own; see `Premises.own`."""

    def __call__(self, request: Request) -> bool:
        """Say whether a request is one."""


def catalogue_routes(
    api: CollectionsApi | None, identify: Identify, version: str
) -> list[BaseRoute]:
    """Return the routes that tell somebody which collections there are for this one.

    None stands for a pod that has none; `version` is the one of this software, for the OpenAPI
    document.
    """

    def offered(request: Request) -> Sequence[Offer] | Response:
        if api is None:
            return _no_collections()
        try:
            return api.offers(identify(request))
        except BadToken as error:
            return refusal(error)

    async def listing(request: Request) -> Response:
        offers = offered(request)
        if isinstance(offers, Response):
            return offers
        return json_response([offer.definition.name for offer in offers])

    async def document(request: Request) -> Response:
        offers = offered(request)
        if isinstance(offers, Response):
            return offers
        return json_response(openapi(offers, version))

    return [OwnRoute("/collections", listing), OwnRoute("/api/docs/openapi.json", document)]


def collection_routes(api: CollectionsApi | None, identify: Identify, own: Own) -> list[BaseRoute]:
    """Return the routes of all collections; they take every path, so they come last.

    Without an `api` every path says that this pod has none.
    """

    async def nothing(_: Request) -> Response:
        return _no_collections()

    if api is None:
        return [AnyMethodRoute("/{path:path}", nothing)]

    compressing = trio.CapacityLimiter(COMPRESSING)

    async def collection(request: Request) -> Response:
        name, *rest = _parts(request)
        parts = tuple(rest)
        allowed = api.methods(name, parts)
        if _method(request) not in allowed:
            return _not_allowed(request, allowed)
        asked = await _read(request, name, parts, identify)
        if isinstance(asked, Response):
            return asked
        if own(request):
            asked = evolve(asked, own=True)
        if request.method == "POST" and parts in _QUERIES and api.takes_queries(name):
            asked = evolve(asked, method="GET", parts=_QUERIES[parts], query=asked.body, body={})
        answer = await api.handle(asked)
        response = json_response(answer.body, answer.status, answer.headers)
        if "ETag" in answer.headers:
            return response
        return await with_gzip(request, response, compressing)

    return [
        AnyMethodRoute("/{collection}", collection),
        AnyMethodRoute("/{collection}/{rest:path}", collection),
    ]


def _no_collections() -> Response:
    return error_response(404, "This pod has no collections (API_ENABLED is false).")


async def json_body(request: Request) -> Mapping[str, JSON] | Response:
    """Return the object that a request's body holds, or the response that says what it must be."""
    value = await _json(request)
    if isinstance(value, Response | dict):
        return value
    return error_response(400, _AN_OBJECT)


async def _json(request: Request) -> JSON | Response:
    if not says_json(request):
        return error_response(415, NOT_JSON)
    if request.headers.get("content-encoding", "identity") != "identity":
        as_it_is = {"Accept-Encoding": "identity"}
        return error_response(415, "Send the body as it is, and not compressed.", as_it_is)
    try:
        return decode_json((await request.body()).decode())
    except WireError as error:
        return error_response(400, error.sentence)
    except (orjson.JSONDecodeError, UnicodeDecodeError) as error:
        return error_response(400, f"The body is not JSON in UTF-8: {error}.")


def _objects(value: JSON) -> tuple[Mapping[str, JSON], ...] | None:
    """Return the objects of an array, or None for what is no array of objects."""
    objects = value if isinstance(value, list) else [value]
    found = tuple(each for each in objects if isinstance(each, dict))
    return found if len(found) == len(objects) else None


async def _read(
    request: Request, name: str, parts: Sequence[str], identify: Identify
) -> ApiRequest | Response:
    try:
        identity = identify(request)
    except BadToken as error:
        return refusal(error)
    body = await _json(request) if request.method in ("POST", "PUT", "PATCH") else {}
    if isinstance(body, Response):
        return body
    objects, many = _objects(body), isinstance(body, list)
    if objects is None or (many and (request.method != "POST" or parts)):
        return error_response(400, _AN_OBJECT)
    try:
        params = parse_qsl(
            request.url.query,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        sentence = f"Send at most {MAX_PARAMETERS} parameters, percent-encoded UTF-8."
        return error_response(400, sentence)
    return ApiRequest(
        method=_method(request),
        collection=name,
        parts=tuple(parts),
        params=tuple(params),
        body={} if many else objects[0],
        batch=objects if many else None,
        identity=identity,
        asker=asker_of(request, identity),
        nbytes=len(await request.body()),
        headers={name: request.headers[name] for name in _CONDITIONAL if name in request.headers},
    )


def _parts(request: Request) -> list[str]:
    """Split the path before it is decoded: an id may hold an encoded slash, and then is one."""
    raw: bytes = request.scope["raw_path"]
    return [unquote(part) for part in raw.decode("ascii", "replace").split("/") if part]


def _method(request: Request) -> str:
    return "GET" if request.method == "HEAD" else request.method


def _not_allowed(request: Request, allowed: Collection[str]) -> Response:
    shown = ", ".join(sorted({*allowed, "HEAD"} if "GET" in allowed else allowed))
    sentence = f"{request.method} is not possible here; use {shown}."
    return error_response(405, sentence, {"Allow": shown})
