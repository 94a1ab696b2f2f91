"""Unique values and the other indexes of a collection, in each database."""

from __future__ import annotations

import pytest
import trio

from deployd.config import Definition, Property, PropertyType
from deployd.documents.errors import DuplicateValue
from deployd.documents.store import (
    Query,
    Store,
)
from support.documents import (
    TODOS,
    change_of,
    document,
    kinds,
    opened,
    put,
    remove,
    shown,
)
from support.todos import STRING, UNIQUE, todos

# -- unique values ---------------------------------------------------------------------------


async def test_a_value_that_must_be_unique_refuses_that_write_alone(store: Store) -> None:
    outcomes = await store.commit(
        TODOS, [put("a", title="tea"), put("b", title="tea"), put("c", title="Tea")]
    )
    assert kinds(outcomes) == ["created", "DuplicateValue", "created"]
    assert isinstance(outcomes[1], DuplicateValue)
    assert outcomes[1].field == "title"
    assert [change.document["id"] for change in await store.claim_outbox(TODOS, 9)] == ["a", "c"]


async def test_an_update_can_clash_too_and_leaves_what_was_there(store: Store) -> None:
    await store.commit(TODOS, [put("a", title="tea"), put("b", title="milk")])
    (outcome,) = await store.commit(TODOS, [put("b", title="tea")])
    assert kinds([outcome]) == ["DuplicateValue"]
    assert await store.get(TODOS, "b") == document("b", title="milk")


async def test_nothing_and_null_do_not_clash(store: Store) -> None:
    writes = [put("a"), put("b"), put("c", title=None), put("d", title=None)]
    assert kinds(await store.commit(TODOS, writes)) == ["created"] * 4


async def test_a_document_does_not_clash_with_itself(store: Store) -> None:
    await change_of(store, put("a", title="tea", age=1))
    assert (await change_of(store, put("a", title="tea", age=2))).type == "updated"


async def test_a_value_that_was_given_up_is_free(store: Store) -> None:
    await change_of(store, put("a", title="tea"))
    writes = [remove("a"), put("b", title="tea")]
    assert kinds(await store.commit(TODOS, writes)) == ["deleted", "created"]


async def test_the_clashing_property_is_named_however_long_its_name(url: str) -> None:
    names = ["x" * 64, "x" * 63 + "y", "X" * 64, "a-b", "a_b", "_"]
    long = Definition("c" * 48, dict.fromkeys(names, UNIQUE))
    async with opened(url, long) as store:
        for name in names:
            writes = [put(f"{name}1", **{name: "same"}), put(f"{name}2", **{name: "same"})]
            first, second = await store.commit(long, writes)
            assert kinds([first]) == ["created"]
            assert isinstance(second, DuplicateValue)
            assert second.field == name


async def test_a_message_about_a_clash_holds_no_value(store: Store) -> None:
    await change_of(store, put("a", title="secret-value"))
    (outcome,) = await store.commit(TODOS, [put("b", title="secret-value")])
    assert isinstance(outcome, DuplicateValue)
    assert "secret-value" not in f"{outcome!r} {outcome.__cause__!r}"


# -- a collection's indexes ------------------------------------------------------------------


async def test_opening_and_preparing_again_is_harmless(store: Store) -> None:
    await change_of(store, put("a", title="tea"))
    await store.open()
    await store.prepare(TODOS)
    assert await store.get(TODOS, "a") == document("a", title="tea")
    assert kinds(await store.commit(TODOS, [put("b", title="tea")])) == ["DuplicateValue"]


async def test_a_property_becomes_unique_and_stops_to_be(store: Store) -> None:
    plain, unique = todos(title=STRING), todos(title=UNIQUE)
    await store.prepare(plain)
    await change_of(store, put("a", title="tea"), plain)
    await change_of(store, put("b", title="tea"), plain)
    await change_of(store, remove("b"), plain)
    await store.prepare(unique)
    (outcome,) = await store.commit(unique, [put("b", title="tea")])
    assert isinstance(outcome, DuplicateValue)
    assert outcome.field == "title"
    await store.prepare(plain)
    assert kinds(await store.commit(plain, [put("b", title="tea")])) == ["created"]


async def test_a_property_of_another_type_is_unique_by_that_type(store: Store) -> None:
    await store.prepare(todos(code=UNIQUE))
    numbers = todos(code=Property(PropertyType.NUMBER, unique=True))
    await store.prepare(numbers)
    writes = [put("a", code=1), put("b", code=1.0), put("c", code=1.5)]
    assert kinds(await store.commit(numbers, writes)) == ["created", "DuplicateValue", "created"]


async def test_collections_know_nothing_of_each_other(url: str) -> None:
    other = Definition("others", TODOS.properties)
    async with opened(url, TODOS, other) as store:
        await change_of(store, put("a", title="tea"))
        assert (await change_of(store, put("a", title="tea"), other)).type == "created"
        await change_of(store, remove("a"))
        assert [each["id"] for each in shown(await store.find(other, Query()))] == ["a"]
        assert [change.type for change in await store.claim_outbox(other, 9)] == ["created"]


@pytest.mark.parametrize("name", ["order", "Select", "a-b", "changes", "c" * 48])
async def test_a_collection_may_have_any_name(url: str, name: str) -> None:
    definition = Definition(name, {"group": UNIQUE, "index": STRING})
    async with opened(url, definition) as store:
        await change_of(store, put("a", group="x"), definition)
        assert kinds(await store.commit(definition, [put("b", group="x")])) == ["DuplicateValue"]


async def test_stores_that_start_at_once_do_not_disturb_each_other(url: str) -> None:
    pods = trio.CapacityLimiter(1 if url.startswith("sqlite") else 4)  # a file is one pod's

    async def start(pod: str) -> None:
        async with pods, opened(url, pod=pod) as store:
            await change_of(store, put(pod))

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(start, f"pod-{number}")
    async with opened(url) as store:
        assert await store.count(TODOS, Query().filter) == 4
