"""Stand-in until the branch `language` is merged."""

from __future__ import annotations

from .filters import Query
from .store import Document

__all__ = ["project"]


def project(document: Document, query: Query) -> Document:
    """Return what a query wants to see of a document."""
    if query.without:
        return {name: value for name, value in document.items() if name not in query.fields}
    shown = query.fields | {"id"}
    return {name: value for name, value in document.items() if name in shown}
