"""What a store finds, in which order and how much of it, in each database."""

# ruff: noqa: A001 - `id` is the word of what is promised

from __future__ import annotations

import attrs
import pytest

from deployd.config import Store as StoreSettings
from deployd.documents.store import (
    Compare,
    Equal,
    Order,
    Query,
    SortKey,
    Store,
)
from support.documents import (
    TODOS,
    change_of,
    opened,
    put,
    shown,
)
from support.todos import ids

# -- finding ---------------------------------------------------------------------------------


@pytest.fixture
async def five(store: Store) -> Store:
    """Five documents, written with falling ids."""
    await store.commit(TODOS, [put(id, age=age) for age, id in enumerate("edcba", 1)])
    return store


async def test_documents_come_in_the_order_of_their_creation(five: Store) -> None:
    await change_of(five, put("e", age=0))
    assert ids(await five.find(TODOS, Query())) == "edcba"


async def test_an_order_a_skip_and_a_limit_are_followed(five: Store) -> None:
    query = Query(sort=(SortKey(("age",), descending=True),), skip=1, limit=2)
    page = await five.find(TODOS, query)
    assert (ids(page), page.truncated) == ("bc", False)


async def test_a_filter_chooses_and_counts(five: Store) -> None:
    wanted = Compare(("age",), Order.ABOVE, 2)
    assert ids(await five.find(TODOS, Query(wanted))) == "cba"
    assert await five.count(TODOS, wanted) == 3
    assert await five.count(TODOS, Equal(("id",), ("a", "z"))) == 1
    assert await five.count(TODOS, Query().filter) == 5


async def test_only_the_fields_that_were_asked_for_are_shown(five: Store) -> None:
    only = Query(Equal(("id",), ("a",)), fields=frozenset({"age"}))
    assert shown(await five.find(TODOS, only)) == [{"id": "a", "age": 5}]
    others = attrs.evolve(only, without=True)
    assert shown(await five.find(TODOS, others))[0].keys() == {"id", "createdAt", "updatedAt"}


@pytest.mark.parametrize(
    ("limit", "found", "truncated"),
    [(None, 3, True), (0, 0, False), (2, 2, False), (3, 3, False), (4, 3, True), (5, 3, True)],
)
async def test_no_page_has_more_documents_than_the_pod_allows(
    url: str, limit: int | None, found: int, *, truncated: bool
) -> None:
    async with opened(url, settings=StoreSettings(max_limit=3)) as store:
        await store.commit(TODOS, [put(id) for id in "abcde"])
        page = await store.find(TODOS, Query(limit=limit))
        assert (len(page.documents), page.truncated) == (found, truncated)


@pytest.mark.parametrize("limit", [None, 3, 9])
async def test_a_page_that_holds_all_is_not_truncated(url: str, limit: int | None) -> None:
    async with opened(url, settings=StoreSettings(max_limit=3)) as store:
        await store.commit(TODOS, [put(id) for id in "abc"])
        page = await store.find(TODOS, Query(limit=limit))
        assert (ids(page), page.truncated) == ("abc", False)


async def test_a_page_has_no_more_bytes_than_the_pod_allows(url: str) -> None:
    async with opened(url, settings=StoreSettings(max_answer_bytes=1024)) as store:
        await store.commit(TODOS, [put(id, title=id * 300) for id in "abcde"])
        page = await store.find(TODOS, Query())
        assert (ids(page), page.truncated) == ("ab", True)
        assert sum(map(len, page.documents)) <= 1024
        rest = await store.find(TODOS, Query(skip=3, limit=2))
        assert (ids(rest), rest.truncated) == ("de", False)


async def test_bytes_count_after_fields_were_chosen(url: str) -> None:
    async with opened(url, settings=StoreSettings(max_answer_bytes=1024)) as store:
        await store.commit(TODOS, [put(id, title=id * 300) for id in "abcde"])
        page = await store.find(TODOS, Query(fields=frozenset({"id"})))
        assert (ids(page), page.truncated) == ("abcde", False)


async def test_a_document_that_is_larger_than_a_page_comes_alone(url: str) -> None:
    async with opened(url, settings=StoreSettings(max_answer_bytes=1024)) as store:
        await store.commit(TODOS, [put("a", title="x" * 2000), put("b")])
        page = await store.find(TODOS, Query())
        assert (ids(page), page.truncated) == ("a", True)


async def test_many_documents_come_in_order_whatever_chunks_they_are_read_in(url: str) -> None:
    async with opened(url, settings=StoreSettings(max_limit=500, pool_size=1)) as store:
        await store.commit(TODOS, [put(f"{number:03}", age=number) for number in range(600)])
        page = await store.find(TODOS, Query())
        assert [each["age"] for each in shown(page)] == list(range(500))
        assert page.truncated
        cut = await store.find(TODOS, Query(limit=77))
        assert len(cut.documents) == 77
        assert await store.count(TODOS, Query().filter) == 600
