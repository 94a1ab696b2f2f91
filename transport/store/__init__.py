"""Documents: what a query means, and the database that answers it."""

from .database import DatabaseStore
from .dates import format_date, normalise_date
from .engine import database_files, database_url
from .filters import (
    All,
    Any,
    Compare,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    Order,
    Path,
    Query,
    Scalar,
    SortKey,
)
from .matching import matches, ordered, project
from .numbers import normalise_number
from .parameters import nested
from .query import parse_query, read_query
from .store import Change, ChangeType, Decide, Document, Page, Store, Write

__all__ = [
    "All",
    "Any",
    "Change",
    "ChangeType",
    "Compare",
    "DatabaseStore",
    "Decide",
    "Document",
    "Equal",
    "Exists",
    "Filter",
    "Matches",
    "Not",
    "Order",
    "Page",
    "Path",
    "Query",
    "Scalar",
    "SortKey",
    "Store",
    "Write",
    "database_files",
    "database_url",
    "format_date",
    "matches",
    "nested",
    "normalise_date",
    "normalise_number",
    "ordered",
    "parse_query",
    "project",
    "read_query",
]
