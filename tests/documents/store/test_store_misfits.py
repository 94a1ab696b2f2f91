"""Definitions that ask for what the documents there do not allow, in each database."""

from __future__ import annotations

import random
import string

import pytest
import trio

from deployd.config import Property, PropertyType
from deployd.documents.errors import DuplicateValue
from deployd.documents.store import Equal, Query, Store
from deployd.transport import JSON
from support.documents import change_of, kinds, opened, put, remove, shown
from support.todos import STRING, UNIQUE, todos

PLAIN = todos(title=UNIQUE, slug=STRING)
SLUGS = todos(title=STRING, slug=UNIQUE)
INDEXED = Property(PropertyType.STRING, index=True)


def long_text(seed: int) -> str:
    """9,000 characters that no database can make shorter."""
    letters = random.Random(seed)
    return "".join(letters.choices(string.ascii_letters + string.digits, k=9000))


async def test_values_that_clash_are_named_and_all_else_is_done(store: Store) -> None:
    await store.prepare(PLAIN)
    await store.commit(PLAIN, [put("a", title="tea", slug="x"), put("b", slug="x"), put("c")])
    (misfit,) = await store.prepare(todos(title=STRING, slug=UNIQUE, age=INDEXED))
    assert (misfit.property, misfit.unique) == ("slug", True)
    assert "a and b" in misfit.sentence
    assert kinds(await store.commit(SLUGS, [put("d", title="milk")])) == ["created"]
    assert await store.prepare(PLAIN) == []


async def test_while_values_clash_they_can_be_mended_and_none_is_added(store: Store) -> None:
    await store.prepare(PLAIN)
    await store.commit(PLAIN, [put("a", slug="x"), put("b", slug="x"), put("c", slug="x")])
    await store.prepare(SLUGS)
    outcomes = await store.commit(
        SLUGS, [put("a", slug="x", age=1), put("d", slug="x"), put("b", slug="y"), put("e")]
    )
    assert kinds(outcomes) == ["updated", "DuplicateValue", "updated", "created"]
    assert isinstance(outcomes[1], DuplicateValue)
    assert outcomes[1].field == "slug"
    assert kinds(await store.commit(SLUGS, [put("b", slug="x")])) == ["DuplicateValue"]
    assert len(await store.prepare(SLUGS)) == 1
    await store.commit(SLUGS, [remove("c")])
    assert await store.prepare(SLUGS) == []
    assert kinds(await store.commit(SLUGS, [put("f", slug="y")])) == ["DuplicateValue"]


async def test_before_a_definition_is_prepared_its_unique_values_are_already(store: Store) -> None:
    await store.prepare(PLAIN)
    await change_of(store, put("a", slug="x"), PLAIN)
    assert kinds(await store.commit(SLUGS, [put("b", slug="x")])) == ["DuplicateValue"]


async def test_two_pods_that_write_one_value_at_once_make_no_duplicate(
    postgres_url: str,
) -> None:
    async with opened(postgres_url, PLAIN) as one, opened(postgres_url, PLAIN, pod="pod-b") as two:
        await one.commit(PLAIN, [put("a", slug="x"), put("b", slug="x")])
        for store in (one, two):
            await store.prepare(SLUGS)
        done: list[str | None] = []

        async def write(store: Store, number: int) -> None:
            for value in range(20):
                write = put(f"{number}-{value}", slug=f"new-{value}")
                done.extend(kinds(await store.commit(SLUGS, [write])))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, one, 1)
            nursery.start_soon(write, two, 2)
        assert sorted(map(str, done)) == ["DuplicateValue"] * 20 + ["created"] * 20


@pytest.mark.parametrize("kind", list(PropertyType)[:4])
async def test_values_of_the_type_before_are_no_duplicates(
    store: Store, kind: PropertyType
) -> None:
    values: dict[str, JSON] = {
        "flag": True,
        "whole": 1,
        "text": "1",
        "list": [1],
        "object": {"a": 1},
    }
    await store.prepare(todos())
    for name, value in values.items():
        await store.commit(todos(), [put(f"{name}{n}", it=value) for n in range(2)])
    of_type = {"string": "text", "date": "text", "number": "whole", "boolean": "flag"}[kind]
    unique = todos(it=Property(kind, unique=True))
    (misfit,) = await store.prepare(unique)
    assert f"{of_type}0 and {of_type}1." in misfit.sentence
    await store.commit(unique, [remove(f"{of_type}1")])
    assert await store.prepare(unique) == []
    assert kinds(await store.commit(unique, [put("new", it=values[of_type])])) == ["DuplicateValue"]


async def test_unique_and_indexed_texts_may_be_of_any_length(store: Store) -> None:
    definition = todos(url=UNIQUE, text=INDEXED, day=Property(PropertyType.DATE, index=True))
    await store.prepare(todos())
    await store.commit(todos(), [put("there", url=long_text(1), text=long_text(2), day="x" * 9000)])
    assert await store.prepare(definition) == []
    outcomes = await store.commit(
        definition,
        [
            put("new", url=long_text(3), text=long_text(4)),
            put("same", url=long_text(1)),
            put("nearly", url=long_text(1)[:-1] + "\\"),
            put("long", url="ü\\x41" * 3000),
        ],
    )
    assert kinds(outcomes) == ["created", "DuplicateValue", "created", "created"]
    for name, seed, id_ in (("url", 1, "there"), ("text", 4, "new")):
        page = await store.find(definition, Query(Equal((name,), (long_text(seed),))))
        assert [each["id"] for each in shown(page)] == [id_]
