"""Lists and counts where a script decides: as if the documents were stored as they are seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import trio
from attrs import evolve, field, mutable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployd.config import (
    CollectionSettings,
    Definition,
    Permissions,
    Property,
    PropertyType,
    Right,
)
from deployd.documents import RequestRefused, ScriptFailed
from deployd.documents.collections import (
    Collection,
    CollectionEnvironment,
    Reader,
    Viewer,
    searching,
)
from deployd.documents.collections.scripting import Call
from deployd.documents.scripts import Response, Script, ScriptOutcome
from deployd.documents.scripts.scripts import Scripts
from deployd.documents.store import (
    Bounds,
    Document,
    Page,
    Query,
    matches,
    ordered,
    page_of,
    project,
    read_query,
)
from deployd.documents.users import POD, Caller
from deployd.transport import Identity
from support.queries import DEFINITION, searches

Decides = Callable[[Document], ScriptOutcome | None]
"""What a script makes of a document; None when it fails."""

SCRIPT = Script("things", "get", Path("get.py"), 1, run=lambda _: None)
ADA = Caller(Identity("ada", "ada", is_root=False, expires_at=None))


@mutable
class Shelf:
    """A store of documents in the order of their creation, that notes how it is asked."""

    documents: list[Document]
    call: list[tuple[Query, Bounds | None]] = field(factory=list)

    async def find(self, _: Definition, query: Query, bounds: Bounds | None = None) -> Page:
        self.call.append((query, bounds))
        found = ordered((one for one in self.documents if matches(query.filter, one)), query.sort)
        return page_of(map(orjson.dumps, found), query, bounds or Bounds(1000, 2**20))


@mutable(slots=False)
class Runner:
    """Runs no script, but a function that decides as one would."""

    decides: Decides
    runs: list[str] = field(factory=list)

    async def run_each(self, script: Script, contexts: Sequence[Any]) -> list[Any]:
        outcomes = []
        for context in contexts:
            self.runs.append(context.data["id"])
            outcome = self.decides(context.data)
            outcomes.append(outcome or ScriptFailed(script.name, 1, "as it was told to"))
        return outcomes


class House:
    """A collection whose documents are seen as `decides` says, and who reads it."""

    def __init__(
        self, documents: list[Document], decides: Decides, definition: Definition, **limits: Any
    ) -> None:
        self.shelf, self.runner = Shelf(documents), Runner(decides)
        environment = CollectionEnvironment(
            store=cast("Any", self.shelf),
            hub=cast("Any", None),
            runner=cast("Any", self.runner),
            passwords=cast("Any", None),
            settings=CollectionSettings(**limits),
            answers=Bounds(3, 2**20),
            emit_timeout=1.0,
            wall=lambda: 0.0,
            queries=cast("Any", None),
            sign_ups=cast("Any", None),
        )
        environment.internal = cast("Any", None)
        self.collection = Collection(definition, Scripts({"get": SCRIPT}, {}))
        self.collection.ready.set()
        self._reader = Reader(environment, Viewer(environment))

    async def find(self, caller: Caller, query: dict[str, Any]) -> tuple[list[Any], bool]:
        found = await self._reader.find(self.collection, Call(caller), query)
        return orjson.loads(found.body), "X-Truncated" in found.headers

    async def count(self, caller: Caller, query: dict[str, Any]) -> int:
        return await self._reader.count(self.collection, Call(caller), query)


NAMES = ("title", "age", "x", "y", "tags", "address", "createdAt", "id", "due-on")
values = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", ""])
changes = st.dictionaries(st.sampled_from(NAMES), values, max_size=2)
hidden = st.frozensets(st.sampled_from(NAMES), max_size=3)


@st.composite
def scripts(draw: st.DrawFn) -> Decides:
    """What a script decides of the first document, the second and so on."""
    decisions: list[tuple[str, dict[str, Any], frozenset[str]]] = draw(
        st.lists(
            st.one_of(
                st.builds(lambda new, gone: ("shows", new, gone), changes, hidden),
                st.just(("cancels", {}, frozenset[str]())),
                st.just(("fails", {}, frozenset[str]())),
                st.builds(lambda new: ("answers", new, frozenset[str]()), changes),
            ),
            min_size=1,
            max_size=6,
        )
    )

    def decide(document: Document) -> ScriptOutcome | None:
        kind, new, gone = decisions[sum(map(ord, str(document["id"]))) % len(decisions)]
        if kind == "fails":
            return None
        if kind == "cancels":
            return ScriptOutcome({}, cancelled=("no", 403))
        if kind == "answers":
            return ScriptOutcome(document, response=Response(new if len(new) != 1 else "a text"))
        return ScriptOutcome({**document, **new}, hidden=gone)

    return decide


def seen(
    document: Document, decides: Decides, definition: Definition
) -> tuple[Any, Document] | None:
    """Return what is shown of a document, and what a query may look at: the rule, said again."""
    outcome = decides(dict(document))
    if outcome is None or outcome.cancelled:
        return None
    body: Any = {k: v for k, v in outcome.data.items() if k not in outcome.hidden}
    stored = {k: v for k, v in document.items() if k in definition.open}
    if outcome.response is not None:
        body = outcome.response.body
        known = (
            {k: v for k, v in body.items() if k not in definition.open}
            if isinstance(body, dict)
            else {}
        )
        return body, {**known, **stored}
    body = {**{k: v for k, v in body.items() if k not in definition.open}, **stored}
    return body, body


OPENED = evolve(
    DEFINITION,
    properties={
        **DEFINITION.properties,
        "title": Property(PropertyType.STRING, open=True),
        "address": Property(PropertyType.OBJECT, open=True),
    },
)


@pytest.mark.parametrize("definition", [DEFINITION, OPENED], ids=["closed", "open"])
@settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(searches(), scripts())
def test_an_answer_is_what_the_query_wants_of_the_documents_as_they_are_seen(
    definition: Definition, search: tuple[list[Document], list[Any]], decides: Decides
) -> None:
    documents, queries = search
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIRST_LOOK", "AT_ONCE", "MORE"):
            patch.setattr(searching, name, 2)
        house = House(documents, decides, definition)
        for query in queries:
            wanted = read_query(query, definition)
            views = [view for one in documents if (view := seen(one, decides, definition))]
            hits = [(body, known) for body, known in views if matches(wanted.filter, known)]
            in_order = ordered(
                (known | {"": at} for at, (_, known) in enumerate(hits)), wanted.sort
            )
            bodies = [hits[cast("int", one[""])][0] for one in in_order][wanted.skip :]
            shown = [project(one, wanted) if isinstance(one, dict) else one for one in bodies]
            limit = min(3, 3 if wanted.limit is None else wanted.limit)
            truncated = len(shown) > limit and (wanted.limit is None or wanted.limit > 3)
            assert trio.run(house.find, ADA, query) == (shown[:limit], truncated)
            assert trio.run(house.count, ADA, query) == len(hits)


def things(count: int, **properties: Any) -> list[Document]:
    moment = "2026-11-25T08:00:00.000Z"
    return [
        {"id": f"d{n:05}", "createdAt": moment, "updatedAt": moment, "n": n, **properties}
        for n in range(count)
    ]


def as_it_is(document: Document) -> ScriptOutcome:
    return ScriptOutcome(document)


THINGS = Definition("things", {"kind": Property(PropertyType.STRING, open=True)})


async def test_no_more_is_looked_at_than_the_answer_needs() -> None:
    house = House(things(5000), as_it_is, THINGS)
    found, truncated = await house.find(ADA, {"$sort": {"id": -1}, "$limit": 2})
    assert [one["id"] for one in found] == ["d04999", "d04998"]
    assert not truncated
    assert len(house.runner.runs) == searching.FIRST_LOOK


async def test_no_document_is_shown_to_the_script_twice_where_more_are_needed() -> None:
    def late(document: Document) -> ScriptOutcome:
        hides = cast("int", document["n"]) < 300
        return ScriptOutcome({}, cancelled=("no", 403)) if hides else ScriptOutcome(document)

    house = House(things(5000), late, THINGS)
    found, _ = await house.find(ADA, {"$limit": 2})
    assert [one["n"] for one in found] == [300, 301]
    assert house.runner.runs == [f"d{n:05}" for n in range(400)]


async def test_what_is_open_is_left_to_the_store_and_nothing_else_is() -> None:
    documents = [*things(5, kind="a"), *things(5, kind="b")]
    house = House(documents, as_it_is, THINGS)
    query = {"kind": "a", "n": 3, "$sort": {"kind": 1}}
    assert [one["n"] for one in (await house.find(ADA, query))[0]] == [3]
    assert len(house.runner.runs) == 5
    [(call, _)] = house.shelf.call
    looked_at = call.filter, call.sort
    assert "kind" in str(looked_at)
    assert "'n'" not in str(looked_at)


@pytest.mark.parametrize(
    "query",
    [{"n": 1}, {"$sort": {"n": 1}}, {"$skip": 200}, {"$or": [{"n": 2}, {"kind": "a"}]}],
    ids=str,
)
async def test_what_needs_more_than_may_be_looked_at_is_refused_with_the_remedy(
    query: dict[str, Any],
) -> None:
    house = House(things(101, text="x"), as_it_is, THINGS, scan_limit=100)
    with pytest.raises(RequestRefused, match="scanLimit") as caught:
        await house.find(ADA, query)
    assert caught.value.status == 400
    with pytest.raises(RequestRefused, match="open properties"):
        await house.count(ADA, {})
    assert not await house.count(ADA, {"kind": "none", **query})


async def test_documents_of_more_bytes_than_may_be_looked_at_are_refused_too() -> None:
    house = House(things(20, text="x" * 1000), as_it_is, THINGS, scan_bytes=10_000)
    with pytest.raises(RequestRefused, match="scanBytes"):
        await house.count(ADA, {})
    found, truncated = await house.find(ADA, {})
    assert (len(found), truncated) == (3, True)


async def test_owners_count_what_is_theirs_and_the_script_sees_nothing_else() -> None:
    documents = [*things(3, ownerId="ada"), *things(2, ownerId="ben"), *things(1)]
    definition = evolve(THINGS, access=Permissions(get=Right.OWNER))
    house = House(documents, as_it_is, definition)
    assert await house.count(ADA, {}) == 3
    assert len(house.runner.runs) == 3
    assert await house.count(POD, {}) == 6


async def test_a_search_that_takes_too_long_ends(autojump_clock: Any) -> None:
    house = House(things(10), as_it_is, THINGS, script_timeout=1.0)

    async def never(*_: object) -> Any:
        await trio.sleep_forever()

    cast("Any", house.runner).run_each = never
    with pytest.raises(RequestRefused, match="took too long") as caught:
        await house.count(ADA, {})
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "2")
