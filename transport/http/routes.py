"""Which requests a path takes: its own methods, or every one to be judged by what answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

__all__ = ["AnyMethodRoute", "OwnRoute"]

Endpoint = Callable[[Request], Awaitable[Response]]


class _WholeRoute(Route):
    """A path that is what it says. To Starlette a line break may follow, and none be inside."""

    def __init__(
        self, path: str, endpoint: Endpoint, *, methods: Sequence[str] | None = None
    ) -> None:
        super().__init__(path, endpoint, methods=None if methods is None else list(methods))
        pattern = self.path_regex.pattern.removesuffix("$")
        self.path_regex = re.compile(rf"{pattern}\Z", re.DOTALL)


class OwnRoute(_WholeRoute):
    """A path of the pod's own that answers 405 to the methods it does not know.

    Starlette goes on to routes behind it, and the collections' would take every path.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path, whatever the method; Starlette then answers 405 by itself."""
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL else match), child


class AnyMethodRoute(_WholeRoute):
    """A path whose endpoint is asked whatever the method: what is allowed there varies."""

    def __init__(self, path: str, endpoint: Endpoint) -> None:
        super().__init__(path, endpoint)
        self.methods = None
