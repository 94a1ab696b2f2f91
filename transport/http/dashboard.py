"""The dashboard: a page that shows root how this pod is, live, packaged and served from the pod."""

from starlette.routing import Route

from .static import page_routes

__all__ = ["dashboard_routes"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def dashboard_routes() -> list[Route]:
    """Return the routes of the page: `/_dashboard/`, and its parts below it.

    Anybody may have it, for nothing of the pod is in it: what it shows it asks for as root.
    """
    return page_routes("dashboard", "/_dashboard/", "/_dashboard", {"page.html": _POLICY})
