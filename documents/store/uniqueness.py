"""Values that are to be unique while no index sees to it: looked for before each write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Table, func, select

from ...config import Definition, PropertyType
from ...transport import JSON
from .filters import Equal, Scalar
from .sql import condition
from .store import Document

__all__ = ["Uniqueness"]

_TURN: Final = 0x756E69717565
"""Any number that is the same in all pods, and no other lock's."""


class Uniqueness:
    """Says of one collection what a write would make a duplicate of.

    An index cannot be made while documents have the same value. Those who have it may keep it, for
    how else could they be mended; no others may come to have it.
    """

    def __init__(self, definition: Definition, table: Table) -> None:
        self._definition = definition
        self._table = table
        self.properties = frozenset(
            name for name, about in definition.properties.items() if about.unique
        )

    def take_turn(self, connection: Connection) -> None:
        """Let no other pod write to this collection until this transaction ends.

        Two that look for a value at once would both find it free. In SQLite only one writes.
        """
        if connection.dialect.name == "postgresql":
            turn = func.hashtextextended(self._table.name, _TURN)
            connection.execute(select(func.pg_advisory_xact_lock(turn)))

    def taken(
        self,
        connection: Connection,
        properties: Iterable[str],
        id: str,  # noqa: A002
        before: Document | None,
        after: Document,
    ) -> str | None:
        """Return the property of which another document than `id` has the value, or None."""
        for name in properties:
            value = self._value(name, after)
            if value is None or (before is not None and self._value(name, before) == value):
                continue
            wanted = condition(
                Equal((name,), (value,)), self._table, self._definition, connection.dialect.name
            )
            others = select(self._table.c.id).where(wanted, self._table.c.id != id).limit(1)
            if connection.scalars(others).first() is not None:
                return name
        return None

    def _value(self, name: str, document: Document) -> Scalar:
        """Return what an index would hold: None where there is no value of the declared type."""
        value = document.get(name)
        return _of_type(value, self._definition.properties[name].type)


def _of_type(value: JSON, kind: PropertyType) -> Scalar:
    if isinstance(value, bool):
        return value if kind is PropertyType.BOOLEAN else None
    if isinstance(value, int | float):
        return value if kind is PropertyType.NUMBER else None
    if isinstance(value, str):
        return value if kind in (PropertyType.STRING, PropertyType.DATE) else None
    return None
