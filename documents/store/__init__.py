"""Documents in a database: what a query means, and how it is answered."""

from .backup import BackupError, restore_backup, write_backup
from .database import DatabaseStore
from .engine import database_files, database_place, database_url
from .failures import GONE, KINDS
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
from .snapshot import Snapshot, is_there, open_snapshot
from .store import Change, ChangeType, Decide, Document, Misfit, Store, Write, WriteResult

__all__ = [
    "GONE",
    "KINDS",
    "All",
    "Any",
    "BackupError",
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
    "Misfit",
    "Not",
    "Order",
    "Page",
    "Path",
    "Query",
    "Ranks",
    "Scalar",
    "Size",
    "Snapshot",
    "SortKey",
    "Store",
    "Write",
    "WriteResult",
    "asks_only",
    "by_rank",
    "database_files",
    "database_place",
    "database_url",
    "format_date",
    "how_many",
    "is_there",
    "matches",
    "named",
    "nested",
    "normalise_date",
    "normalise_number",
    "open_snapshot",
    "ordered",
    "page_of",
    "parse_query",
    "project",
    "ranks",
    "read_query",
    "restore_backup",
    "sorted_by_only",
    "split",
    "write_backup",
]
