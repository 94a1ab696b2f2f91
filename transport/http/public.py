"""An application's own files, served as they are: its pages beside the collections they show."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePath
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["PublicFiles"]

_NO_ENDINGS: Final = frozenset(
    ".py .pyc .pem .key .p12 .pfx .creds .db .sqlite .sqlite3 .bak .orig".split()  # noqa: SIM905
)
"""Code, keys, databases and what editors leave of a file: nobody means to show them to all."""
_MOST_FILES: Final = 10_000
"""Files of private folders that one with several names (hard links) is compared with."""

_Identity = tuple[int, int]


class PublicFiles:
    """The files of one folder, which need not exist.

    What lies in a `private` folder, or is a private file, is not served: by no name, link or
    spelling, for it is the file itself that is looked at, and the folders that it really lies in.
    Neither are names that begin with a dot, code, keys, databases, and what lies elsewhere. A
    public folder may itself lie in a private one.
    """

    def __init__(self, folder: Path, private: Iterable[Path] = ()) -> None:
        self._folder = folder
        self._private = tuple(private)
        self._files = _Files(folder, self._private)

    def exposed(self) -> list[Path]:
        """Return the private places that lie in the public folder: somebody should move them."""
        root = self._folder.resolve()
        places = [place for place in self._private if place.exists()]
        return [place for place in places if place.resolve().is_relative_to(root)]

    async def find(self, path: str, request: Request) -> Response | None:
        """Return the answer with the file at a path below the folder, or None without one."""
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


class _Files(StaticFiles):
    """Starlette's files, less those that are not for everybody."""

    def __init__(self, folder: Path, private: tuple[Path, ...]) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._root = folder
        self._private = private

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return where a file really lies, and what is known of it, or None for none."""
        found, stat = super().lookup_path(path)
        if stat is None or _is_hidden(PurePath(path)):
            return "", None
        root = self._root.resolve()
        inside = Path(found).relative_to(root)
        if _is_hidden(inside) or self._is_private(root, inside, stat):
            return "", None
        return found, stat

    def _is_private(self, root: Path, inside: Path, stat: os.stat_result) -> bool:
        private = set(_identities(self._private))
        above = (root / parent for parent in inside.parents)
        if not private.isdisjoint((_identity(stat), *_identities(above))):
            return True
        if stat.st_nlink == 1:
            return False
        kept = list(islice(_files_in(self._private), _MOST_FILES))
        return len(kept) == _MOST_FILES or _identity(stat) in kept


def _is_hidden(path: PurePath) -> bool:
    name = path.name.lower()
    return (
        any(part.startswith(".") and part != "." for part in path.parts)
        or name.endswith("~")
        or PurePath(name).suffix.partition("-")[0] in _NO_ENDINGS  # SQLite's .db-wal
    )


def _files_in(places: Iterable[Path]) -> Iterator[_Identity]:
    for place in places:
        for folder, _, names in os.walk(place):
            yield from _identities(Path(folder, name) for name in names)


def _identities(paths: Iterable[Path]) -> Iterator[_Identity]:
    """Say which files these are, whatever they are called; those that are not there are none."""
    for path in paths:
        try:
            yield _identity(path.stat())
        except OSError:
            continue


def _identity(stat: os.stat_result) -> _Identity:
    return stat.st_dev, stat.st_ino
