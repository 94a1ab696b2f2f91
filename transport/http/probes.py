"""What machines ask of a pod: load balancers and orchestrators its health, Prometheus `/metrics`.

Health is open to all. Nothing here waits for a broker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..protocols import JSON
from .answers import json_response, plain_response
from .routes import OwnRoute

__all__ = ["Expose", "HealthView", "health_routes", "metrics_route"]

Expose: TypeAlias = Callable[[str], tuple[bytes, str]]
"""Returns the metrics and their content type, in a format that an `Accept` header allows."""


class HealthView(Protocol):
    """What health checks ask of a pod; nothing of it waits."""

    @property
    def pod_id(self) -> str:
        """The pod's random name."""

    def unready(self) -> str | None:
        """Say why no new clients should be sent here, or None."""

    def links(self) -> Sequence[Mapping[str, JSON]]:
        """Return how each link to the other pods is."""


def health_routes(pod: HealthView) -> list[Route]:
    """Return `/health/live`, `/health/ready` and `/health/links`."""

    async def live(_: Request) -> Response:
        """Answer 200 as long as the pod answers at all: where it does not, start another."""
        return json_response({"status": "live", "pod": pod.pod_id})

    async def ready(_: Request) -> Response:
        """Answer 200 when new clients may be sent here, or 503 and why not."""
        reason = pod.unready()
        if reason is not None:
            answer = {"status": "not ready", "pod": pod.pod_id, "reason": reason}
            return json_response(answer, 503)
        return json_response({"status": "ready", "pod": pod.pod_id})

    async def links(_: Request) -> Response:
        """Answer 200 and how the links are, whatever that is: a pod alone still serves."""
        return json_response({"pod": pod.pod_id, "links": [_public(link) for link in pod.links()]})

    return [
        OwnRoute("/health/live", live),
        OwnRoute("/health/ready", ready),
        OwnRoute("/health/links", links),
    ]


def metrics_route(expose: Expose, refuse: Callable[[Request], Response | None]) -> Route:
    """Return the route of the metrics; `refuse` returns the answer for who may not read them."""

    async def metrics(request: Request) -> Response:
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        body, kind = expose(request.headers.get("accept", ""))
        return plain_response(200, body, kind, {})

    return OwnRoute("/metrics", metrics)


def _public(link: Mapping[str, JSON]) -> dict[str, JSON]:
    """Keep what everybody may know of a link: neither where it leads nor why it is away.

    Nor that it is the credentials, which is what the state `auth` says.
    """
    state = link["state"]
    return {
        "type": link["type"],
        "state": "open" if state == "auth" else state,
        "seconds_deaf": link.get("seconds_deaf", 0.0),
    }
