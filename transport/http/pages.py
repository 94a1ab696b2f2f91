"""The pages that a pod serves of itself, packaged with it: dashboard, self-test, its rooms."""

from collections.abc import Sequence
from functools import cache

from starlette.routing import Route

from .runbooks import runbooks_page
from .static import page_route, page_routes

__all__ = ["api_docs_routes", "dashboard_routes", "self_test_routes"]

_PLAIN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SELF_TEST_POLICIES = {
    "page.html": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "worker.js": "default-src 'none'; script-src 'self' 'unsafe-eval'; connect-src 'self'",
}
"""A worker is under the policy that it is served with (HTML, "run a worker"; CSP level 3): so the
scratchpad may evaluate what was typed there, and the page that it belongs to may not."""


@cache
def dashboard_routes() -> Sequence[Route]:
    """Return the routes of the dashboard, live: `/_dashboard/`, and its parts below it.

    Anybody may have it, for nothing of the pod is in it: what it shows it asks for as root.
    """
    policies = {"page.html": _PLAIN_POLICY}
    return [
        *page_routes("dashboard", "/_dashboard/", "/_dashboard", policies),
        page_route("/_dashboard/runbooks", runbooks_page(), _PLAIN_POLICY),
    ]


@cache
def self_test_routes() -> Sequence[Route]:
    """Return the routes of the self-test: `/self-test.html`, and a file a panel below it."""
    return page_routes("self-test", "/self-test.html", "/self-test", _SELF_TEST_POLICIES)


def api_docs_routes() -> list[Route]:
    """Return the routes of the page that shows the rooms: `/api/docs`, and its parts below it."""
    return page_routes("api-docs", "/api/docs", "/api/docs", {"page.html": _PLAIN_POLICY})
