"""Paths of the pod's own: what is theirs never falls to a collection."""

from __future__ import annotations

from starlette.routing import Match, Route
from starlette.types import Scope

__all__ = ["OwnRoute"]


class OwnRoute(Route):
    """A path that answers 405 to the methods it does not know.

    Starlette goes on to routes behind it, and the collections' would take every path.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path, whatever the method; Starlette then answers 405 by itself."""
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL else match), child
