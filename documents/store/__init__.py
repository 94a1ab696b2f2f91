"""Documents in a database: what a query means, and how it is answered."""

from .database import DatabaseStore
from .engine import database_files, database_url
from .faulty import FaultyStore
from .filters import (
    All,
    Any,
    Compare,
    ElementMatches,
    Equal,
    Exists,
    Filter,
    Matches,
    Not,
    Order,
    Path,
    Query,
    Scalar,
    Size,
    SortKey,
)
from .matching import Ranks, by_rank, matches, ordered, project, ranks
from .paging import Bounds, Page, how_many, page_of
from .parameters import nested
from .pushdown import asks_only, named, sorted_by_only, split
from .query import parse_query, read_query
from .scalars import format_date, normalise_date, normalise_number
from .store import Change, ChangeType, Decide, Document, Store, Write, WriteResult

__all__ = [
    "All",
    "Any",
    "Bounds",
    "Change",
    "ChangeType",
    "Compare",
    "DatabaseStore",
    "Decide",
    "Document",
    "ElementMatches",
    "Equal",
    "Exists",
    "FaultyStore",
    "Filter",
    "Matches",
    "Not",
    "Order",
    "Page",
    "Path",
    "Query",
    "Ranks",
    "Scalar",
    "Size",
    "SortKey",
    "Store",
    "Write",
    "WriteResult",
    "asks_only",
    "by_rank",
    "database_files",
    "database_url",
    "format_date",
    "how_many",
    "matches",
    "named",
    "nested",
    "normalise_date",
    "normalise_number",
    "ordered",
    "page_of",
    "parse_query",
    "project",
    "ranks",
    "read_query",
    "sorted_by_only",
    "split",
]
