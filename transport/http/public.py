"""An application's own files, served as they are: its pages beside the collections they show."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["PublicFiles"]


class PublicFiles:
    """The files of one folder, which need not exist.

    Names that begin with a dot, and links that lead out of the folder, are not served.
    """

    def __init__(self, folder: Path) -> None:
        self._files = StaticFiles(directory=folder, check_dir=False)

    async def find(self, path: str, request: Request) -> Response | None:
        """Return the answer with the file at a path below the folder, or None without one."""
        if any(part.startswith(".") for part in path.split("/")):
            return None
        try:
            response = await self._files.get_response(path, request.scope)
        except HTTPException as error:
            if error.status_code in (401, 404):  # 401 is how it says that it may not read the file
                return None
            raise
        response.headers["Cache-Control"] = "no-cache"  # keep it, and ask whether it is the same
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def route(self) -> BaseRoute:
        """Return the route of all paths that look like a file's: a dot is in their last part."""

        async def serve(request: Request) -> Response:
            response = await self.find(request.path_params["path"], request)
            if response is None:
                raise HTTPException(404)
            return response

        return _FileRoute("/{path:path}", serve)


class _FileRoute(Route):
    """No collection and no id has a dot, so nothing of theirs is looked for on the disk."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if "." not in scope["path"].rpartition("/")[2]:
            return Match.NONE, {}
        return super().matches(scope)
