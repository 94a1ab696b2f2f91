"""All documents of a database as one file, the same for every kind of database.

Lines of JSON, gzipped: what it is; each document with its place in the order of creation; how many
there were, by which a file that was cut off is known. Changes that are not relayed yet are left
out: whoever listens reads again.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import groupby, islice
from pathlib import Path
from typing import IO, Any, Final

import orjson
from sqlalchemy import (
    Connection,
    Insert,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
)

from ...config import Store, check_collection_name
from ..errors import StoreError
from . import indexes, outbox
from .engine import make_engine, sqlite_file, take_time, write_transaction
from .failures import translated
from .snapshot import Snapshot, is_there, open_snapshot
from .tables import OUTBOX, documents_table

__all__ = ["BackupError", "restore_backup", "write_backup"]

_FORMAT: Final = "deployd-documents"
_VERSION: Final = 1

_AT_ONCE: Final = 200
"""Documents that are written in one go."""

_MOST: Final = 64 * 2**20
"""Bytes of one line: many times what a document may have."""


class BackupError(StoreError):
    """There is no file, or no database, that will do; nothing was changed."""


def write_backup(url: str, settings: Store, file: Path, *, now: str) -> Mapping[str, int]:
    """Write all documents, as they are at one moment, while pods go on; return how many by name.

    The file is there when it is whole, in the place of one that was there before. Raises
    `StoreUnavailable` and `BackupError`. `now` is the date that is written into it.
    """
    if not is_there(url):
        sentence = "There is no database; name the folder of the pod's data with --data."
        raise BackupError(sentence)
    part = file.with_name(file.name + ".part")
    try:
        with _about(file), _private(part) as output, open_snapshot(url, settings) as there:
            counts = _write(there, output, now)
        with _about(file):
            os.replace(part, file)
    finally:
        with suppress(OSError):  # it is there only where something went wrong
            part.unlink()
    return counts


def restore_backup(url: str, settings: Store, file: Path, *, replace: bool) -> Mapping[str, int]:
    """Put the documents of a backup into a database: all of them, or nothing is changed.

    Where there are documents already it is refused, if they are not to be replaced. No pod may use
    the database meanwhile: of a SQLite file that is known, and refused. Raises `BackupError` and
    `StoreUnavailable`.
    """
    engine = make_engine(url, settings)
    place = sqlite_file(engine, "deployd restore")
    try:
        with _packed(file) as source, translated():
            if place is not None:
                place.open()
            with write_transaction(engine) as connection:
                take_time(connection)
                _empty(connection, replace=replace)
                return _read(connection, _lines(source))
    finally:
        engine.dispose()
        if place is not None:
            place.close()


@contextmanager
def _packed(file: Path) -> Iterator[gzip.GzipFile]:
    with _about(file):
        raw = open(file, "rb")  # noqa: SIM115 - its own troubles alone are told of the file
    with raw, gzip.GzipFile(fileobj=raw) as source:
        yield source


@contextmanager
def _about(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror or error}; choose another file.") from error


# -- out ------------------------------------------------------------------------------------------


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """Write a file for its owner alone, for it holds what nobody is shown; it is on the disk then.

    Raises `OSError`.
    """
    raw = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(raw, "wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", filename="") as packed:
            yield packed  # type: ignore[misc] # a file of bytes in all that is asked of it
        file.flush()
        os.fsync(file.fileno())


def _write(there: Snapshot, output: IO[bytes], now: str) -> Mapping[str, int]:
    def line(value: object) -> None:
        try:
            output.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:  # the disk of the backup, and not the database's
            raise BackupError(f"The backup cannot be written: {error.strerror}.") from error

    line({"format": _FORMAT, "version": _VERSION, "date": now})
    counts: dict[str, int] = {}
    for name in there.collections():
        counts[name] = 0
        for sequence, document in there.documents(name):
            counts[name] += 1
            parts = (name, sequence, orjson.Fragment(document))
            line(parts)
    line({"documents": counts})
    return counts


# -- in -------------------------------------------------------------------------------------------


def _empty(connection: Connection, *, replace: bool) -> None:
    outbox.make(connection)
    for name in Snapshot(connection).collections():
        table = documents_table(name)
        there = connection.scalar(select(func.count()).select_from(table)) or 0
        if there and not replace:
            raise BackupError(
                f"The database holds documents already ({there} in '{name}'); with --replace they "
                "are removed first."
            )
        connection.execute(delete(table))
        indexes.drop(connection, table)  # the next pod makes them, and says what does not fit
    connection.execute(delete(OUTBOX))


def _lines(source: gzip.GzipFile) -> Iterator[Any]:
    """Yield the lines of a backup. Raises `BackupError`."""
    try:
        while line := source.readline(_MOST):
            yield orjson.loads(line)
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError) as error:
        raise _unusable("it is damaged or cut off") from error


def _read(connection: Connection, lines: Iterator[Any]) -> Mapping[str, int]:
    head = next(lines, None)
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise _unusable("it is none")
    if head.get("version") != _VERSION:
        raise _unusable("it was written by a newer deployd")
    counts: Counter[str] = Counter()
    said: Any = None
    for name, of_one in groupby(lines, key=_name):
        if not name:
            said = next(iter(of_one))
            break
        table = _table(connection, name)
        while rows := [_row(line) for line in islice(of_one, _AT_ONCE)]:
            connection.execute(_insert(table), rows)
            counts[name] += len(rows)
        _go_on_after(connection, table)
    wanted = said.get("documents") if isinstance(said, dict) else None
    if next(lines, None) is not None:  # what is behind it is read too: the checksum of it all
        raise _unusable("it goes on behind its end")
    if not isinstance(wanted, dict) or counts != {n: count for n, count in wanted.items() if count}:
        raise _unusable("it is cut off")
    return counts


def _name(line: Any) -> str:
    return line[0] if isinstance(line, list) and line and isinstance(line[0], str) else ""


def _table(connection: Connection, name: str) -> Table:
    if check_collection_name(name) is not None:
        raise _unusable("it names a collection that there cannot be")
    table = documents_table(name)
    table.create(connection, checkfirst=True)
    return table


def _insert(table: Table) -> Insert:
    text_of_it = bindparam("text", type_=Text)
    return insert(table).values(document=cast(text_of_it, table.c.document.type)).inline()


def _row(line: Any) -> dict[str, object]:
    try:
        _, sequence, document = line
        return {
            "sequence": int(sequence),
            "id": document["id"],
            "created_at": document["createdAt"],
            "updated_at": document["updatedAt"],
            "text": orjson.dumps(document).decode(),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable("it holds what is no document") from error


def _go_on_after(connection: Connection, table: Table) -> None:
    """Let documents that are created later come after those that were restored."""
    if connection.dialect.name == "postgresql":
        last = select(func.max(table.c.sequence)).scalar_subquery()
        name = func.pg_get_serial_sequence(f'"{table.name}"', "sequence")
        connection.execute(select(func.setval(name, last)))


def _unusable(why: str) -> BackupError:
    return BackupError(f"The file is no backup that can be restored: {why}.")
