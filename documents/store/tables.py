"""The tables: one for each collection, and the outbox."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB, TEXT

__all__ = ["OUTBOX", "PREFIX", "documents_table"]

PREFIX: Final = "collection_"
"""Put before a collection's name: none can be that of a table of the pod's own."""

_SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")
"""64 bits: a busy pod would use up 32 within weeks. SQLite calls that INTEGER."""

_TEXT: Final = Text().with_variant(TEXT(collation="C"), "postgresql")
"""Ordered by code points, as queries are: an index in another order would be no use to them."""

_DOCUMENT: Final = Text().with_variant(JSONB(), "postgresql")


def documents_table(collection: str) -> Table:
    """Return the table of a collection.

    `document` holds the whole document as JSON; the three columns beside it repeat what every
    document has, for they are asked for most. `sequence` is the order of creation.
    """
    return Table(
        f"{PREFIX}{collection}",
        MetaData(),
        Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
        Column("id", _TEXT, nullable=False),
        Column("created_at", _TEXT, nullable=False, index=True),
        Column("updated_at", _TEXT, nullable=False, index=True),
        Column("document", _DOCUMENT, nullable=False),
        UniqueConstraint("id", name=f"ids_{collection}"),
        sqlite_autoincrement=True,
    )


OUTBOX: Final = Table(
    "changes",
    MetaData(),
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("collection", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("before", Text),
    Column("pod", Text, nullable=False),
    Column("claimed_at", Float, nullable=False),
    sqlite_autoincrement=True,
)
"""The transactional outbox: changes that were committed and are not yet relayed to listeners,
written in the transaction of the document, removed when the rooms have taken them.

`before` is what an update has found: who could see that may not see what it is now.
`pod` is whose it is to relay them since `claimed_at`, in unix seconds: the one that wrote it, or
one that has taken over what another left."""
