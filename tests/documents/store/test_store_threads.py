"""Calls of a store that run at once, are cancelled, or come at its end."""

# ruff: noqa: A002 - `id` is the word of what is promised

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable

import pytest
import trio

from deployd.config import Definition
from deployd.config import Store as StoreSettings
from deployd.documents.errors import StoreUnavailable
from deployd.documents.store import (
    Document,
    Query,
    Store,
    Write,
)
from support.documents import (
    TODOS,
    change_of,
    document,
    increment,
    opened,
    put,
)
from support.todos import ids

# -- threads, cancellation, the end ----------------------------------------------------------


async def test_concurrent_writes_lose_nothing(store: Store) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(store.commit, TODOS, [increment("a")])
    assert await store.get(TODOS, "a") == document("a", age=20)
    ages = [change.document["age"] for change in await store.claim_outbox(TODOS, 100)]
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
            outcomes.extend(await store.commit(TODOS, [gate.write("a")]))

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
        await store.commit(TODOS, [put("a")])
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
            nursery.start_soon(store.commit, TODOS, [gate.write("a")])
            await gate.begun()
            nursery.start_soon(call, store.commit, TODOS, [put("b")])
            nursery.start_soon(call, store.find, TODOS, Query())
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(StoreSettings().busy_timeout - 0.1)
            await trio.testing.wait_all_tasks_blocked()
            assert refused == []
            mock_clock.jump(0.2)
            await trio.testing.wait_all_tasks_blocked()
            assert sorted(refused) == ["commit", "find"]
            gate.let_through()
        assert ids(await store.find(TODOS, Query())) == "a"


async def test_writes_that_wait_for_each_other_hold_no_threads(url: str) -> None:
    gate = Gate()
    other = Definition("others")
    async with opened(url, TODOS, other, settings=StoreSettings(pool_size=2)) as store:
        await change_of(store, put("b"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.commit, TODOS, [gate.write("a")])
            await gate.begun()
            for definition in (TODOS, other, TODOS):
                nursery.start_soon(store.commit, definition, [put("a")])
            await trio.testing.wait_all_tasks_blocked()
            assert await store.get(TODOS, "b") == document("b")
            gate.let_through()
        assert await store.count(other, Query().filter) == 1


async def test_closing_waits_for_what_runs_and_may_be_repeated(store: Store) -> None:
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, TODOS, [gate.write("a")])
        await gate.begun()
        for _ in range(2):
            nursery.start_soon(store.close)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 3
        gate.let_through()
    await store.open()
    assert await store.get(TODOS, "a") == document("a")
