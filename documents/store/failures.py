"""What the databases' own errors mean to a pod. No sentence here quotes SQL, values or secrets."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from sqlite3 import Error as SQLiteError
from typing import Final

from sqlalchemy.exc import DBAPIError, TimeoutError  # noqa: A004 - that of its pool

from ..errors import DuplicateValue, QueryError, StoreError, StoreUnavailable, Unstorable

__all__ = ["answering", "duplicate", "refusal", "translated", "unavailable"]

_FULL: Final = "The disk of the database is full; make room on it."
_BROKEN: Final = "The disk of the database fails; look into the system's log."
_LOCKED: Final = "The database is locked by another; try again."
_READ_ONLY: Final = (
    "The database can only be read; check its file's rights, or that it is no replica."
)
_SLOW: Final = "The database took too long; try again, or ask for less at once."
_UNREACHABLE: Final = "The database cannot be reached; check that it runs, and store.url."
_CORRUPT: Final = "The database's file is damaged, or is none; put a backup in its place."
_FORBIDDEN: Final = "The database refuses this pod; check the user and the rights in store.url."
_MEMORY: Final = "The database is out of memory; try again, or give it more."
_CROWDED: Final = "The database takes no more connections; allow more, or lower store.pool_size."

_SQLITE: Final[Mapping[int, str]] = {
    3: _FORBIDDEN,  # SQLITE_PERM
    5: _LOCKED,  # SQLITE_BUSY
    6: _LOCKED,  # SQLITE_LOCKED
    7: _MEMORY,  # SQLITE_NOMEM
    8: _READ_ONLY,  # SQLITE_READONLY
    9: _SLOW,  # SQLITE_INTERRUPT: `engine.deadline`
    10: _BROKEN,  # SQLITE_IOERR
    11: _CORRUPT,  # SQLITE_CORRUPT
    13: _FULL,  # SQLITE_FULL
    14: _UNREACHABLE,  # SQLITE_CANTOPEN
    15: _LOCKED,  # SQLITE_PROTOCOL: lost the race for the WAL's locks
    26: _CORRUPT,  # SQLITE_NOTADB
}
"""By primary result code, https://sqlite.org/rescode.html."""

_SQLITE_TOO_BIG: Final = 18

_POSTGRESQL: Final[Mapping[str, str]] = {
    "08": _UNREACHABLE,  # connection exception
    "25006": _READ_ONLY,
    "28": _FORBIDDEN,
    "3D000": _UNREACHABLE,  # no such database
    "40": _LOCKED,  # rolled back: deadlock, serialization
    "42501": _FORBIDDEN,
    "53100": _FULL,
    "53200": _MEMORY,
    "53300": _CROWDED,
    "55P03": _LOCKED,  # lock_timeout
    "57014": _SLOW,  # statement_timeout
    "57P": _UNREACHABLE,  # the server stops, or starts
    "58": _BROKEN,  # system error
}
"""By SQLSTATE or its beginning, https://www.postgresql.org/docs/current/errcodes-appendix.html."""

_UNIQUE_VIOLATION: Final = "23505"
_SQLITE_UNIQUE: Final = (1555, 2067)  # SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE
_UNSTORABLE: Final = ("22", "54")  # data exception, program limit exceeded


_FOR_ALL: Final = frozenset((_LOCKED, _SLOW))
"""What whoever asks may know, since asking again, or for less, is the remedy."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise `StoreUnavailable` for what the world does to the database; the rest is a bug."""
    try:
        yield
    except DBAPIError as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        raise unavailable(sentence) from error
    except TimeoutError as error:
        raise unavailable(_SLOW) from error
    except OSError as error:
        sentence = _FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else _UNREACHABLE
        raise unavailable(sentence) from error


def unavailable(sentence: str) -> StoreUnavailable:
    """Return the error for a sentence of this file; clients are told it where it helps them."""
    if sentence in _FOR_ALL:
        return StoreUnavailable(sentence, public=sentence)
    return StoreUnavailable(sentence)


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


def _sentence(error: DBAPIError) -> str | None:
    original = error.orig
    if isinstance(original, SQLiteError):
        return _SQLITE.get(_primary(original))
    state = _sqlstate(error)
    if not state:  # no word from the server: it is not there, or not any more
        return _UNREACHABLE if type(original).__name__ != "DataError" else None
    return next((text for start, text in _POSTGRESQL.items() if state.startswith(start)), None)


def _primary(error: SQLiteError) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
