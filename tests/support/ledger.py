"""A store and a hub in memory, for tests of what is told when: their clock may be a fake one."""

# ruff: noqa: A002 - `id` and `filter` are the words of what is promised

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from deployd.actors import Receipt, Scope
from deployd.config import Definition
from deployd.documents.store import Bounds, Change, Document, Filter, Misfit, Page, Query, Write
from deployd.transport import JSON
from deployd.transport.brokers.message_rules import demand_change

__all__ = ["FakeHub", "FakeStore"]


class FakeStore:
    """Documents and outbox of one collection. `before` is awaited with a call's name; it may raise.

    `after_write` is called when a transaction is committed.
    """

    def __init__(self, *left: Change) -> None:
        self.documents: dict[str, Document] = {}
        self.outbox: list[Change] = list(left)
        self.before: Callable[[str], Awaitable[None]] = self._nothing
        self.after_write: Callable[[], None] = lambda: None
        self._sequence = max((change.sequence for change in left), default=0)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def prepare(self, definition: Definition) -> Sequence[Misfit]:
        await self._begin("prepare")
        return ()

    async def find(
        self, definition: Definition, query: Query, bounds: Bounds | None = None
    ) -> Page:
        raise NotImplementedError

    async def count(self, definition: Definition, filter: Filter) -> int:
        raise NotImplementedError

    async def get(self, definition: Definition, id: str) -> Document | None:
        await self._begin("get")
        return self.documents.get(id)

    async def commit(
        self, definition: Definition, writes: Sequence[Write], *, together: bool = False
    ) -> Sequence[Change | Exception | None]:
        await self._begin("commit")
        outcomes = [self._apply(write) for write in writes]
        self.outbox += [outcome for outcome in outcomes if isinstance(outcome, Change)]
        self.after_write()
        return outcomes

    async def claim_outbox(self, definition: Definition, limit: int) -> Sequence[Change]:
        await self._begin("claim_outbox")
        return self.outbox[:limit]

    async def clear_outbox(self, definition: Definition, sequences: Sequence[int]) -> None:
        await self._begin("clear_outbox")
        self.outbox = [each for each in self.outbox if each.sequence not in sequences]

    async def _begin(self, call: str) -> None:
        await trio.lowlevel.checkpoint()
        await self.before(call)

    async def _nothing(self, call: str) -> None: ...

    def _apply(self, write: Write) -> Change | Exception | None:
        before = self.documents.get(write.id)
        was = None if before is None else dict(before)
        try:
            after = write.decide(before)
        except Exception as error:  # noqa: BLE001 - as the real one does
            return error
        self._sequence += 1
        if after is None:
            return Change(self._sequence, "deleted", self.documents.pop(write.id))
        self.documents[write.id] = after
        return Change(self._sequence, "created" if was is None else "updated", after, was)


class FakeHub:
    """Takes down what is told, and when. `before` is awaited first, and may raise."""

    def __init__(self) -> None:
        self.told: list[tuple[float, Any]] = []
        self.events: list[str] = []
        self.before: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.scope = Scope.LOCAL

    @property
    def ids(self) -> list[Any]:
        return [told for _, told in self.told]

    async def send_collection_change(
        self, collection: str, event: str, document: Document, timeout: float, brief: JSON
    ) -> Receipt:
        demand_change(f"collection:{collection}", event, document)  # or no other pod would take it
        demand_change(f"collection:{collection}", "missed", brief)
        await self.before()
        self.told.append((trio.current_time(), document["id"]))
        self.events.append(event)
        return Receipt(f"e{len(self.told)}", self.scope)
