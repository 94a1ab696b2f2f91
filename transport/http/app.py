"""The pages and diagnostics of a pod, as a Starlette application."""

import base64
import hashlib
import html
import time
from collections.abc import Callable, Sequence
from importlib import resources
from string import Template
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ...config import Audit, Origin, read_origin
from ..sockets import Premises
from .answers import EXPOSED, error_response, plain_response
from .diagnostics import DiagnosticsView, diagnostics_routes
from .middleware import HostAndOriginMiddleware
from .pages import api_docs_routes, dashboard_routes, self_test_routes
from .probes import Expose, HealthView, health_routes, metrics_route
from .public import PublicFiles
from .routes import OwnRoute
from .static import static_routes

__all__ = ["PodView", "create_app", "create_metrics_app"]

_HOME = Template(resources.files("deployd.web").joinpath("home.html").read_text(encoding="utf-8"))


class PodView(HealthView, DiagnosticsView, Protocol):
    """What the pages know of a pod. `started_at` is in unix seconds."""

    @property
    def pod_id(self) -> str:
        """The pod's random name."""

    @property
    def version(self) -> str:
        """The version of this software."""

    @property
    def started_at(self) -> float:
        """When the pod started, in unix seconds."""

    @property
    def dev(self) -> bool:
        """Whether the pod runs for development."""

    @property
    def premises(self) -> Premises:
        """Where the pod stands."""

    @property
    def audit(self) -> Audit:
        """Where it is written down who was refused."""

    def refuse_all_but_scrapers(self, request: Request) -> Response | None:
        """Return the answer for who may not read the metrics, or None."""

    def connections(self) -> int:
        """Return how many WebSocket clients are connected."""

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their content type, in a format that is accepted."""


def create_app(
    pod: PodView,
    wall: Callable[[], float] = time.time,
    *,
    public: PublicFiles | None = None,
    routes: Sequence[BaseRoute] = (),
    origins: Sequence[str] = (),
    home: bool = True,
) -> ASGIApp:
    """Build the application: pages, health, diagnostics, the packaged files, then `routes`.

    Every error is JSON with one sentence. `wall` returns unix seconds. The `index.html` among
    `public` files takes the place of the pod's page at `/`; the route of the others is one of
    `routes`, before those that take every path. Pages of `origins` may call from elsewhere
    (CORS, Fetch section 3.2); no cookie is ever involved. Without a `home` the routes have `/`.
    """

    async def about(_: Request) -> Response:
        return _page(pod, wall() - pod.started_at)

    async def front(request: Request) -> Response:
        index = None if public is None else await public.find("index.html", request)
        return index or await about(request)

    return _application(
        [
            *([OwnRoute("/", front)] if home else []),
            *dashboard_routes(),
            *health_routes(pod),
            *diagnostics_routes(pod),
            metrics_route(pod.expose, pod.refuse_all_but_scrapers),
            *static_routes(),
            *self_test_routes(),
            *api_docs_routes(),
            *routes,
        ],
        pod.premises,
        pod.audit,
        origins,
    )


def create_metrics_app(
    pod: HealthView, expose: Expose, premises: Premises, audit: Audit
) -> ASGIApp:
    """Build what an address of its own answers to whoever reaches it: metrics and health."""
    metrics = metrics_route(expose, lambda _: None)
    return _application([*health_routes(pod), metrics], premises, audit)


def _application(
    routes: Sequence[BaseRoute], premises: Premises, audit: Audit, origins: Sequence[str] = ()
) -> ASGIApp:
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused, Exception: _failed})
    app.router.redirect_slashes = False  # it redirects to whatever the Host header says
    known = [origin for origin in map(read_origin, origins) if origin is not None]
    return HostAndOriginMiddleware(
        _cross_origin(app, known) if known else app, premises, known, audit
    )


def _cross_origin(app: ASGIApp, origins: Sequence[Origin]) -> ASGIApp:
    """Let pages of these origins read every answer.

    Around the application, not in it: Starlette answers for a bug outside of its middleware.
    """
    return CORSMiddleware(
        app,
        allow_origins=list(map(str, origins)),  # as browsers write them
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            *("Authorization", "Content-Type", "X-Master-Key"),
            *("If-Match", "If-None-Match", "If-Unmodified-Since"),
        ],
        expose_headers=EXPOSED,
    )


def _page(pod: PodView, uptime: float) -> Response:
    text = _HOME.substitute(
        pod=html.escape(pod.pod_id),
        version=html.escape(pod.version),
        uptime=_duration(uptime),
        connections=pod.connections(),
        access="open on this machine (--dev)" if pod.dev else "for root",
    )
    return plain_response(
        200, text.encode(), "text/html; charset=utf-8", {"Content-Security-Policy": _CSP}
    )


def _style_hash(page: str) -> str:
    style = page.partition("<style>")[2].partition("</style>")[0]
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


_CSP = (
    f"default-src 'none'; style-src 'sha256-{_style_hash(_HOME.template)}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _duration(seconds: float) -> str:
    minutes, second = divmod(max(0, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = ((days, "d"), (hour, "h"), (minute, "min"), (second, "s"))
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown[:2]) or "0 s"


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _failed(request, error)
    if error.status_code == 404:
        sentence = f"There is nothing at {request.url.path[:200]}; '/' lists what there is."
    elif error.status_code == 405:
        # Starlette's own order is another one each time the pod starts.
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "GET").split(", ")))
        sentence = f"{request.method} is not possible here; use {allowed}."
    else:
        sentence = error.detail
    return error_response(error.status_code, sentence, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return error_response(500, "The pod failed on this request; its log says why.")
