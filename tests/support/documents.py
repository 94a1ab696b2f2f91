"""A collection, its documents and stores for them: what the tests of stores begin with."""

# ruff: noqa: A002 - `id` is the word of what is promised

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import orjson
import trio

from deployd.config import Definition, Property, PropertyType, StoreSettings
from deployd.documents.store import Change, DatabaseStore, Document, Page, Store, Write
from deployd.transport.protocols.wire import JSON

__all__ = [
    "NOW",
    "TODOS",
    "change_of",
    "create",
    "document",
    "increment",
    "kinds",
    "opened",
    "put",
    "remove",
    "shown",
]

NOW = 1_800_000_000.0

TODOS = Definition(
    "todos",
    {
        "title": Property(PropertyType.STRING, unique=True),
        "age": Property(PropertyType.NUMBER, index=True),
    },
)


@asynccontextmanager
async def opened(
    url: str,
    *definitions: Definition,
    pod: str = "pod-a",
    settings: StoreSettings | None = None,
    wall: Callable[[], float] = lambda: NOW,
) -> AsyncIterator[DatabaseStore]:
    """Open a store with these collections (`TODOS`), and close it afterwards."""
    store = DatabaseStore(url, pod_id=pod, settings=settings or StoreSettings(), wall=wall)
    try:
        with trio.fail_after(60):
            await store.open()
            for definition in definitions or (TODOS,):
                await store.prepare(definition)
        yield store
    finally:
        await store.close()


def document(id: str, **properties: JSON) -> Document:
    moment = "2026-11-25T08:00:00.000Z"
    return {"id": id, "createdAt": moment, "updatedAt": moment, **properties}


def put(id: str, **properties: JSON) -> Write:
    """Write this, whatever is there."""
    return Write(id, lambda _: document(id, **properties))


def create(id: str, **properties: JSON) -> Write:
    """Write this where nothing is; else refuse with a LookupError."""

    def decide(before: Document | None) -> Document:
        if before is not None:
            raise LookupError(id)
        return document(id, **properties)

    return Write(id, decide)


def increment(id: str) -> Write:
    """Add one to the age, which is nought where nothing is."""

    def decide(before: Document | None) -> Document:
        age = (before or {}).get("age", 0)
        assert isinstance(age, int)
        return document(id, age=age + 1)

    return Write(id, decide)


def remove(id: str) -> Write:
    return Write(id, lambda _: None)


def kinds(outcomes: Sequence[Change | Exception | None]) -> list[str | None]:
    """Return a word for each: a change's type, or the class of an exception."""
    return [_kind(each) for each in outcomes]


def _kind(outcome: Change | Exception | None) -> str | None:
    if isinstance(outcome, Change):
        return outcome.type
    return None if outcome is None else type(outcome).__name__


def shown(page: Page) -> list[Document]:
    return [orjson.loads(each) for each in page.documents]


async def change_of(store: Store, write: Write, definition: Definition = TODOS) -> Change:
    """Carry one write out that has to succeed."""
    (outcome,) = await store.commit(definition, [write])
    assert isinstance(outcome, Change), outcome
    return outcome
