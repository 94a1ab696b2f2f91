"""The dashboard: a page that shows root how this pod is, live, packaged and served from the pod."""

from importlib import resources
from pathlib import PurePath

from starlette.routing import Route

from .static import JAVASCRIPT, file_route

__all__ = ["dashboard_routes"]

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": JAVASCRIPT,
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def dashboard_routes() -> list[Route]:
    """Read the packaged page once: `/_dashboard/`, and its parts below it.

    Anybody may have the page, for nothing of the pod is in it: what it shows it asks for as root.
    """
    folder = resources.files(__package__).joinpath("static", "dashboard")
    return [_route(file.name, file.read_bytes()) for file in folder.iterdir()]


def _route(name: str, body: bytes) -> Route:
    page = name == "page.html"
    headers = {"Content-Security-Policy": _POLICY} if page else {}
    path = "/_dashboard/" if page else f"/_dashboard/{name}"
    return file_route(path, body, _KINDS[PurePath(name).suffix], headers)
