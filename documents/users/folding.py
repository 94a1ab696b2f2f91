"""Users from before their names were folded: which of those whose names are one has the name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import orjson
from attrs import frozen

from ...config import Definition, get_logger
from ..errors import DuplicateValue
from ..store import All, Change, Document, Equal, Query, Store, Write
from .users import said_of, unkeyed, with_keys

__all__ = ["fold_names"]

AT_ONCE: Final = 200
"""Users that are looked at, and written, in one go."""

_TOLD: Final = 20
"""Pairs that are named in the log; of the rest it says how many."""

_log = get_logger("collections")


@frozen
class _Clash:
    """A user whose name or address is one with that of a user who came before."""

    id: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' (user {self.id})"


async def fold_names(store: Store, definition: Definition) -> None:
    """Keep what the names of all users have in common with those that are one with them.

    The older of two has the name, however it is written. The younger signs in with its own exactly
    as it is written, until root gives it another; the log names it at each start. Raises
    `StoreUnavailable`.
    """
    clashes: list[_Clash] = []
    left = 0
    while True:
        page = await store.find(definition, Query(unkeyed(), skip=left, limit=AT_ONCE))
        found: list[Document] = [orjson.loads(user) for user in page.documents]
        if not found:
            break
        clashes += await _fold(store, definition, found)
        left += await _still_unkeyed(store, definition, found)
    if clashes:
        _log.warning(
            "users have names that are one with older users'; give them others, or remove them",
            users=[str(clash) for clash in clashes[:_TOLD]],
            more=max(0, len(clashes) - _TOLD),
        )


async def _fold(store: Store, definition: Definition, found: Sequence[Document]) -> list[_Clash]:
    """Write some users once more, and return those of whom a name is taken."""
    clashes: list[_Clash] = []
    again = [(user, "") for user in found]
    while again:
        writes = [Write(str(u["id"]), partial(_keyed, but=but)) for u, but in again]
        outcomes = await store.commit(definition, writes)
        told = [outcome.sequence for outcome in outcomes if isinstance(outcome, Change)]
        await store.clear_outbox(definition, told)  # nobody who listens sees a difference
        retried = []
        for (user, but), outcome in zip(again, outcomes, strict=True):
            if isinstance(outcome, DuplicateValue):
                kind = said_of(outcome.field)
                clashes.append(_Clash(str(user["id"]), kind, str(user.get(kind))))
                if not but:
                    retried.append((user, kind))
        again = retried
    return clashes


async def _still_unkeyed(store: Store, definition: Definition, found: Sequence[Document]) -> int:
    ids = Equal(("id",), tuple(str(user["id"]) for user in found))
    return await store.count(definition, All((unkeyed(), ids)))


def _keyed(user: Document | None, *, but: str) -> Document | None:
    return None if user is None else with_keys(user, but=but)
