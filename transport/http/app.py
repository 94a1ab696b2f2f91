"""The pages and diagnostics of a pod, as a Starlette application."""

import base64
import hashlib
import html
import ipaddress
import time
from collections.abc import Callable, Mapping
from importlib import resources
from string import Template
from typing import Protocol

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import BadToken
from ..tokens import Tokens, constant_time_equal
from .self_test import self_test_routes
from .static import static_routes

__all__ = ["PodView", "create_app", "shows_root"]

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

    def is_root(self, headers: Mapping[str, str]) -> bool:
        """Say whether a request's headers prove root; see `shows_root`."""


def create_app(pod: PodView, wall: Callable[[], float] = time.time) -> Starlette:
    """Build the application: `/`, `/health/live`, `/_dashboard/api/actors`, the packaged files.

    Every error is JSON with one sentence. `wall` returns unix seconds.
    """

    async def home(_: Request) -> Response:
        return _page(pod, wall() - pod.started_at)

    async def live(_: Request) -> Response:
        return _json({"status": "live", "pod": pod.pod_id})

    async def actors(request: Request) -> Response:
        return _refuse_diagnostics(pod, request) or _json(pod.tree())

    app = Starlette(
        routes=[
            Route("/", home),
            Route("/health/live", live),
            Route("/_dashboard/api/actors", actors),
            *static_routes(),
            *self_test_routes(),
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False  # it redirects to whatever the Host header says
    return app


def shows_root(headers: Mapping[str, str], tokens: Tokens, master_key: str) -> bool:
    """Say whether headers carry the master key or a token of root."""
    key = headers.get("x-master-key")
    if key is not None:
        return bool(master_key) and constant_time_equal(key, master_key)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    try:
        return tokens.verify(token.strip()).is_root
    except BadToken:
        return False


def _refuse_diagnostics(pod: PodView, request: Request) -> Response | None:
    headers = request.headers
    if pod.is_root(headers) or (pod.dev and _is_local(request)):
        return None
    if "authorization" in headers or "x-master-key" in headers:
        return _error(403, "This is for root: the key or token you sent is not root's.")
    sentence = "This is for root: send 'Authorization: Bearer <token>' or 'X-Master-Key: <key>'."
    return _error(401, sentence, {"WWW-Authenticate": "Bearer"})


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
    return _response(
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
        allowed = (error.headers or {}).get("Allow", "GET")
        sentence = f"{request.method} is not possible here; use {allowed}."
    else:
        sentence = error.detail
    return _error(error.status_code, sentence, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return _error(500, "The pod failed on this request; its log says why.")


def _error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json({"error": sentence}, status, headers)


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _response(status, orjson.dumps(value), "application/json", headers or {})


def _response(status: int, body: bytes, kind: str, headers: Mapping[str, str]) -> Response:
    safe = {
        "Content-Type": kind,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(body, status, {**safe, **headers})
