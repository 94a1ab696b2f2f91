"""Connections to the database: SQLite in a file, or PostgreSQL.

SQLite: https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#serializable-isolation-savepoints-transactional-ddl
tells why the driver's own idea of transactions is switched off. PostgreSQL: psycopg 3.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from ...config import ConfigurationError
from ...config import Store as StoreSettings
from ..errors import StoreUncertain
from .database_file import CLAIM, DatabaseFile
from .sql import register_functions

__all__ = [
    "database_files",
    "database_url",
    "deadline",
    "make_engine",
    "sqlite_file",
    "take_time",
    "write_transaction",
]

CONNECT_TIMEOUT: Final = 5
"""Seconds that a connection to PostgreSQL may take to come about."""

_SILENCE: Final = 15
"""Seconds after which a PostgreSQL server whose host answers nothing any more is given up."""

_GRACE: Final = 5.0
"""Seconds beyond its own time-outs after which a server that still says nothing is given up."""

_SCHEMA_TIME: Final = 3600
"""Seconds that one change of a table, such as making an index, may take in PostgreSQL."""

_SWITCH: Final = 0.01
"""Seconds between two tries to switch the journal, which takes the one that does it less."""

_STEPS: Final = 20_000
"""Instructions of SQLite's virtual machine between two looks at the clock: a millisecond or so."""

_WRITES: Final = "deployd_writes"


def database_url(settings: StoreSettings, data: Path) -> str:
    """Return the URL of the database: the one that is set, or of a file in the folder `data`."""
    if settings.url:
        return settings.url
    url = URL.create("sqlite", database=str(data / "documents.db"))
    return url.render_as_string(hide_password=False)


def database_place(url: str) -> str:
    """Return where a database is, to show: without who signs in, and whatever the URL says."""
    try:
        parsed = _parse(url)
    except ConfigurationError:
        return "what store.url cannot say"
    if parsed.get_backend_name() == "sqlite":
        return f"sqlite in {parsed.database}"
    host, port = parsed.host or parsed.query.get("host") or "localhost", parsed.port or 5432
    hosts = f"{host}:{port}" if isinstance(host, str) else ", ".join(host)
    return f"postgresql at {hosts}/{parsed.database or ''}"


def database_files(url: str) -> tuple[Path, ...]:
    """Return the files of a database that this machine keeps: SQLite's, and those beside it."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return ()
    ends = ("", "-wal", "-shm", "-journal", CLAIM)
    return tuple(Path(parsed.database + end) for end in ends)


def make_engine(url: str, settings: StoreSettings) -> Engine:
    """Return an engine with `pool_size` connections at most. It connects when it is first used.

    Raises `ConfigurationError` when the URL names no database that a pod can use.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, settings)
    return _postgresql(parsed, settings)


def sqlite_file(engine: Engine, owner: str) -> DatabaseFile | None:
    """Return the file of an engine, None for a server; `owner` is what others are told of us."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return None
    return DatabaseFile(Path(engine.url.database), owner)


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """Commit what is done inside, or nothing of it when that raises.

    Raises `StoreUncertain` when the connection is lost before the commit is confirmed.

    SQLite's single lock for writing is taken at the beginning: a transaction that first reads and
    then wants to write could not wait for it (SQLITE_BUSY_SNAPSHOT).
    """
    options = {_WRITES: True}
    with (
        engine.connect().execution_options(**options) as connection,
        connection.begin() as transaction,
    ):
        yield connection
        with _doubting():
            transaction.commit()


@contextmanager
def _doubting() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not error.connection_invalidated:  # the database itself says that it did not
            raise
        raise StoreUncertain(
            "The connection to the database was lost while it committed; this may be done or not, "
            "look first.",
            "The database was lost while it committed; this may be done or not, look first.",
        ) from error


@contextmanager
def deadline(connection: Connection, seconds: float) -> Iterator[None]:
    """Interrupt what SQLite computes inside after so many seconds; PostgreSQL does it by itself."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        yield
        return
    end = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


def take_time(connection: Connection) -> None:
    """Let statements of this transaction take an hour where queries may not: they change tables."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_SCHEMA_TIME}s'")
        driver = connection.connection.driver_connection
        driver.answer_timeout = _SCHEMA_TIME + _GRACE  # type: ignore[union-attr] # a TimeoutConnection
        connection.detach()  # it is closed afterwards, so the time-outs need not be restored


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their own messages quote the URL, password and all
        parsed = URL.create("unknown")
    kind = parsed.drivername
    if kind in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if kind in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise ConfigurationError(
        "store.url must be such as postgresql://user:password@host/database or sqlite:///file."
    )


def _sqlite(url: URL, settings: StoreSettings) -> Engine:
    engine = create_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"timeout": settings.busy_timeout, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing: `begun` does
        _write_ahead(connection, settings.busy_timeout)
        connection.execute(f"PRAGMA synchronous = {settings.durability.upper()}")
        register_functions(connection)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # A read is one statement, which is a transaction without being told.
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch the file to write-ahead logging, which is what it is switched to for good.

    Several pods may do so at once, and to those that come second SQLite answers "busy" without
    waiting for its time-out (https://www.sqlite.org/wal.html, "Activating And Configuring").
    """
    until = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_SWITCH)
        else:
            return


def _postgresql(url: URL, settings: StoreSettings) -> Engine:
    begin = (
        f"BEGIN; SET LOCAL statement_timeout = {_milliseconds(settings.statement_timeout)};"
        f" SET LOCAL lock_timeout = {_milliseconds(settings.busy_timeout)}"
    )
    try:
        from .answer_timeout import TimeoutConnection

        engine = create_engine(
            url,
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT,
                "keepalives_idle": _SILENCE // 3,
                "keepalives_interval": _SILENCE // 3,
                "keepalives_count": 2,
                "tcp_user_timeout": _SILENCE * 1000,
            },
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "PostgreSQL needs a driver that is not installed: pip install 'deployd[postgres]'"
        ) from error

    timeout = max(settings.statement_timeout, settings.busy_timeout) + _GRACE

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: object, _record: object, given: list[Any], named: dict[str, Any]
    ) -> TimeoutConnection:
        # What is set for a connection, or prepared on it, is lost where a pooler such as PgBouncer
        # lends each transaction another one; so each brings along what it needs.
        named = {"autocommit": True, "prepare_threshold": None, **named}
        connection = TimeoutConnection.connect(*given, **named)
        connection.answer_timeout = timeout
        return connection

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)  # the driver begins nothing: one way there and back

    return engine


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)
