"""All documents of a database as they are at one moment, while pods go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from attrs import frozen
from sqlalchemy import Connection, inspect, select, text

from ...config import Definition, Store
from . import indexes
from .engine import database_files, make_engine, take_time
from .failures import translated
from .reading import as_text
from .store import Misfit
from .tables import PREFIX, documents_table

__all__ = ["Snapshot", "is_there", "open_snapshot"]

_AT_ONCE: Final = 200
"""Documents that are read in one go."""


def is_there(url: str) -> bool:
    """Say whether there may be a database: a file that is missing would be made by looking."""
    files = database_files(url)
    return not files or files[0].exists()


@frozen
class Snapshot:
    """What is in a database; for the thread that has made it."""

    connection: Connection

    def collections(self) -> Sequence[str]:
        """Return the names of the collections that have ever kept documents here."""
        names = inspect(self.connection).get_table_names()
        return sorted(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))

    def documents(self, collection: str) -> Iterator[tuple[int, str]]:
        """Yield each document as JSON, with its place in the order of creation."""
        table = documents_table(collection)
        statement = select(table.c.sequence, as_text(table)).order_by(table.c.sequence)
        with self.connection.execution_options(yield_per=_AT_ONCE).execute(statement) as rows:
            yield from ((sequence, document) for sequence, document in rows)

    def misfits(self, definition: Definition) -> Sequence[Misfit]:
        """Return which properties cannot be unique as the documents are."""
        return indexes.misfits(self.connection, definition, documents_table(definition.name))


@contextmanager
def open_snapshot(url: str, settings: Store) -> Iterator[Snapshot]:
    """Look at a database that `is_there`. Raises `StoreUnavailable`."""
    engine = make_engine(url, settings)
    try:
        with translated(), engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(
                    text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                )
                take_time(connection)
            else:
                connection.exec_driver_sql("BEGIN")
            yield Snapshot(connection)
            connection.rollback()
    finally:
        engine.dispose()
