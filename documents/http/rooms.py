"""Rooms over HTTP, for who is in none: which there are, and something to be said in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ...actors import ListedRoom, Lobby, Publisher, Receipt
from ...transport import JSON, Asker, BadToken, Identity, Problem, Scope, WireError, decode_json
from ...transport.http import (
    ROOT,
    Authenticator,
    OwnRoute,
    asker_of,
    json_response,
    refusal,
)
from .collections import json_body

__all__ = ["room_routes"]

_ASK: Final = 'Ask by "pattern" (game-*), "where" ({"mode": "ranked"}) and "after", and no more.'
_WANTED: Final = 'Send {"event": "said", "data": …}, and nothing else.'

_STATUS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("bad_body", "bad_query", "bad_room", "bad_event"), 400),
    **dict.fromkeys(("too_deep", "not_json"), 400),
    "auth_required": 401,
    **dict.fromkeys(("forbidden", "room_reserved", "event_reserved"), 403),
    "unheard": 404,
    "too_large": 413,
    "too_fast": 429,
    "room_crashed": 500,
    **dict.fromkeys(("too_many_rooms", "room_busy", "room_closed", "cut_off"), 503),
}
"""What is answered to a problem, by its code; to one of the room's own it is 409."""


def room_routes(
    publisher: Publisher, lobby: Lobby, authenticator: Authenticator
) -> list[BaseRoute]:
    """Return the routes of rooms. A developer's own who shows nothing asks as root."""

    async def publish(request: Request) -> Response:
        who = _who(request, authenticator)
        if isinstance(who, Response):
            return who
        body = await json_body(request)
        if isinstance(body, Response):
            return body
        event = body.get("event")
        if not isinstance(event, str) or body.keys() - {"event", "data"}:
            return _refused(Problem("bad_body", _WANTED))
        identity, asker = who
        room: str = request.path_params["room"]
        said = await publisher.publish(room, event, body.get("data"), identity, asker)
        return _refused(said) if isinstance(said, Problem) else _receipted(said)

    async def listing(request: Request) -> Response:
        who = _who(request, authenticator)
        if isinstance(who, Response):
            return who
        asked = _asked(request)
        listed = asked if isinstance(asked, Problem) else await lobby.rooms(*asked, *who)
        if isinstance(listed, Problem):
            return _refused(listed)
        answer: dict[str, object] = {
            "rooms": [_shown(room) for room in listed.rooms],
            "pods": listed.pods,
            "of": listed.of,
        }
        more = {"next": listed.next, "degraded": listed.degraded}
        answer |= {name: value for name, value in more.items() if value is not None}
        return json_response(answer)

    return [
        OwnRoute("/api/rooms", listing, methods=["GET"]),
        OwnRoute("/api/rooms/{room:path}/events", publish, methods=["POST"]),
    ]


def _asked(request: Request) -> tuple[str, Mapping[str, JSON], str] | Problem:
    """Read which rooms are asked for: by what pattern, by which words of theirs, after which."""
    query = request.query_params
    try:
        where = decode_json(query.get("where") or "{}")
    except (orjson.JSONDecodeError, WireError):
        where = None
    if not isinstance(where, dict) or query.keys() - {"pattern", "where", "after"}:
        return Problem("bad_query", _ASK)
    return query.get("pattern", "*"), where, query.get("after", "")


def _shown(room: ListedRoom) -> Mapping[str, object]:
    since = round(room.since, 3)
    return {"name": room.name, "members": room.members, "since": since, "meta": room.meta}


def _who(
    request: Request, authenticator: Authenticator
) -> tuple[Identity | None, Asker] | Response:
    """Return who asks and on whose account, or the answer to a token that is not good."""
    try:
        identity = authenticator.identify(request, for_rooms=True)
    except BadToken as error:
        return refusal(error)
    if identity is None and authenticator.acts_as_root(request):
        identity = ROOT
    return identity, asker_of(request, identity)


def _receipted(receipt: Receipt) -> Response:
    """Answer with a receipt as clients are told it; what nobody was told of is an error."""
    if receipt.problem is not None:
        return _refused(receipt.problem)
    answer: dict[str, JSON] = {"scope": receipt.scope.value, "id": receipt.id}
    reach = receipt.reach
    if reach is not None:
        answer |= {"pods": reach.pods, "of": reach.of, "members": reach.members}
    return json_response(answer, 202 if receipt.scope is Scope.QUEUED else 200)


def _refused(problem: Problem) -> Response:
    """Answer that it was not done: the sentence, and beside it the code and what a room adds."""
    status = _STATUS.get(problem.code, 409)
    headers = {} if problem.retry_after is None else {"Retry-After": f"{problem.retry_after:.0f}"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    told = {**problem.data, "error": problem.message, "code": problem.code}
    return json_response(orjson.dumps(told), status, headers)
