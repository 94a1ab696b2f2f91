"""The self-test: a page to look at a pod with, packaged and served from it, one file a panel."""

from importlib import resources
from pathlib import PurePath

from starlette.routing import Route

from .static import JAVASCRIPT, file_route

__all__ = ["self_test_routes"]

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": JAVASCRIPT,
}

_POLICIES = {
    "page.html": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "worker.js": "default-src 'none'; script-src 'self' 'unsafe-eval'; connect-src 'self'",
}
"""A worker is under the policy that it is served with (HTML, "run a worker"; CSP level 3): so the
scratchpad may evaluate what was typed there, and the page that it belongs to may not."""


def self_test_routes() -> list[Route]:
    """Read the packaged page once: `/self-test.html`, and its parts below `/self-test/`."""
    folder = resources.files(__package__).joinpath("static", "self-test")
    return [_route(file.name, file.read_bytes()) for file in folder.iterdir()]


def _route(name: str, body: bytes) -> Route:
    path = "/self-test.html" if name == "page.html" else f"/self-test/{name}"
    policy = _POLICIES.get(name)
    headers = {} if policy is None else {"Content-Security-Policy": policy}
    return file_route(path, body, _KINDS[PurePath(name).suffix], headers)
