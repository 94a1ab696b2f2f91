"""`/_dashboard/api/log-level`: root looks at what is logged, and changes it while the pod runs."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...config import LEVELS, log_level, set_log_level, tracing
from .answers import error_response, json_response
from .routes import OwnRoute

__all__ = ["log_level_routes"]

_WANTED = (
    f'Send {{"level": "DEBUG"}}, one of {", ".join(LEVELS)}, and with it, or alone, '
    '{"realtimeDebug": true} to have each message\'s way traced.'
)


def log_level_routes(refuse: Callable[[Request], Response | None]) -> list[Route]:
    """Return the route, for whom `refuse` has no answer.

    What is set lasts until it is set again, the settings are read anew, or the pod ends.
    """

    async def endpoint(request: Request) -> Response:
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        if request.method != "GET" and not _change(await request.body()):
            return error_response(400, _WANTED)
        return json_response({"level": log_level(), "realtimeDebug": tracing()})

    return [OwnRoute("/_dashboard/api/log-level", endpoint, methods=["GET", "PUT"])]


def _change(body: bytes) -> bool:
    """Set what is asked for; False, and nothing is set, where that says nothing."""
    try:
        wanted = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(wanted, dict) or not wanted or set(wanted) - {"level", "realtimeDebug"}:
        return False
    level, trace = wanted.get("level", log_level()), wanted.get("realtimeDebug", False)
    if not isinstance(level, str) or level.upper() not in LEVELS or not isinstance(trace, bool):
        return False
    set_log_level(level.upper(), trace=trace)
    return True
