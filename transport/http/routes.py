"""Which requests a path takes: its own methods, or every one to be judged by what answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

__all__ = ["AnyMethodRoute", "OwnRoute"]


class OwnRoute(Route):
    """A path that answers 405 to the methods it does not know.

    Starlette goes on to routes behind it, and the collections' would take every path.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path, whatever the method; Starlette then answers 405 by itself."""
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL else match), child


class AnyMethodRoute(Route):
    """A path whose endpoint is asked whatever the method: what is allowed there varies."""

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        super().__init__(path, endpoint)
        self.methods = None
