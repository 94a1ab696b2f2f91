"""The pages and diagnostics of a pod, as a Starlette application."""

import base64
import hashlib
import html
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from .answers import error_response, json_response, plain_response
from .public import PublicFiles
from .routes import OwnRoute
from .self_test import self_test_routes
from .static import static_routes

__all__ = ["PodView", "create_app"]

_HOME = Template(resources.files(__package__).joinpath("home.html").read_text(encoding="utf-8"))


class PodView(Protocol):
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
        """Whether diagnostics are open to clients on this machine."""

    def tree(self) -> Mapping[str, object]:
        """Return the live supervision tree, ready for JSON."""

    def connections(self) -> int:
        """Return how many WebSocket clients are connected."""

    def broker_health(self) -> Mapping[str, object]:
        """Return how each link to the other pods is, ready for JSON."""

    def unready(self) -> str | None:
        """Say why no new clients should be sent here, or None."""

    def is_root(self, headers: Mapping[str, str]) -> bool:
        """Say whether a request's headers prove root; see `Keyring.is_root`."""


def create_app(
    pod: PodView,
    wall: Callable[[], float] = time.time,
    *,
    public: PublicFiles | None = None,
    routes: Sequence[BaseRoute] = (),
    origins: Sequence[str] = (),
) -> Starlette:
    """Build the application: pages, health, diagnostics, the packaged files, then `routes`.

    Every error is JSON with one sentence. `wall` returns unix seconds. The `index.html` among
    `public` files takes the place of the pod's page at `/`; the route of the others is one of
    `routes`, before those that take every path. Pages of `origins` may call from elsewhere
    (CORS, Fetch section 3.2); no cookie is ever involved.
    """

    async def about(_: Request) -> Response:
        return _page(pod, wall() - pod.started_at)

    async def home(request: Request) -> Response:
        index = None if public is None else await public.find("index.html", request)
        return index or await about(request)

    async def live(_: Request) -> Response:
        return json_response({"status": "live", "pod": pod.pod_id})

    async def ready(_: Request) -> Response:
        reason = pod.unready()
        if reason is not None:
            answer = {"status": "not ready", "pod": pod.pod_id, "reason": reason}
            return json_response(answer, 503)
        return json_response({"status": "ready", "pod": pod.pod_id})

    async def broker(request: Request) -> Response:
        return _refuse_diagnostics(pod, request) or json_response(pod.broker_health())

    async def actors(request: Request) -> Response:
        return _refuse_diagnostics(pod, request) or json_response(pod.tree())

    app = Starlette(
        routes=[
            OwnRoute("/", home),
            OwnRoute("/_dashboard/", about),
            OwnRoute("/health/live", live),
            OwnRoute("/health/ready", ready),
            OwnRoute("/_dashboard/api/actors", actors),
            OwnRoute("/_dashboard/api/realtime/broker/health", broker),
            *static_routes(),
            *self_test_routes(),
            *routes,
        ],
        middleware=[_cross_origin(origins)] if origins else [],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False  # it redirects to whatever the Host header says
    return app


def _cross_origin(origins: Sequence[str]) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-Master-Key"],
        expose_headers=["Retry-After", "X-Truncated"],
    )


def _refuse_diagnostics(pod: PodView, request: Request) -> Response | None:
    headers = request.headers
    if pod.is_root(headers) or (pod.dev and _is_local(request)):
        return None
    if "authorization" in headers or "x-master-key" in headers:
        return error_response(403, "This is for root: the key or token you sent is not root's.")
    sentence = "This is for root: send 'Authorization: Bearer <token>' or 'X-Master-Key: <key>'."
    return error_response(401, sentence, {"WWW-Authenticate": "Bearer"})


def _is_local(request: Request) -> bool:
    """Say whether somebody on this machine asks, and not a page or a proxy on another's behalf.

    A page of elsewhere can have its host name point here (DNS rebinding), but then says that name.
    """
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    peer = request.client.host if request.client else ""
    name = request.url.hostname or ""
    return _is_loopback(peer) and (name == "localhost" or _is_loopback(name))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


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
