"""What the databases' own errors mean to a pod. No sentence here quotes SQL, values or secrets."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from sqlite3 import Error as SQLiteError
from typing import Final

from attrs import frozen
from sqlalchemy.exc import DBAPIError, TimeoutError  # noqa: A004 - that of its pool

from ..errors import DuplicateValue, QueryError, StoreError, StoreUnavailable, Unstorable

__all__ = [
    "FULL",
    "GONE",
    "HELD",
    "KINDS",
    "READ_ONLY",
    "UNREACHABLE",
    "Reason",
    "answering",
    "code_of",
    "duplicate",
    "reason_of",
    "refusal",
    "translated",
    "unavailable",
]


@frozen
class Reason:
    """Why the database cannot be used.

    `kind` is a word for figures and for whoever may know no more, `sentence` for who runs the pod.
    `public` is what clients may know of it, if anything. `lasting` is what asking again does not
    help against.
    """

    kind: str
    sentence: str
    public: str = ""
    lasting: bool = True


FULL: Final = Reason("full", "The disk of the database is full; make room on it.")
_BROKEN: Final = Reason("broken", "The disk of the database fails; look into the system's log.")
_LOCKED: Final = Reason(
    "locked", *(("The database is locked by another; try again.",) * 2), lasting=False
)
READ_ONLY: Final = Reason(
    "read_only",
    "The database can only be read; check the rights of its file and folder, or that it is no "
    "replica.",
    public="The database can only be read at the moment; try again later.",
)
_SLOW: Final = Reason(
    "slow",
    *(("The database took too long; try again, or ask for less at once.",) * 2),
    lasting=False,
)
UNREACHABLE: Final = Reason(
    "unreachable", "The database cannot be reached; check that it runs, and store.url."
)
_CORRUPT: Final = Reason(
    "damaged", "The database's file is damaged, or is none; put a backup in its place."
)
_FORBIDDEN: Final = Reason(
    "forbidden", "The database refuses this pod; check the user and the rights in store.url."
)
_MEMORY: Final = Reason(
    "memory", "The database is out of memory; try again, or give it more.", lasting=False
)
_CROWDED: Final = Reason(
    "crowded",
    "The database takes no more connections; allow more, or lower store.pool_size.",
)

GONE: Final = Reason(
    "gone",
    "The database's file is gone, or another is in its place; put one there, and it is used from "
    "then on. To begin with an empty one start the pod again.",
)
HELD: Final = Reason(
    "held",
    "The database is used by another pod.",
    "The database is used by another pod at the moment; try again later.",
)
_LASTING: Final = (
    *(FULL, _BROKEN, READ_ONLY, UNREACHABLE, _CORRUPT, _FORBIDDEN, _CROWDED, GONE, HELD),
)
KINDS: Final = tuple(reason.kind for reason in _LASTING)
"""Words for what keeps documents from being written until somebody has helped."""

_SQLITE: Final[Mapping[int, Reason]] = {
    3: _FORBIDDEN,  # SQLITE_PERM
    5: _LOCKED,  # SQLITE_BUSY
    6: _LOCKED,  # SQLITE_LOCKED
    7: _MEMORY,  # SQLITE_NOMEM
    8: READ_ONLY,  # SQLITE_READONLY
    9: _SLOW,  # SQLITE_INTERRUPT: `engine.deadline`
    10: _BROKEN,  # SQLITE_IOERR
    11: _CORRUPT,  # SQLITE_CORRUPT
    13: FULL,  # SQLITE_FULL
    14: UNREACHABLE,  # SQLITE_CANTOPEN
    15: _LOCKED,  # SQLITE_PROTOCOL: lost the race for the WAL's locks
    26: _CORRUPT,  # SQLITE_NOTADB
}
"""By primary result code, https://sqlite.org/rescode.html."""

_SQLITE_TOO_BIG: Final = 18

_POSTGRESQL: Final[Mapping[str, Reason]] = {
    "08": UNREACHABLE,  # connection exception
    "25006": READ_ONLY,
    "28": _FORBIDDEN,
    "3D000": UNREACHABLE,  # no such database
    "40": _LOCKED,  # rolled back: deadlock, serialization
    "42501": _FORBIDDEN,
    "53100": FULL,
    "53200": _MEMORY,
    "53300": _CROWDED,
    "55P03": _LOCKED,  # lock_timeout
    "57014": _SLOW,  # statement_timeout
    "57P": UNREACHABLE,  # the server stops, or starts
    "58": _BROKEN,  # system error
}
"""By SQLSTATE or its beginning, https://www.postgresql.org/docs/current/errcodes-appendix.html."""

_UNIQUE_VIOLATION: Final = "23505"
_SQLITE_UNIQUE: Final = (1555, 2067)  # SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE
_UNSTORABLE: Final = ("22", "54")  # data exception, program limit exceeded


@contextmanager
def translated() -> Iterator[None]:
    """Raise `StoreUnavailable` for what the world does to the database; the rest is a bug."""
    try:
        yield
    except DBAPIError as error:
        reason = reason_of(error)
        if reason is None:
            raise
        raise unavailable(reason) from error
    except TimeoutError as error:
        raise unavailable(_SLOW) from error
    except OSError as error:
        raise unavailable(_ERRNO.get(error.errno or 0, UNREACHABLE)) from error


_ERRNO: Final[Mapping[int, Reason]] = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,
    errno.EPERM: READ_ONLY,
    errno.EIO: _BROKEN,
}


def unavailable(reason: Reason) -> StoreUnavailable:
    """Return the error for a reason."""
    return StoreUnavailable(
        reason.sentence, reason.public, kind=reason.kind, lasting=reason.lasting
    )


@contextmanager
def answering() -> Iterator[None]:
    """Raise `QueryError` where a query holds what the database cannot compare."""
    try:
        yield
    except DBAPIError as error:
        if _unstorable(error):
            raise QueryError(
                "The query holds a text or number that the database does not have; change it."
            ) from error
        raise


def refusal(error: DBAPIError, indexes: Mapping[str, str]) -> StoreError | None:
    """Return what is wrong with the document that was written, or None when that is not it.

    `indexes` tells the property of each unique index by the index's name.
    """
    index = duplicate(error)
    if index is not None:
        return DuplicateValue(indexes.get(index, index))
    if _unstorable(error):
        return Unstorable("The database cannot hold this text or number; leave it out.")
    return None


def duplicate(error: DBAPIError) -> str | None:
    """Return the name of the unique index that a value clashed in, or None.

    SQLite names the column where the index is not over an expression.
    """
    original = error.orig
    if isinstance(original, SQLiteError):
        if getattr(original, "sqlite_errorcode", 0) not in _SQLITE_UNIQUE:
            return None
        found = re.search(r"index '(.+)'|\.(\w+)$", str(original))
        return (found[1] or found[2]) if found else ""
    if _sqlstate(error) != _UNIQUE_VIOLATION:
        return None
    return str(getattr(getattr(original, "diag", None), "constraint_name", "") or "")


def _unstorable(error: DBAPIError) -> bool:
    original = error.orig
    if isinstance(original, SQLiteError):
        return _primary(original) == _SQLITE_TOO_BIG
    # psycopg refuses some values by itself, with no SQLSTATE: U+0000 in a text, for one.
    return _sqlstate(error).startswith(_UNSTORABLE) or type(original).__name__ == "DataError"


def reason_of(error: DBAPIError) -> Reason | None:
    """Return what the world did to the database, or None for what was wrong with what it was told.

    https://sqlite.org/rescode.html, https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    original = error.orig
    if isinstance(original, SQLiteError):
        return _SQLITE.get(_primary(original))
    state = _sqlstate(error)
    if not state:  # no word from the server: it is not there, or not any more
        return UNREACHABLE if type(original).__name__ != "DataError" else None
    return next((reason for start, reason in _POSTGRESQL.items() if state.startswith(start)), None)


def code_of(error: DBAPIError) -> str:
    """Return the database's own code of an error, which quotes no values."""
    original = error.orig
    if isinstance(original, SQLiteError):
        return str(getattr(original, "sqlite_errorname", "") or "SQLITE_ERROR")
    return _sqlstate(error) or type(original).__name__


def _primary(error: SQLiteError) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
