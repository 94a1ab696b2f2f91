"""Packaged files, served by every pod: the client's `dpd.js`, its module and types, and pages."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .routes import OwnRoute

__all__ = ["CLIENT_FILES", "page_route", "page_routes", "static_routes"]

JAVASCRIPT = "text/javascript; charset=utf-8"  # RFC 9239 section 6
_TYPES = "text/plain; charset=utf-8"  # TypeScript has no media type; by its ending it is a video

CLIENT_FILES = {
    "dpd.js": JAVASCRIPT,
    "dpd.mjs": JAVASCRIPT,
    "dpd.d.ts": _TYPES,
    "dpd.d.mts": _TYPES,
}
"""The names of the files, and what each is served as."""

_PARTS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": JAVASCRIPT,
}
"""What the files of a page are served as, by their endings."""


@cache
def static_routes() -> Sequence[Route]:
    """Read the packaged files once and return a route for each, at `/<name>`."""
    folder = resources.files("deployd.web").joinpath("client")
    return [
        _file_route(f"/{name}", folder.joinpath(name).read_bytes(), kind)
        for name, kind in CLIENT_FILES.items()
    ]


def page_routes(folder: str, page: str, parts: str, policies: Mapping[str, str]) -> list[Route]:
    """Read a packaged page once: `page.html` of its folder at `page`, the rest below `parts`.

    `policies` are the `Content-Security-Policy` of files, by name.
    """

    def route(name: str, body: bytes) -> Route:
        path = page if name == "page.html" else f"{parts}/{name}"
        headers = {"Content-Security-Policy": policies[name]} if name in policies else {}
        return _file_route(path, body, _PARTS[PurePath(name).suffix], headers)

    files = resources.files("deployd.web").joinpath(folder).iterdir()
    return [route(file.name, file.read_bytes()) for file in files]


def page_route(path: str, body: bytes, policy: str) -> Route:
    """Return a route that serves a page of HTML; `policy` is its `Content-Security-Policy`."""
    return _file_route(path, body, _PARTS[".html"], {"Content-Security-Policy": policy})


def _file_route(
    path: str, body: bytes, kind: str, headers: Mapping[str, str] | None = None
) -> Route:
    """Return a route that serves `body` at `path`, or 304 to whoever has it already.

    `kind` is its media type; `headers` come beside those that every file has.
    """
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    sent = {
        "Content-Type": kind,
        "Cache-Control": "no-cache",  # keep it, and ask each time whether it is still the same
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        **(headers or {}),
    }

    async def serve(request: Request) -> Response:
        if _is_known(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=sent)
        return Response(body, headers=sent)

    return OwnRoute(path, serve)


def _is_known(if_none_match: str, etag: str) -> bool:
    """Compare as RFC 9110 section 13.1.2 has it: weakly, against each of a list."""
    known = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return any(one in (etag, "*") for one in known)
