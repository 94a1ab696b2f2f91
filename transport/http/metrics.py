"""`/metrics`, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import plain_response
from .routes import OwnRoute

__all__ = ["Expose", "metrics_route"]

Expose: TypeAlias = Callable[[str], tuple[bytes, str]]
"""Returns the metrics and their content type, in a format that an `Accept` header allows."""


def metrics_route(expose: Expose, refuse: Callable[[Request], Response | None]) -> Route:
    """Return the route of the metrics; `refuse` returns the answer for who may not read them."""

    async def metrics(request: Request) -> Response:
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        body, kind = expose(request.headers.get("accept", ""))
        return plain_response(200, body, kind, {})

    return OwnRoute("/metrics", metrics)
