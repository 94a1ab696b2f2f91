"""What every store promises, in each database. The promise itself: documents/store/store.py."""

# ruff: noqa: A001, A002 - `id` is the word of what is promised

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployd.config import Definition, Property, PropertyType, StoreSettings
from deployd.documents.errors import DuplicateValue, StoreMisfit, StoreUnavailable, Unstorable
from deployd.documents.store import (
    Compare,
    DatabaseStore,
    Document,
    Equal,
    Order,
    Query,
    SortKey,
    Store,
    Write,
    normalise_number,
)
from deployd.transport.protocols.wire import JSON
from support.documents import (
    TODOS,
    change_of,
    document,
    increment,
    kinds,
    opened,
    put,
    remove,
    shown,
)

STRING = Property(PropertyType.STRING)
UNIQUE = attrs.evolve(STRING, unique=True)


def todos(**properties: Property) -> Definition:
    return Definition("todos", properties)


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
            lambda: store.write(TODOS, [put("a")]),
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
    assert (await store.untold(TODOS, 10))[-1] == change


async def test_removing_what_is_not_there_changes_nothing(store: Store) -> None:
    assert await store.write(TODOS, [remove("a")]) == [None]
    assert await store.untold(TODOS, 10) == []


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
    await store.write(TODOS, [put(id, age=number) for number, id in enumerate(ids)])
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
            await store.write(
                TODOS, [put(str(place), what=value) for place, value in enumerate(given)]
            )
            for each in documents:
                assert normalised(await store.get(TODOS, str(each["id"]))) == each
            page = await store.find(TODOS, Query(limit=len(given)))
            assert [normalised(each) for each in shown(page)] == documents

    trio.run(there_and_back)


# -- many writes in one call -----------------------------------------------------------------


async def test_writes_of_one_call_see_those_before_them(store: Store) -> None:
    outcomes = await store.write(TODOS, [increment("a"), increment("a"), remove("a"), remove("a")])
    assert kinds(outcomes) == ["created", "updated", "deleted", None]
    outcomes = await store.write(TODOS, [increment("a"), increment("a"), increment("b")])
    assert await store.get(TODOS, "a") == document("a", age=2)


async def test_no_writes_are_no_outcomes(store: Store) -> None:
    assert await store.write(TODOS, []) == []


async def test_whatever_decide_raises_refuses_that_write_alone(store: Store) -> None:
    refusal = LookupError("no")

    def decide(_: Document | None) -> Document:
        raise refusal

    outcomes = await store.write(TODOS, [put("a"), Write("b", decide), put("c")])
    assert kinds(outcomes) == ["created", "LookupError", "created"]
    assert outcomes[1] is refusal
    assert [each["id"] for each in shown(await store.find(TODOS, Query()))] == ["a", "c"]
    assert [change.document["id"] for change in await store.untold(TODOS, 9)] == ["a", "c"]


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
    outcomes = await store.write(TODOS, [put("c"), Write("a", lambda _: returned), put("d")])
    assert kinds(outcomes) == ["created", error.__name__, "created"]
    assert says in str(outcomes[1])
    assert await store.count(TODOS, Query().filter) == 2


async def test_sequences_grow_and_no_number_comes_twice(store: Store) -> None:
    first = await store.write(TODOS, [increment("a") for _ in range(120)])
    numbers = [change.sequence for change in await store.untold(TODOS, 1000)]
    assert numbers == sorted(set(numbers)) == [getattr(each, "sequence", None) for each in first]
    await store.told(TODOS, numbers)
    assert (await change_of(store, remove("a"))).sequence > numbers[-1]


async def test_a_text_that_the_database_cannot_hold_refuses_that_write_alone(
    store: Store, url: str
) -> None:
    outcomes = await store.write(TODOS, [put("a"), put("b", title="\0"), put("\0"), put("c")])
    if url.startswith("sqlite"):
        assert kinds(outcomes) == ["created"] * 4
        assert await store.get(TODOS, "b") == document("b", title="\0")
    else:
        assert kinds(outcomes) == ["created", "Unstorable", "Unstorable", "created"]
        assert isinstance(outcomes[1], Unstorable)


# -- unique values ---------------------------------------------------------------------------


async def test_a_value_that_must_be_unique_refuses_that_write_alone(store: Store) -> None:
    outcomes = await store.write(
        TODOS, [put("a", title="tea"), put("b", title="tea"), put("c", title="Tea")]
    )
    assert kinds(outcomes) == ["created", "DuplicateValue", "created"]
    assert isinstance(outcomes[1], DuplicateValue)
    assert outcomes[1].field == "title"
    assert [change.document["id"] for change in await store.untold(TODOS, 9)] == ["a", "c"]


async def test_an_update_can_clash_too_and_leaves_what_was_there(store: Store) -> None:
    await store.write(TODOS, [put("a", title="tea"), put("b", title="milk")])
    (outcome,) = await store.write(TODOS, [put("b", title="tea")])
    assert kinds([outcome]) == ["DuplicateValue"]
    assert await store.get(TODOS, "b") == document("b", title="milk")


async def test_nothing_and_null_do_not_clash(store: Store) -> None:
    writes = [put("a"), put("b"), put("c", title=None), put("d", title=None)]
    assert kinds(await store.write(TODOS, writes)) == ["created"] * 4


async def test_a_document_does_not_clash_with_itself(store: Store) -> None:
    await change_of(store, put("a", title="tea", age=1))
    assert (await change_of(store, put("a", title="tea", age=2))).type == "updated"


async def test_a_value_that_was_given_up_is_free(store: Store) -> None:
    await change_of(store, put("a", title="tea"))
    writes = [remove("a"), put("b", title="tea")]
    assert kinds(await store.write(TODOS, writes)) == ["deleted", "created"]


async def test_the_clashing_property_is_named_however_long_its_name(url: str) -> None:
    names = ["x" * 64, "x" * 63 + "y", "X" * 64, "a-b", "a_b", "_"]
    long = Definition("c" * 48, dict.fromkeys(names, UNIQUE))
    async with opened(url, long) as store:
        for name in names:
            writes = [put(f"{name}1", **{name: "same"}), put(f"{name}2", **{name: "same"})]
            first, second = await store.write(long, writes)
            assert kinds([first]) == ["created"]
            assert isinstance(second, DuplicateValue)
            assert second.field == name


async def test_a_message_about_a_clash_holds_no_value(store: Store) -> None:
    await change_of(store, put("a", title="secret-value"))
    (outcome,) = await store.write(TODOS, [put("b", title="secret-value")])
    assert isinstance(outcome, DuplicateValue)
    assert "secret-value" not in f"{outcome!r} {outcome.__cause__!r}"


# -- a collection's indexes ------------------------------------------------------------------


async def test_opening_and_preparing_again_is_harmless(store: Store) -> None:
    await change_of(store, put("a", title="tea"))
    await store.open()
    await store.prepare(TODOS)
    assert await store.get(TODOS, "a") == document("a", title="tea")
    assert kinds(await store.write(TODOS, [put("b", title="tea")])) == ["DuplicateValue"]


async def test_a_property_becomes_unique_and_stops_to_be(store: Store) -> None:
    plain, unique = todos(title=STRING), todos(title=UNIQUE)
    await store.prepare(plain)
    await change_of(store, put("a", title="tea"), plain)
    await change_of(store, put("b", title="tea"), plain)
    await change_of(store, remove("b"), plain)
    await store.prepare(unique)
    (outcome,) = await store.write(unique, [put("b", title="tea")])
    assert isinstance(outcome, DuplicateValue)
    assert outcome.field == "title"
    await store.prepare(plain)
    assert kinds(await store.write(plain, [put("b", title="tea")])) == ["created"]


async def test_values_that_clash_are_a_misfit_that_changes_nothing(store: Store) -> None:
    plain = todos(title=UNIQUE, slug=STRING)
    await store.prepare(plain)
    await store.write(plain, [put("a", title="tea", slug="x"), put("b", slug="x")])
    with pytest.raises(StoreMisfit, match=r"'slug'.*'todos'"):
        await store.prepare(todos(title=STRING, slug=UNIQUE))
    await store.prepare(plain)
    assert kinds(await store.write(plain, [put("c", title="tea")])) == ["DuplicateValue"]
    assert kinds(await store.write(plain, [put("c", slug="x")])) == ["created"]


async def test_a_property_of_another_type_is_unique_by_that_type(store: Store) -> None:
    await store.prepare(todos(code=UNIQUE))
    numbers = todos(code=Property(PropertyType.NUMBER, unique=True))
    await store.prepare(numbers)
    writes = [put("a", code=1), put("b", code=1.0), put("c", code=1.5)]
    assert kinds(await store.write(numbers, writes)) == ["created", "DuplicateValue", "created"]


async def test_collections_know_nothing_of_each_other(url: str) -> None:
    other = Definition("others", TODOS.properties)
    async with opened(url, TODOS, other) as store:
        await change_of(store, put("a", title="tea"))
        assert (await change_of(store, put("a", title="tea"), other)).type == "created"
        await change_of(store, remove("a"))
        assert [each["id"] for each in shown(await store.find(other, Query()))] == ["a"]
        assert [change.type for change in await store.untold(other, 9)] == ["created"]


@pytest.mark.parametrize("name", ["order", "Select", "a-b", "changes", "c" * 48])
async def test_a_collection_may_have_any_name(url: str, name: str) -> None:
    definition = Definition(name, {"group": UNIQUE, "index": STRING})
    async with opened(url, definition) as store:
        await change_of(store, put("a", group="x"), definition)
        assert kinds(await store.write(definition, [put("b", group="x")])) == ["DuplicateValue"]


async def test_stores_that_start_at_once_do_not_disturb_each_other(url: str) -> None:
    async def start(pod: str) -> None:
        async with opened(url, pod=pod) as store:
            await change_of(store, put(pod))

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(start, f"pod-{number}")
    async with opened(url) as store:
        assert await store.count(TODOS, Query().filter) == 4


# -- finding ---------------------------------------------------------------------------------


@pytest.fixture
async def five(store: Store) -> Store:
    """Five documents, written with falling ids."""
    await store.write(TODOS, [put(id, age=age) for age, id in enumerate("edcba", 1)])
    return store


def ids(page: object) -> str:
    return "".join(str(each["id"]) for each in shown(page))  # type: ignore[arg-type]


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
        await store.write(TODOS, [put(id) for id in "abcde"])
        page = await store.find(TODOS, Query(limit=limit))
        assert (len(page.documents), page.truncated) == (found, truncated)


@pytest.mark.parametrize("limit", [None, 3, 9])
async def test_a_page_that_holds_all_is_not_truncated(url: str, limit: int | None) -> None:
    async with opened(url, settings=StoreSettings(max_limit=3)) as store:
        await store.write(TODOS, [put(id) for id in "abc"])
        page = await store.find(TODOS, Query(limit=limit))
        assert (ids(page), page.truncated) == ("abc", False)


async def test_a_page_has_no_more_bytes_than_the_pod_allows(url: str) -> None:
    async with opened(url, settings=StoreSettings(max_answer_bytes=1024)) as store:
        await store.write(TODOS, [put(id, title=id * 300) for id in "abcde"])
        page = await store.find(TODOS, Query())
        assert (ids(page), page.truncated) == ("ab", True)
        assert sum(map(len, page.documents)) <= 1024
        rest = await store.find(TODOS, Query(skip=3, limit=2))
        assert (ids(rest), rest.truncated) == ("de", False)


async def test_bytes_count_after_fields_were_chosen(url: str) -> None:
    async with opened(url, settings=StoreSettings(max_answer_bytes=1024)) as store:
        await store.write(TODOS, [put(id, title=id * 300) for id in "abcde"])
        page = await store.find(TODOS, Query(fields=frozenset({"id"})))
        assert (ids(page), page.truncated) == ("abcde", False)


async def test_a_document_that_is_larger_than_a_page_comes_alone(url: str) -> None:
    async with opened(url, settings=StoreSettings(max_answer_bytes=1024)) as store:
        await store.write(TODOS, [put("a", title="x" * 2000), put("b")])
        page = await store.find(TODOS, Query())
        assert (ids(page), page.truncated) == ("a", True)


async def test_many_documents_come_in_order_whatever_chunks_they_are_read_in(url: str) -> None:
    async with opened(url, settings=StoreSettings(max_limit=500, pool_size=1)) as store:
        await store.write(TODOS, [put(f"{number:03}", age=number) for number in range(600)])
        page = await store.find(TODOS, Query())
        assert [each["age"] for each in shown(page)] == list(range(500))
        assert page.truncated
        cut = await store.find(TODOS, Query(limit=77))
        assert len(cut.documents) == 77
        assert await store.count(TODOS, Query().filter) == 600


# -- what has to be told ---------------------------------------------------------------------


async def test_every_change_has_to_be_told_until_it_was(store: Store) -> None:
    outcomes = await store.write(TODOS, [put("a", title="tea"), put("a"), remove("a")])
    assert await store.untold(TODOS, 10) == outcomes
    assert await store.untold(TODOS, 10) == outcomes
    await store.told(TODOS, [getattr(each, "sequence", 0) for each in outcomes[:2]])
    assert await store.untold(TODOS, 10) == outcomes[2:]


async def test_the_oldest_changes_come_first_and_no_more_than_were_asked_for(store: Store) -> None:
    outcomes = await store.write(TODOS, [put(id) for id in "edcba"])
    for _ in range(2):
        assert await store.untold(TODOS, 2) == outcomes[:2]
    assert await store.untold(TODOS, 10) == outcomes


async def test_telling_nothing_or_what_was_told_already_is_harmless(store: Store) -> None:
    change = await change_of(store, put("a"))
    for sequences in ([], [change.sequence], [change.sequence]):
        await store.told(TODOS, sequences)
    assert await store.untold(TODOS, 10) == []


async def test_telling_in_one_collection_forgets_nothing_in_another(url: str) -> None:
    other = Definition("others")
    async with opened(url, TODOS, other) as store:
        change = await change_of(store, put("a"))
        await store.told(other, [change.sequence])
        assert await store.untold(TODOS, 10) == [change]


async def test_a_pod_that_comes_back_tells_what_it_left(url: str) -> None:
    async with opened(url) as store:
        change = await change_of(store, put("a"))
    async with opened(url) as store:
        assert await store.untold(TODOS, 10) == [change]


# -- threads, cancellation, the end ----------------------------------------------------------


async def test_concurrent_writes_lose_nothing(store: Store) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(store.write, TODOS, [increment("a")])
    assert await store.get(TODOS, "a") == document("a", age=20)
    ages = [change.document["age"] for change in await store.untold(TODOS, 100)]
    assert ages == list(range(1, 21))


class Gate:
    """A write that waits inside the transaction until it is let through."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._open = threading.Event()

    def write(self, id: str) -> Write:
        def decide(_: Document | None) -> Document:
            self._begun.set()
            assert self._open.wait(60)
            return document(id)

        return Write(id, decide)

    async def begun(self) -> None:
        assert await trio.to_thread.run_sync(self._begun.wait, 60)

    def let_through(self) -> None:
        self._open.set()


async def test_a_call_that_is_cancelled_while_it_runs_ends_with_its_thread(store: Store) -> None:
    gate = Gate()

    async def write() -> None:
        with trio.CancelScope() as scope:
            scopes.append(scope)
            outcomes.extend(await store.write(TODOS, [gate.write("a")]))

    scopes: list[trio.CancelScope] = []
    outcomes: list[object] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await gate.begun()
        scopes[0].cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        gate.let_through()
    assert len(outcomes) == 1
    assert await store.get(TODOS, "a") == document("a")


async def test_a_call_that_is_cancelled_before_it_runs_did_nothing(store: Store) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.write(TODOS, [put("a")])
    assert scope.cancelled_caught
    assert await store.get(TODOS, "a") is None


async def test_who_waits_too_long_for_a_thread_is_sent_away_and_did_nothing(
    url: str, mock_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    refused: list[str] = []

    async def call(function: Callable[..., Awaitable[object]], *arguments: object) -> None:
        with pytest.raises(StoreUnavailable, match="try again"):
            await function(*arguments)
        refused.append(function.__name__)

    async with opened(url, settings=StoreSettings(pool_size=1)) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.write, TODOS, [gate.write("a")])
            await gate.begun()
            nursery.start_soon(call, store.write, TODOS, [put("b")])
            nursery.start_soon(call, store.find, TODOS, Query())
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(StoreSettings().busy_timeout - 0.1)
            await trio.testing.wait_all_tasks_blocked()
            assert refused == []
            mock_clock.jump(0.2)
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(refused) == ["find", "write"]
            gate.let_through()
        assert ids(await store.find(TODOS, Query())) == "a"


async def test_writes_that_wait_for_each_other_hold_no_threads(url: str) -> None:
    gate = Gate()
    other = Definition("others")
    async with opened(url, TODOS, other, settings=StoreSettings(pool_size=2)) as store:
        await change_of(store, put("b"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.write, TODOS, [gate.write("a")])
            await gate.begun()
            for definition in (TODOS, other, TODOS):
                nursery.start_soon(store.write, definition, [put("a")])
            await trio.testing.wait_all_tasks_blocked()
            assert await store.get(TODOS, "b") == document("b")
            gate.let_through()
        assert await store.count(other, Query().filter) == 1


async def test_closing_waits_for_what_runs_and_may_be_repeated(store: Store) -> None:
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, TODOS, [gate.write("a")])
        await gate.begun()
        for _ in range(2):
            nursery.start_soon(store.close)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 3
        gate.let_through()
    await store.open()
    assert await store.get(TODOS, "a") == document("a")
