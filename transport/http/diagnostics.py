"""What a pod shows of itself to root: `/_dashboard/api/…`, all of it read-only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..protocols import JSON
from .answers import error_response, json_response
from .routes import OwnRoute

__all__ = ["DiagnosticsView", "diagnostics_routes"]

POD_HEADER: Final = "X-Pod"
"""Names the pod that answers, for who looks at one of several through a proxy that spreads."""

MOST_CONNECTIONS: Final = 1000
"""Connections of one page."""
PAGE: Final = 100
FURTHEST: Final = 10_000_000


class DiagnosticsView(Protocol):
    """What diagnostics show of a pod, ready for JSON."""

    @property
    def pod_id(self) -> str:
        """The pod's random name."""

    def tree(self) -> Mapping[str, object]:
        """Return the live supervision tree."""

    def broker_health(self) -> Mapping[str, object]:
        """Return how each link to the other pods is."""

    def pods(self) -> Mapping[str, JSON]:
        """Return the pods that this one knows, and who hears whom."""

    def realtime(self) -> Mapping[str, JSON]:
        """Return the pod at a glance."""

    def past(self) -> Mapping[str, JSON]:
        """Return the last hour: how the pod was, and what was wrong when."""

    def detailed(self) -> Mapping[str, JSON]:
        """Return the same, with all histograms and the rooms one by one."""

    def clients(
        self, limit: int, offset: int, room: str | None, user: str | None
    ) -> Mapping[str, JSON]:
        """Return a page of the clients, oldest first, perhaps of one room or one user."""

    def refuse_all_but_root(self, request: Request) -> Response | None:
        """Return the answer for who is not root, or None for root and for a developer's own."""


def diagnostics_routes(pod: DiagnosticsView) -> list[Route]:
    """Return the routes of diagnostics, for root."""

    def shown(path: str, value: Callable[[Request], object]) -> Route:
        async def endpoint(request: Request) -> Response:
            refused = pod.refuse_all_but_root(request)
            if refused is not None:
                return refused
            try:
                return json_response(value(request), headers={POD_HEADER: pod.pod_id})
            except _BadParameter as error:
                return error_response(400, str(error))

        return OwnRoute(path, endpoint)

    def clients(request: Request) -> object:
        query = request.query_params
        limit = _number(request, "limit", PAGE, 1, MOST_CONNECTIONS)
        offset = _number(request, "offset", 0, 0, FURTHEST)
        return pod.clients(limit, offset, query.get("room"), query.get("user"))

    return [
        shown("/_dashboard/api/actors", lambda _: pod.tree()),
        shown("/_dashboard/api/pods", lambda _: pod.pods()),
        shown("/_dashboard/api/past", lambda _: pod.past()),
        shown("/_dashboard/api/metrics/realtime", lambda _: pod.realtime()),
        shown("/_dashboard/api/metrics/detailed", lambda _: pod.detailed()),
        shown("/_dashboard/api/realtime/broker/health", lambda _: pod.broker_health()),
        shown("/_dashboard/api/realtime/connections", clients),
    ]


class _BadParameter(Exception):
    """A parameter that says nothing; the text tells what it may be."""


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    # Not int() alone, which takes "1_000" and " 1 "; longer digits are not even read.
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
    if not least <= number <= most:
        raise _BadParameter(f"Give '{name}' a whole number from {least} to {most}.")
    return number
