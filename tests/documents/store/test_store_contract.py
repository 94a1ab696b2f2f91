"""What every store promises, in each database. The promise itself: documents/store/store.py."""

# ruff: noqa: A001 - `id` is the word of what is promised

from __future__ import annotations

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployd.config import Definition
from deployd.documents.errors import StoreUnavailable, Unstorable
from deployd.documents.store import (
    Change,
    DatabaseStore,
    Document,
    Query,
    Store,
    Write,
    normalise_number,
)
from deployd.transport import JSON
from support.documents import (
    TODOS,
    change_of,
    create,
    document,
    increment,
    kinds,
    opened,
    put,
    remove,
    shown,
)

# -- one document ----------------------------------------------------------------------------


async def test_a_database_store_is_a_store(store: DatabaseStore) -> None:
    promised: Store = store
    assert await promised.count(TODOS, Query().filter) == 0


async def test_a_store_does_nothing_before_it_is_open_and_after_it_is_closed(url: str) -> None:
    async with opened(url) as store:
        await store.close()
        for call in (
            lambda: store.prepare(TODOS),
            lambda: store.get(TODOS, "a"),
            lambda: store.commit(TODOS, [put("a")]),
        ):
            with pytest.raises(StoreUnavailable, match="not open"):
                await call()
        await store.open()
        assert await store.get(TODOS, "a") is None


async def test_what_was_written_is_there(store: Store) -> None:
    change = await change_of(store, put("a", title="tea"))
    assert (change.type, change.document) == ("created", document("a", title="tea"))
    assert await store.get(TODOS, "a") == document("a", title="tea")


async def test_what_was_never_written_is_not_there(store: Store) -> None:
    assert await store.get(TODOS, "a") is None


async def test_a_document_is_replaced_as_a_whole(store: Store) -> None:
    await change_of(store, put("a", title="tea", age=3))
    change = await change_of(store, put("a", title="milk"))
    assert (change.type, change.document) == ("updated", document("a", title="milk"))
    assert await store.get(TODOS, "a") == document("a", title="milk")


async def test_a_removal_tells_what_was_there(store: Store) -> None:
    await change_of(store, put("a", title="tea"))
    change = await change_of(store, remove("a"))
    assert (change.type, change.document) == ("deleted", document("a", title="tea"))
    assert await store.get(TODOS, "a") is None


async def test_a_removal_tells_what_was_there_whatever_decide_does_to_it(store: Store) -> None:
    def decide(before: Document | None) -> None:
        assert before is not None
        before.clear()

    await change_of(store, put("a", title="tea"))
    change = await change_of(store, Write("a", decide))
    assert change.document == document("a", title="tea")
    assert (await store.claim_outbox(TODOS, 10))[-1] == change


async def test_an_update_tells_what_was_there_before_it(store: Store) -> None:
    def decide(before: Document | None) -> Document:
        assert before is not None
        before["n"] = 2.5
        return before

    assert (await change_of(store, put("a", n=1.5))).before is None
    change = await change_of(store, Write("a", decide))
    assert (change.document["n"], change.before) == (2.5, document("a", n=1.5))
    assert (await change_of(store, remove("a"))).before is None
    assert (await store.claim_outbox(TODOS, 10))[1] == change


async def test_writes_that_belong_together_are_all_done_or_none(store: Store) -> None:
    await change_of(store, put("there"))
    writes = [put("a"), create("there"), increment("nowhere"), remove("there"), put("b")]
    outcomes = await store.commit(TODOS, writes, together=True)
    assert [type(each).__name__ for each in outcomes][1] == "LookupError"
    assert not any(isinstance(each, Change) for each in outcomes)
    assert [each["id"] for each in shown(await store.find(TODOS, Query()))] == ["there"]
    assert len(await store.claim_outbox(TODOS, 10)) == 1
    done = await store.commit(TODOS, [put("a"), remove("there"), remove("gone")], together=True)
    assert kinds(done) == ["created", "deleted", None]
    assert [each["id"] for each in shown(await store.find(TODOS, Query()))] == ["a"]


async def test_removing_what_is_not_there_changes_nothing(store: Store) -> None:
    assert await store.commit(TODOS, [remove("a")]) == [None]
    assert await store.claim_outbox(TODOS, 10) == []


async def test_decide_gets_the_document_that_is_there(store: Store) -> None:
    seen: list[Document | None] = []

    def decide(before: Document | None) -> Document:
        seen.append(before)
        return document("a", title="tea")

    for _ in range(2):
        await change_of(store, Write("a", decide))
    assert seen == [None, document("a", title="tea")]


async def test_ids_are_texts_whatever_they_look_like(store: Store) -> None:
    ids = ["1", "01", "1.0", "", "A", "a", "'; --", "%s :x", "é", "🦊", "a\nb"]
    await store.commit(TODOS, [put(id, age=number) for number, id in enumerate(ids)])
    for number, id in enumerate(ids):
        assert await store.get(TODOS, id) == document(id, age=number)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values: st.SearchStrategy[JSON] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).map(normalise_number)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def normalised(value: JSON) -> JSON:
    """Return JSON in which numbers are the same when a reader of JSON finds them to be."""
    if isinstance(value, dict):
        return {name: normalised(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [normalised(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return normalise_number(value)
    return value


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(values, min_size=1, max_size=8))
def test_whatever_is_json_comes_back_as_it_was(url: str, given: list[JSON]) -> None:
    async def there_and_back() -> None:
        async with opened(url) as store:
            documents = [document(str(place), what=value) for place, value in enumerate(given)]
            await store.commit(
                TODOS, [put(str(place), what=value) for place, value in enumerate(given)]
            )
            for each in documents:
                assert normalised(await store.get(TODOS, str(each["id"]))) == each
            page = await store.find(TODOS, Query(limit=len(given)))
            assert [normalised(each) for each in shown(page)] == documents

    trio.run(there_and_back)


# -- many writes in one call -----------------------------------------------------------------


async def test_writes_of_one_call_see_those_before_them(store: Store) -> None:
    outcomes = await store.commit(TODOS, [increment("a"), increment("a"), remove("a"), remove("a")])
    assert kinds(outcomes) == ["created", "updated", "deleted", None]
    outcomes = await store.commit(TODOS, [increment("a"), increment("a"), increment("b")])
    assert await store.get(TODOS, "a") == document("a", age=2)


async def test_no_writes_are_no_outcomes(store: Store) -> None:
    assert await store.commit(TODOS, []) == []


async def test_whatever_decide_raises_refuses_that_write_alone(store: Store) -> None:
    refusal = LookupError("no")

    def decide(_: Document | None) -> Document:
        raise refusal

    outcomes = await store.commit(TODOS, [put("a"), Write("b", decide), put("c")])
    assert kinds(outcomes) == ["created", "LookupError", "created"]
    assert outcomes[1] is refusal
    assert [each["id"] for each in shown(await store.find(TODOS, Query()))] == ["a", "c"]
    assert [change.document["id"] for change in await store.claim_outbox(TODOS, 9)] == ["a", "c"]


@pytest.mark.parametrize(
    ("returned", "error", "says"),
    [
        (document("b"), ValueError, "'b'"),
        ({}, ValueError, "id"),
        ({"id": "a", "createdAt": 1, "updatedAt": "x"}, TypeError, "createdAt"),
        ({"id": "a", "createdAt": "x"}, TypeError, "updatedAt"),
        (document("a", what={1, 2}), TypeError, "JSON"),  # type: ignore[arg-type]
        (document("a", what=2**64), TypeError, "64"),
        (document("a", what="\ud800"), TypeError, "UTF-8"),
    ],
    ids=["other id", "no id", "a number as date", "no date", "a set", "huge", "surrogate"],
)
async def test_a_decide_that_returns_no_document_is_told_so(
    store: Store, returned: Document, error: type[Exception], says: str
) -> None:
    outcomes = await store.commit(TODOS, [put("c"), Write("a", lambda _: returned), put("d")])
    assert kinds(outcomes) == ["created", error.__name__, "created"]
    assert says in str(outcomes[1])
    assert await store.count(TODOS, Query().filter) == 2


async def test_sequences_grow_and_no_number_comes_twice(store: Store) -> None:
    first = await store.commit(TODOS, [increment("a") for _ in range(120)])
    numbers = [change.sequence for change in await store.claim_outbox(TODOS, 1000)]
    assert numbers == sorted(set(numbers)) == [getattr(each, "sequence", None) for each in first]
    await store.clear_outbox(TODOS, numbers)
    assert (await change_of(store, remove("a"))).sequence > numbers[-1]


async def test_a_text_that_the_database_cannot_hold_refuses_that_write_alone(
    store: Store, url: str
) -> None:
    outcomes = await store.commit(TODOS, [put("a"), put("b", title="\0"), put("\0"), put("c")])
    if url.startswith("sqlite"):
        assert kinds(outcomes) == ["created"] * 4
        assert await store.get(TODOS, "b") == document("b", title="\0")
    else:
        assert kinds(outcomes) == ["created", "Unstorable", "Unstorable", "created"]
        assert isinstance(outcomes[1], Unstorable)


# -- what has to be told ---------------------------------------------------------------------


async def test_every_change_has_to_be_told_until_it_was(store: Store) -> None:
    outcomes = await store.commit(TODOS, [put("a", title="tea"), put("a"), remove("a")])
    assert await store.claim_outbox(TODOS, 10) == outcomes
    assert await store.claim_outbox(TODOS, 10) == outcomes
    await store.clear_outbox(TODOS, [getattr(each, "sequence", 0) for each in outcomes[:2]])
    assert await store.claim_outbox(TODOS, 10) == outcomes[2:]


async def test_the_oldest_changes_come_first_and_no_more_than_were_asked_for(store: Store) -> None:
    outcomes = await store.commit(TODOS, [put(id) for id in "edcba"])
    for _ in range(2):
        assert await store.claim_outbox(TODOS, 2) == outcomes[:2]
    assert await store.claim_outbox(TODOS, 10) == outcomes


async def test_telling_nothing_or_what_was_told_already_is_harmless(store: Store) -> None:
    change = await change_of(store, put("a"))
    for sequences in ([], [change.sequence], [change.sequence]):
        await store.clear_outbox(TODOS, sequences)
    assert await store.claim_outbox(TODOS, 10) == []


async def test_telling_in_one_collection_forgets_nothing_in_another(url: str) -> None:
    other = Definition("others")
    async with opened(url, TODOS, other) as store:
        change = await change_of(store, put("a"))
        await store.clear_outbox(other, [change.sequence])
        assert await store.claim_outbox(TODOS, 10) == [change]


async def test_a_pod_that_comes_back_tells_what_it_left(url: str) -> None:
    async with opened(url) as store:
        change = await change_of(store, put("a"))
    async with opened(url) as store:
        assert await store.claim_outbox(TODOS, 10) == [change]
