from __future__ import annotations

import errno
import sqlite3
import sys

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, TimeoutError  # noqa: A004 - that of its pool

from deployd.config import ConfigurationError, Store
from deployd.documents.errors import QueryError, StoreUnavailable
from deployd.documents.store.engine import make_engine
from deployd.documents.store.failures import answering, translated

SECRET = "secret-word"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        f"mysql://somebody:{SECRET}@host/name",
        f"postgresql+asyncpg://somebody:{SECRET}@host/name",
        f"postgresql://somebody:{SECRET}@host:port/name",
        SECRET,
        "",
    ],
)
def test_a_url_that_names_no_database_for_a_pod_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql://.*sqlite:///") as caught:
        make_engine(url, Store())
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_is_understood(scheme: str) -> None:
    engine = make_engine(f"{scheme}://host/name", Store())
    assert (engine.dialect.name, engine.dialect.driver) == ("postgresql", "psycopg")


def test_a_missing_driver_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'deployd\[postgres\]'"):
        make_engine("postgresql://host/name", Store())


def of_postgresql(state: str | None) -> DBAPIError:
    original = psycopg.OperationalError(SECRET)
    original.sqlstate = state
    return DBAPIError(SECRET, {SECRET: SECRET}, original)


def of_sqlite(code: int) -> DBAPIError:
    original = sqlite3.OperationalError(SECRET)
    original.sqlite_errorcode = code
    return DBAPIError(SECRET, {SECRET: SECRET}, original)


FAILURES = [
    *[
        (of_postgresql(state), says)
        for state, says in [
            (None, "cannot be reached"),
            ("08006", "cannot be reached"),
            ("25006", "only be read"),
            ("28P01", "refuses"),
            ("3D000", "cannot be reached"),
            ("40P01", "locked"),
            ("42501", "refuses"),
            ("53100", "full"),
            ("53200", "memory"),
            ("53300", "connections"),
            ("55P03", "locked"),
            ("57014", "too long"),
            ("57P01", "cannot be reached"),
            ("57P03", "cannot be reached"),
            ("58030", "fails"),
        ]
    ],
    *[
        (of_sqlite(code), says)
        for code, says in [
            (sqlite3.SQLITE_BUSY, "locked"),
            (sqlite3.SQLITE_BUSY_SNAPSHOT, "locked"),
            (sqlite3.SQLITE_LOCKED, "locked"),
            (sqlite3.SQLITE_FULL, "full"),
            (sqlite3.SQLITE_IOERR_FSYNC, "fails"),
            (sqlite3.SQLITE_READONLY, "only be read"),
            (sqlite3.SQLITE_CANTOPEN, "cannot be reached"),
            (sqlite3.SQLITE_CORRUPT, "damaged"),
            (sqlite3.SQLITE_NOTADB, "damaged"),
            (sqlite3.SQLITE_NOMEM, "memory"),
            (sqlite3.SQLITE_INTERRUPT, "too long"),
        ]
    ],
    (TimeoutError(SECRET), "too long"),
    (OSError(errno.ENOSPC, SECRET), "full"),
    (PermissionError(errno.EACCES, SECRET), "only be read"),
    (OSError(errno.EROFS, SECRET), "only be read"),
    (FileNotFoundError(errno.ENOENT, SECRET), "cannot be reached"),
]


@pytest.mark.parametrize(("failure", "says"), FAILURES, ids=lambda value: str(value)[:60])
def test_what_the_world_does_to_a_database_is_told_in_a_sentence(
    failure: Exception, says: str
) -> None:
    with pytest.raises(StoreUnavailable, match=says) as caught, translated():
        raise failure
    assert caught.value.__cause__ is failure
    assert SECRET not in repr(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("bug", [of_postgresql("42601"), of_sqlite(sqlite3.SQLITE_ERROR)], ids=str)
def test_a_bug_stays_one(bug: DBAPIError) -> None:
    with pytest.raises(DBAPIError) as caught, translated(), answering():
        raise bug
    assert caught.value is bug


@pytest.mark.parametrize(
    "failure", [of_postgresql("22P05"), of_postgresql("54001"), of_sqlite(sqlite3.SQLITE_TOOBIG)]
)
def test_what_a_database_cannot_compare_is_the_askers(failure: DBAPIError) -> None:
    with pytest.raises(QueryError) as caught, translated(), answering():
        raise failure
    assert SECRET not in repr(caught.value)
