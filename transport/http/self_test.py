"""The self-test: a page to look at a pod with, packaged and served from it, one file a panel."""

from starlette.routing import Route

from .static import page_routes

__all__ = ["self_test_routes"]

_POLICIES = {
    "page.html": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "worker.js": "default-src 'none'; script-src 'self' 'unsafe-eval'; connect-src 'self'",
}
"""A worker is under the policy that it is served with (HTML, "run a worker"; CSP level 3): so the
scratchpad may evaluate what was typed there, and the page that it belongs to may not."""


def self_test_routes() -> list[Route]:
    """Return the routes of the page: `/self-test.html`, and its parts below `/self-test/`."""
    return page_routes("self-test", "/self-test.html", "/self-test", _POLICIES)
