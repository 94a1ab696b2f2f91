"""What a script may do with its context, and what it is told when it may not."""

from __future__ import annotations

import threading
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from structlog.typing import EventDict

from deployd.actors import Scope
from deployd.documents import ScriptOver
from deployd.documents.scripts import AsyncContext, Context, InternalCalls, ScriptOutcome
from deployd.documents.scripts.context import Cancel
from deployd.documents.scripts.interruption import Interrupted, Interruption
from deployd.documents.scripts.outcome import NotPlain, Response, plain
from support.scripts import FakePod

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_json_is_copied_as_it_is(value: Any) -> None:
    copy = plain(value, "x")
    assert copy == value
    if value and isinstance(value, dict | list):
        assert copy is not value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, r"data\['at'\] is not"),
        ({"a": {"b": [1, {2, 3}]}}, r"data\['a'\]\['b'\]\[1\] is not"),
        ({"a": ("x", b"y")}, r"data\['a'\]\[1\] is not"),
        ({"a": {1: "x"}}, r"data\['a'\] is not .*must be str"),
        ({"a": 2**64}, r"data\['a'\] is not .*64-bit"),
        ({"a": "\ud800"}, r"data\['a'\] is not .*surrogates"),
        (..., r"data is not .*ellipsis"),
    ],
    ids=repr,
)
def test_what_is_not_json_is_refused_by_its_place(value: object, place: str) -> None:
    with pytest.raises(NotPlain, match=f"^{place}"):
        plain(value, "data")


def test_what_contains_itself_is_not_json() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with pytest.raises(NotPlain, match="again"):
        plain(loop, "data")


def test_what_json_has_another_word_for_takes_it() -> None:
    assert plain({"n": float("nan"), "t": (1,), "u": UUID(int=1)}, "x") == {
        "n": None,
        "t": [1],
        "u": "00000000-0000-0000-0000-000000000001",
    }


def test_a_script_sees_who_asks_for_what() -> None:
    ctx = FakePod().sync(
        {"title": "x"},
        previous={"title": "y"},
        query={"a": 1},
        me={"id": "u1", "username": "ann"},
        is_root=True,
        method="PUT",
        parts=("t1",),
        depth=1,
    )
    assert (ctx.data, ctx.previous, ctx.query) == ({"title": "x"}, {"title": "y"}, {"a": 1})
    assert ctx.me == {"id": "u1", "username": "ann"}
    assert (ctx.is_root, ctx.method, ctx.parts, ctx.internal) == (True, "PUT", ["t1"], True)


def test_without_more_a_client_asks_that_nobody_knows() -> None:
    ctx = FakePod().asynchronous()
    assert (ctx.previous, ctx.query, ctx.me) == (None, {}, None)
    assert (ctx.is_root, ctx.method, ctx.parts, ctx.internal) == (False, "GET", [], False)


def test_only_the_document_is_the_scripts_own() -> None:
    theirs: dict[str, Any] = {"previous": {"tags": ["a"]}, "query": {}, "me": {"id": "u1"}}
    ctx = FakePod().sync(**theirs)
    assert ctx.previous is not None
    assert ctx.me is not None
    ctx.previous["tags"] = ctx.query["x"] = ctx.me["id"] = "mine"
    assert theirs == {"previous": {"tags": ["a"]}, "query": {}, "me": {"id": "u1"}}


def test_an_outcome_is_out_of_the_scripts_reach() -> None:
    ctx = FakePod().sync({"tags": ["a"]})
    outcome = ctx._outcome()
    ctx.data["tags"] = []
    ctx.error("tags", "too late")
    assert outcome == ScriptOutcome({"tags": ["a"]})


@pytest.mark.parametrize("data", [None, [], "text"])
def test_the_document_has_to_stay_an_object(data: Any) -> None:
    ctx = FakePod().sync()
    ctx.data = data
    with pytest.raises(NotPlain, match=r"ctx\.data must stay a dict"):
        ctx._outcome()


def test_errors_are_collected_in_order_and_bounded() -> None:
    ctx = FakePod().sync()
    for number in range(200):
        ctx.error(f"f{number}", "m" * 5000)
    errors = ctx._outcome().errors
    assert [field for field, _ in errors] == [f"f{number}" for number in range(100)]
    assert {len(message) for _, message in errors} == {1000}


def test_a_hidden_field_is_kept_and_not_shown() -> None:
    ctx = FakePod().sync({"a": 1, "b": 2})
    ctx.hide("b")
    ctx.hide("absent")
    outcome = ctx._outcome()
    assert (outcome.data, outcome.shown) == ({"a": 1, "b": 2}, {"a": 1})
    assert outcome.hidden == {"b", "absent"}


@pytest.mark.parametrize(
    ("previous", "after"),
    [({"score": [1], "x": 0}, {"score": [1], "x": 1}), ({"x": 0}, {"x": 1}), (None, {"x": 1})],
)
def test_a_protected_field_is_as_it_was(previous: Any, after: object) -> None:
    ctx = FakePod().sync({"score": [999], "x": 1}, previous=previous)
    ctx.protect("score")
    ctx.protect("absent")
    outcome = ctx._outcome()
    assert outcome.data == after
    assert outcome.protected == {"score", "absent"}


def test_what_a_script_sets_after_protecting_counts_and_leaves_previous_alone() -> None:
    ctx = FakePod().sync({"tags": ["hacked"]}, previous={"tags": ["a"]})
    ctx.protect("tags")
    tags = ctx.data["tags"]
    assert isinstance(tags, list)
    tags.append("b")
    assert ctx._outcome().data == {"tags": ["a", "b"]}
    assert ctx.previous == {"tags": ["a"]}


def test_cancelling_ends_the_script_also_where_it_catches_exceptions() -> None:
    ctx = FakePod().sync({"x": object()})
    with pytest.raises(Cancel), suppress(Exception):
        ctx.cancel("not today", 403)
    assert ctx._outcome() == ScriptOutcome({}, cancelled=("not today", 403))


def test_who_swallows_a_cancellation_has_cancelled_all_the_same() -> None:
    ctx = FakePod().sync()
    for message in ("first", "second"):
        with pytest.raises(Cancel):
            ctx.cancel(message * 1000)
    assert ctx._outcome().cancelled == (("first" * 1000)[:1000], 400)


@pytest.mark.parametrize("status", [0, 200, 399, 600])
def test_a_refusal_has_the_status_of_one(status: int) -> None:
    ctx = FakePod().sync()
    with pytest.raises(ValueError, match="400 to 599"):
        ctx.cancel("no", status)
    assert ctx._outcome().cancelled is None


def test_cancelling_is_not_trios_cancelling() -> None:
    assert not issubclass(Cancel, trio.Cancelled | Exception)


def test_the_last_answer_that_is_set_is_given() -> None:
    ctx = FakePod().sync()
    body: list[Any] = [1]
    ctx.set_response({"first": True}, 201)
    ctx.set_response(body, headers={"Cache-Control": "no-store", "X-Total": "3"})
    body.append(2)
    assert ctx._outcome().response == Response(
        [1], 200, (("cache-control", "no-store"), ("x-total", "3"))
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nSet-Cookie: b"},
        {"X-A": "a\n"},
        {"X-A": "a\0"},
        {"X-A": "é"},
        {"X-A": "a" * 4097},
        {"X-A\r\nX-B": "a"},
        {"X A": "a"},
        {"X-": "a"},
        {"": "a"},
        {"Connection": "close"},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "3"},
        {"Content-Type": "text/html"},
        {"Set-Cookie": "a=b"},
        {"Strict-Transport-Security": "max-age=0"},
        {"Content-Security-Policy": ""},
        {"Access-Control-Allow-Origin": "*"},
        {"X-Frame-Options": "ALLOWALL"},
        {"X-Accel-Redirect": "/etc/passwd"},
        {"X-Sendfile": "/etc/passwd"},
        {f"X-{number}": "a" for number in range(33)},
    ],
    ids=repr,
)
def test_headers_that_are_not_a_scripts_to_set_are_refused(headers: dict[str, str]) -> None:
    ctx = FakePod().sync()
    with pytest.raises(ValueError):
        ctx.set_response("x", headers=headers)
    assert ctx._outcome().response is None


def test_an_answer_is_json_with_a_status_of_one() -> None:
    ctx = FakePod().sync()
    with pytest.raises(TypeError, match=r"body\['at'\]"):
        ctx.set_response({"at": {1}})  # type: ignore[dict-item]
    for status in (100, 199, 600):
        with pytest.raises(ValueError, match="200 to 599"):
            ctx.set_response("x", status)
    assert ctx._outcome().response is None


def test_a_line_of_the_log_is_short_and_cannot_pass_for_another() -> None:
    ctx = FakePod().sync()
    many = {f"v{number}": number for number in range(50)}
    with capture_logs() as logs:
        ctx.log("m" * 5000, event="e", level="l", message="t" * 5000, list=[1], ok=True)
        ctx.log("many", **many)
    assert logs[0] == {
        "event": "m" * 1000,
        "log_level": "info",
        "component": "script",
        "script": "todos/post.py",
        "values": {"event": "e", "level": "l", "message": "t" * 1000, "list": "[1]", "ok": True},
    }
    assert len(logs[1]["values"]) == 32


def test_a_run_logs_a_hundred_lines_and_says_that_more_are_dropped() -> None:
    ctx = FakePod().sync()
    with capture_logs() as logs:
        for _ in range(1000):
            ctx.log("again")
    assert ["more" in log for log in logs] == [False] * 99 + [True]


def test_a_line_is_written_whole_when_the_thread_is_told_to_end_meanwhile() -> None:
    """Logging holds a lock that everybody needs."""
    ctx, interruption, written = FakePod().sync(), Interruption(), []
    ctx._begin(interruption)

    def told_meanwhile(logger: object, method: str, line: EventDict) -> EventDict:
        other = threading.Thread(target=interruption.interrupt)
        other.start()
        other.join()
        written.append(line["event"])
        raise structlog.DropEvent

    with capture_logs():  # which restores the processors afterwards
        structlog.get_config()["processors"].insert(0, told_meanwhile)
        with pytest.raises(Interrupted):
            ctx.log("whole")
    interruption.leave()
    assert written == ["whole"]


# -- reaching out -----------------------------------------------------------------------------


async def test_a_sync_script_emits_from_its_thread_and_gets_the_receipt() -> None:
    pod = FakePod()
    ctx = pod.sync()
    receipt = await trio.to_thread.run_sync(lambda: ctx.emit("said", {"n": 1}, "tea"))
    await trio.to_thread.run_sync(ctx.emit, "all")
    assert (receipt.id, receipt.scope) == ("e1", Scope.LOCAL)
    assert pod.emits == [("said", {"n": 1}, "tea"), ("all", None, None)]


async def test_an_async_script_emits_where_it_is() -> None:
    pod = FakePod()
    assert pod.asynchronous().emit("said", [1], "tea").id == "e1"
    assert pod.emits == [("said", [1], "tea")]


def use_all(ctx: Context) -> list[object]:
    users = ctx.collections.users
    return [
        users.get("u1"),
        users.get(),
        users.get({"age": {"$gt": 1}}),
        ctx.collections["my-users"].count(),
        users.count({"a": 1}),
        users.post({"a": 1}),
        users.put("u1", {"a": 2}),
        users.delete("u1"),
        users.del_("u2"),
    ]


async def use_all_async(ctx: AsyncContext) -> list[object]:
    users = ctx.collections.users
    return [
        await users.get("u1"),
        await users.get(),
        await users.get({"age": {"$gt": 1}}),
        await ctx.collections["my-users"].count(),
        await users.count({"a": 1}),
        await users.post({"a": 1}),
        await users.put("u1", {"a": 2}),
        await users.delete("u1"),
        await users.del_("u2"),
    ]


ASKED = [
    ("users", "GET", "u1", None),
    ("users", "GET", None, {}),
    ("users", "GET", None, {"age": {"$gt": 1}}),
    ("my-users", "COUNT", None, {}),
    ("users", "COUNT", None, {"a": 1}),
    ("users", "POST", None, {"a": 1}),
    ("users", "PUT", "u1", {"a": 2}),
    ("users", "DELETE", "u1", None),
    ("users", "DELETE", "u2", None),
]


async def test_other_collections_are_asked_alike_from_both_kinds_of_scripts() -> None:
    one, other = FakePod(), FakePod()
    for pod in (one, other):
        pod.answer = lambda pod=pod: len(pod.asked)  # type: ignore[misc]
    calls: InternalCalls = one  # it is what the protocol asks for
    assert await trio.to_thread.run_sync(use_all, one.sync(calls=calls)) == list(range(1, 10))
    assert await use_all_async(other.asynchronous()) == list(range(1, 10))
    assert one.asked == other.asked == ASKED


async def test_what_another_collection_raises_the_script_gets() -> None:
    pod = FakePod()

    def refuse() -> None:
        raise LookupError("no such user")

    pod.answer = refuse
    with pytest.raises(LookupError):
        await trio.to_thread.run_sync(lambda: pod.sync().collections.users.get("u1"))
    with pytest.raises(LookupError):
        await pod.asynchronous().collections.users.get("u1")


async def test_what_is_handed_to_another_collection_is_a_copy_and_json() -> None:
    pod = FakePod()
    document: dict[str, Any] = {"tags": ["a"]}

    def story() -> None:
        users = pod.sync().collections.users
        users.post(document)
        document["tags"].append({1})
        with pytest.raises(TypeError, match=r"data\['tags'\]\[1\]"):
            users.post(document)

    await trio.to_thread.run_sync(story)
    with pytest.raises(TypeError, match=r"data\['tags'\]\[1\]"):
        await pod.asynchronous().collections.users.post(document)
    assert pod.asked == [("users", "POST", None, {"tags": ["a"]})]


def test_names_that_python_itself_asks_for_are_no_collections() -> None:
    for ctx in (FakePod().sync(), FakePod().asynchronous()):
        assert not hasattr(ctx.collections, "__deepcopy__")
        assert not hasattr(ctx.collections, "_ipython_display_")


chain: ContextVar[str] = ContextVar("chain")


@pytest.mark.parametrize("abandon", [True, False])
async def test_a_call_from_a_thread_sees_the_callers_context_variables(*, abandon: bool) -> None:
    pod = FakePod()
    pod.answer = lambda: [chain.get(), threading.current_thread() is here]
    here = threading.current_thread()
    chain.set("todos/post.py")
    ctx = pod.sync()
    answer = await trio.to_thread.run_sync(
        lambda: ctx.collections.users.get(), abandon_on_cancel=abandon
    )
    assert answer == ["todos/post.py", True]


async def test_after_its_end_a_context_reaches_nothing() -> None:
    pod = FakePod()
    sync, asynchronous = pod.sync(), pod.asynchronous()
    for ctx in (sync, asynchronous):
        ctx._close()
    with pytest.raises(ScriptOver, match=r"todos/post\.py"):
        await trio.to_thread.run_sync(sync.emit, "late")
    with pytest.raises(ScriptOver):
        await trio.to_thread.run_sync(lambda: sync.collections.users.get())
    with pytest.raises(ScriptOver):
        asynchronous.emit("late")
    with pytest.raises(ScriptOver):
        await asynchronous.collections.users.get()
    with capture_logs() as logs:
        sync.log("late")
    assert logs == []
    assert not pod.emits
    assert not pod.asked


async def test_a_call_that_is_under_way_when_the_script_is_given_up_is_cancelled() -> None:
    pod, asked, cancelled = FakePod(), trio.Event(), trio.Event()

    async def never() -> None:
        asked.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    pod.answer = never
    ctx = pod.sync()

    def script() -> None:
        with pytest.raises(ScriptOver):
            ctx.collections.users.get()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, script)
        await asked.wait()
        ctx._give_up()
    assert cancelled.is_set()
