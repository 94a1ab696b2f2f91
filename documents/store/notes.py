"""The notes of changes that have still to be told: who tells them, and when they are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import Connection, bindparam, delete, or_, select, update

from .store import Change, ChangeType
from .tables import CHANGES

__all__ = ["LEFT", "claim", "forget"]

LEFT: Final = 60.0
"""Seconds after which what a pod has not told is any pod's to tell."""

_COLUMNS: Final = (CHANGES.c.sequence, CHANGES.c.type, CHANGES.c.document)
_FORGET: Final = delete(CHANGES).where(
    CHANGES.c.collection == bindparam("of"), CHANGES.c.sequence == bindparam("told")
)


def claim(
    connection: Connection, collection: str, limit: int, *, pod: str, now: float
) -> list[Change]:
    """Return up to `limit` of the oldest untold changes and make them this pod's, as of now.

    SQLite's file has one pod, so they all are this pod's, whatever it was called when it wrote.
    """
    statement = (
        select(*_COLUMNS)
        .where(CHANGES.c.collection == collection)
        .order_by(CHANGES.c.sequence)
        .limit(limit)
    )
    if connection.dialect.name == "sqlite":
        return [_change(*row) for row in connection.execute(statement)]
    free = or_(CHANGES.c.pod == pod, CHANGES.c.claimed_at <= now - LEFT)
    # Two pods that ask at once each lock what they take, and pass over what the other has.
    taken = statement.where(free).with_only_columns(CHANGES.c.sequence)
    taken = taken.with_for_update(skip_locked=True)
    sequences = connection.scalars(taken).all()
    rows = connection.execute(
        update(CHANGES)
        .where(CHANGES.c.sequence.in_(sequences))
        .values(pod=pod, claimed_at=now)
        .returning(*_COLUMNS)
    )
    return sorted((_change(*row) for row in rows), key=lambda change: change.sequence)


def forget(connection: Connection, collection: str, sequences: Sequence[int]) -> None:
    """Remove the notes of these changes."""
    if sequences:
        connection.execute(_FORGET, [{"of": collection, "told": each} for each in sequences])


def _change(sequence: int, kind: ChangeType, document: str) -> Change:
    return Change(sequence, kind, orjson.loads(document))
