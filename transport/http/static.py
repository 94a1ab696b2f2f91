"""The client's files, packaged with the pod and served from it: `dpd.js`, its module, its types."""

import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["CLIENT_FILES", "static_routes"]

_JAVASCRIPT = "text/javascript; charset=utf-8"  # RFC 9239 section 6
_TYPES = "text/plain; charset=utf-8"  # TypeScript has no media type; by its ending it is a video

CLIENT_FILES = {
    "dpd.js": _JAVASCRIPT,
    "dpd.mjs": _JAVASCRIPT,
    "dpd.d.ts": _TYPES,
    "dpd.d.mts": _TYPES,
}
"""The names of the files, and what each is served as."""


def static_routes() -> list[Route]:
    """Read the packaged files once and return a route for each, at `/<name>`."""
    folder = resources.files(__package__).joinpath("static")
    return [
        _route(name, folder.joinpath(name).read_bytes(), kind)
        for name, kind in CLIENT_FILES.items()
    ]


def _route(name: str, body: bytes, kind: str) -> Route:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "Content-Type": kind,
        "Cache-Control": "no-cache",  # keep it, and ask each time whether it is still the same
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }

    async def serve(request: Request) -> Response:
        if _is_known(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers)

    return Route(f"/{name}", serve, name=name)


def _is_known(if_none_match: str, etag: str) -> bool:
    """Compare as RFC 9110 section 13.1.2 has it: weakly, against each of a list."""
    known = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return any(one in (etag, "*") for one in known)
