"""`/api/docs/asyncapi.json`: which rooms there are for whoever asks, and what they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ...actors import AccessPolicy, RoomFactory
from ...actors.rooms import OfferedRooms, asyncapi
from ...transport import BadToken, Identity
from ...transport.http import OwnRoute, json_response, refusal

__all__ = ["room_docs_routes"]


def room_docs_routes(
    bindings: Mapping[str, RoomFactory],
    access: AccessPolicy,
    identify: Callable[[Request], Identity | None],
    version: str,
) -> list[BaseRoute]:
    """Return the route; `version` is the one of this software.

    Rooms that the rules close to somebody are not told of, nor events where it may say nothing.
    """

    async def document(request: Request) -> Response:
        try:
            identity = identify(request)
        except BadToken as error:
            return refusal(error)
        offered = list(_offered(bindings, access, identity))
        url = request.url
        return json_response(
            asyncapi(offered, version, host=url.netloc, encrypted=url.scheme == "https")
        )

    return [OwnRoute("/api/docs/asyncapi.json", document)]


def _offered(
    bindings: Mapping[str, RoomFactory], access: AccessPolicy, identity: Identity | None
) -> Iterator[OfferedRooms]:
    """Ask the rules of a pattern as of a name: what they say of most of its rooms."""
    for pattern, factory in bindings.items():
        if access.join(pattern, identity) is None:
            speaks = access.emit(pattern, identity, member=True) is None
            yield OfferedRooms(pattern, factory, speaks)
