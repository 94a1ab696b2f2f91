"""`/_dashboard/api/chaos`: root gives this pod faults, looks at them, and ends them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeAlias

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import error_response, json_response
from .routes import OwnRoute

__all__ = ["FaultControl", "chaos_routes"]

PATH: Final = "/_dashboard/api/chaos"

_OFF: Final = (
    "Chaos is off here; start the pod with 'deployd serve --chaos', or set chaos.enabled, where "
    "nobody relies on it."
)


class FaultControl(Protocol):
    """Whoever does the faults. Answers are a status, and what to say with it."""

    def shown(self) -> Mapping[str, object]:
        """Show what is active, and what else there is."""

    def start(self, wanted: Mapping[str, object]) -> tuple[int, Mapping[str, object]]:
        """Let a fault begin, or say why not."""

    def look(self, number: str) -> tuple[int, Mapping[str, object]]:
        """Show one that is active."""

    def end(self, number: str) -> tuple[int, Mapping[str, object]]:
        """End one before its time, and show it."""

    def stop_all(self) -> int:
        """End all of them; return how many there were."""


def chaos_routes(
    refuse: Callable[[Request], Response | None], control: FaultControl | None
) -> list[Route]:
    """Return the routes, for whom `refuse` has no answer. Without `control` chaos is off: 404."""

    def route(path: str, methods: list[str], answer: _Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            refusal = refuse(request)
            if refusal is not None:
                return refusal
            return error_response(404, _OFF) if control is None else await answer(control, request)

        return OwnRoute(path, endpoint, methods=methods)

    return [
        route(PATH, ["GET", "POST", "DELETE"], _all),
        route(f"{PATH}/{{number}}", ["GET", "DELETE"], _one),
    ]


_Answer: TypeAlias = Callable[[FaultControl, Request], Awaitable[Response]]


async def _all(control: FaultControl, request: Request) -> Response:
    if request.method == "DELETE":
        return json_response({"stopped": control.stop_all()})
    if request.method != "POST":
        return json_response(control.shown())
    try:
        wanted = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError:
        wanted = None
    if not isinstance(wanted, dict):
        return error_response(400, 'Send {"fault": "actor.crash", "path": "pod/rooms/chat"}.')
    status, answer = control.start(wanted)
    headers = {"Location": f"{PATH}/{answer['id']}"} if status == 201 else {}
    return json_response(answer, status, headers)


async def _one(control: FaultControl, request: Request) -> Response:
    number = request.path_params["number"]
    ends = request.method == "DELETE"
    status, answer = control.end(number) if ends else control.look(number)
    return json_response(answer, status)
