"""The outbox: changes that were committed and not yet relayed to those who listen.

An entry is written in the transaction of its change, claimed by the pod that relays it, and
cleared when that is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import (
    Connection,
    bindparam,
    delete,
    insert,
    inspect,
    or_,
    select,
    text,
    update,
)

from .store import Change, ChangeType
from .tables import OUTBOX

__all__ = ["CLAIM_EXPIRES", "claim", "clear", "is_read_only", "make", "try_out"]

CLAIM_EXPIRES: Final = 60.0
"""Seconds after which what a pod has not relayed is any pod's to relay."""

_COLUMNS: Final = (OUTBOX.c.sequence, OUTBOX.c.type, OUTBOX.c.document, OUTBOX.c.before)
_CLEAR: Final = delete(OUTBOX).where(
    OUTBOX.c.collection == bindparam("of"), OUTBOX.c.sequence == bindparam("relayed")
)


def make(connection: Connection) -> None:
    """Make the outbox, or what one lacks that an older pod has made."""
    OUTBOX.create(connection, checkfirst=True)
    there = {column["name"] for column in inspect(connection).get_columns(OUTBOX.name)}
    if OUTBOX.c.before.name not in there:
        connection.execute(_ADD_BEFORE)


def claim(
    connection: Connection, collection: str, limit: int, *, pod: str, now: float
) -> list[Change]:
    """Return up to `limit` of the oldest changes in the outbox and make them this pod's, as of now.

    SQLite's file has one pod, so they all are this pod's, whatever it was called when it wrote.
    """
    statement = (
        select(*_COLUMNS)
        .where(OUTBOX.c.collection == collection)
        .order_by(OUTBOX.c.sequence)
        .limit(limit)
    )
    if connection.dialect.name == "sqlite":
        return [_change(*row) for row in connection.execute(statement)]
    free = or_(OUTBOX.c.pod == pod, OUTBOX.c.claimed_at <= now - CLAIM_EXPIRES)
    # Two pods that ask at once each lock what they take, and pass over what the other has.
    taken = statement.where(free).with_only_columns(OUTBOX.c.sequence)
    taken = taken.with_for_update(skip_locked=True)
    sequences = connection.scalars(taken).all()
    rows = connection.execute(
        update(OUTBOX)
        .where(OUTBOX.c.sequence.in_(sequences))
        .values(pod=pod, claimed_at=now)
        .returning(*_COLUMNS)
    )
    return sorted((_change(*row) for row in rows), key=lambda change: change.sequence)


def clear(connection: Connection, collection: str, sequences: Sequence[int]) -> None:
    """Remove these changes from the outbox."""
    if sequences:
        connection.execute(_CLEAR, [{"of": collection, "relayed": each} for each in sequences])


def is_read_only(connection: Connection) -> bool:
    """Ask a server whether this transaction could write."""
    return str(connection.scalar(_READ_ONLY)) == "on"


def try_out(connection: Connection, pod: str, now: float) -> None:
    """Write something and take it away again: a full disk shows in nothing less."""
    nothing = {"collection": "", "type": "", "document": "", "pod": pod, "claimed_at": now}
    sequence = connection.scalar(insert(OUTBOX).returning(OUTBOX.c.sequence), nothing)
    connection.execute(delete(OUTBOX).where(OUTBOX.c.sequence == sequence))


_ADD_BEFORE: Final = text("ALTER TABLE changes ADD COLUMN before TEXT")
_READ_ONLY: Final = text("SHOW transaction_read_only")


def _change(sequence: int, kind: ChangeType, document: str, before: str | None) -> Change:
    was = None if before is None else orjson.loads(before)
    return Change(sequence, kind, orjson.loads(document), was)
