"""PostgreSQL: what a store does when the server goes away, and how pods share one."""

from __future__ import annotations

import json
import os
import signal
import socket

import psycopg
import pytest
import trio
from sqlalchemy import Engine, event

from deployd.config import Definition, Property, PropertyType
from deployd.config import Store as StoreSettings
from deployd.documents.errors import QueryError, StoreUnavailable
from deployd.documents.store import Document, Equal, Query, Store, Write, engine
from support.documents import (
    NOW,
    TODOS,
    change_of,
    create,
    document,
    increment,
    kinds,
    opened,
    put,
    shown,
)
from support.postgres import Postgres

# -- the server goes away --------------------------------------------------------------------


async def test_a_server_that_was_away_is_used_again_when_it_is_back(
    postgres: Postgres, postgres_url: str
) -> None:
    async with opened(postgres_url) as store:
        await change_of(store, put("a"))
        postgres.kill()
        try:
            for call in (store.get(TODOS, "a"), store.commit(TODOS, [put("b")])):
                with pytest.raises(StoreUnavailable, match="cannot be reached"):
                    await call
        finally:
            postgres.start()
        assert await store.get(TODOS, "a") == document("a")
        assert (await change_of(store, put("b"))).type == "created"


async def test_a_server_that_was_restarted_between_calls_is_not_noticed(
    postgres: Postgres, postgres_url: str
) -> None:
    async with opened(postgres_url) as store:
        await change_of(store, put("a"))
        postgres.kill()
        postgres.start()
        assert (await change_of(store, put("b"))).type == "created"


async def test_a_server_that_dies_in_a_transaction_keeps_nothing_of_it(
    postgres: Postgres, postgres_url: str
) -> None:
    def decide(_: Document | None) -> Document:
        postgres.kill()
        return document("b")

    async with opened(postgres_url) as store:
        try:
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                await store.commit(TODOS, [put("a"), Write("b", decide)])
        finally:
            postgres.start()
        assert await store.count(TODOS, Query().filter) == 0
        assert await store.claim_outbox(TODOS, 10) == []


async def test_a_server_that_freezes_in_a_transaction_is_given_up_and_keeps_nothing_of_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_GRACE", 0.1)
    frozen: list[int] = []

    def decide(_: Document | None) -> Document:
        with psycopg.connect(postgres_url) as other:
            there = (
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
            )
            for (pid,) in other.execute(there, [other.info.backend_pid]).fetchall():
                os.kill(pid, signal.SIGSTOP)
                frozen.append(pid)
        return document("b")

    settings = StoreSettings(statement_timeout=0.3, busy_timeout=0.3)
    async with opened(postgres_url, settings=settings) as store:
        try:
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                await store.commit(TODOS, [put("a"), Write("b", decide)])
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert frozen
        assert (await change_of(store, put("c"))).type == "created"
        assert [each["id"] for each in shown(await store.find(TODOS, Query()))] == ["c"]


async def test_nobody_there_is_told_without_the_password() -> None:
    with socket.socket() as deaf:  # it is bound and does not listen
        deaf.bind(("127.0.0.1", 0))
        url = f"postgres://somebody:secret-word@127.0.0.1:{deaf.getsockname()[1]}/x"
        with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
            async with opened(url):
                pass
    assert "secret-word" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_database_that_is_not_there_is_told(postgres: Postgres) -> None:
    with pytest.raises(StoreUnavailable, match=r"store\.url"):
        async with opened(postgres.url("nowhere")):
            pass


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (StoreSettings(busy_timeout=0.3), "locked"),
        (StoreSettings(statement_timeout=0.3), "too long"),
    ],
    ids=["lock_timeout", "statement_timeout"],
)
async def test_whoever_holds_a_lock_makes_a_store_wait_and_no_longer_than_was_set(
    postgres_url: str, settings: StoreSettings, says: str
) -> None:
    async with opened(postgres_url):
        pass
    async with opened(postgres_url, settings=settings) as store:
        with psycopg.connect(postgres_url) as other:
            other.execute("LOCK TABLE collection_todos")
            for call in (store.commit(TODOS, [put("a")]), store.find(TODOS, Query())):
                with pytest.raises(StoreUnavailable, match=says):
                    await call
        assert (await change_of(store, put("a"))).type == "created"


SLOW_INDEXES = """
CREATE FUNCTION slowly() RETURNS event_trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_sleep(0.6); END';
CREATE EVENT TRIGGER slowly ON ddl_command_start WHEN TAG IN ('CREATE INDEX')
    EXECUTE FUNCTION slowly();
"""


async def test_making_an_index_may_take_longer_than_a_query(postgres_url: str) -> None:
    async with opened(postgres_url, settings=StoreSettings(statement_timeout=0.3)) as store:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(SLOW_INDEXES)
        await store.prepare(Definition("todos", {"due": Property(PropertyType.DATE, index=True)}))


async def test_settings_of_the_url_are_kept(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as other:
        other.execute("CREATE SCHEMA elsewhere")
    url = f"{postgres_url}?options=-csearch_path%3Delsewhere&application_name=pod"
    async with opened(postgres_url) as store, opened(url) as elsewhere:
        await change_of(store, put("a"))
        assert await elsewhere.count(TODOS, Query().filter) == 0


def reaches_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not reaches_ipv6(), reason="this machine has no IPv6")
async def test_a_server_may_be_named_by_an_address_of_ipv6(postgres_url: str) -> None:
    async with opened(postgres_url.replace("127.0.0.1", "[::1]")) as store:
        await change_of(store, put("a"))
        assert await store.get(TODOS, "a") == document("a")


# -- pods share a database -------------------------------------------------------------------


async def test_two_pods_that_change_one_document_lose_nothing(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url, pod="pod-b") as other:
        async with trio.open_nursery() as nursery:
            for store in (one, other) * 15:
                nursery.start_soon(change_of, store, increment("a"))
        assert await one.get(TODOS, "a") == document("a", age=30)


async def test_two_pods_that_create_one_document_create_it_once(postgres_url: str) -> None:
    outcomes: list[str | None] = []

    async def write(store: Store, name: str) -> None:
        outcomes.extend(kinds(await store.commit(TODOS, [create(name)])))

    async with opened(postgres_url) as one, opened(postgres_url, pod="pod-b") as other:
        for number in range(20):
            async with trio.open_nursery() as nursery:
                for store in (one, other):
                    nursery.start_soon(write, store, f"{number}")
    assert sorted(map(str, outcomes)) == ["LookupError"] * 20 + ["created"] * 20


@pytest.mark.parametrize("name", ["todos", "c" * 48])
async def test_what_another_pod_created_meanwhile_is_decided_upon(
    postgres_url: str, name: str
) -> None:
    seen: list[Document | None] = []
    definition = Definition(name)

    async with opened(postgres_url, definition) as store:

        def decide(before: Document | None) -> Document:
            seen.append(before)
            if len(seen) == 1:  # the other pod is quicker
                _insert(postgres_url, name, "a")
            return document("a", age=len(seen))

        outcomes = await store.commit(definition, [put("z"), Write("a", decide)])
        assert kinds(outcomes) == ["created", "updated"]
        assert seen == [None, document("a")]
        assert await store.get(definition, "a") == document("a", age=2)


def _insert(url: str, collection: str, id: str) -> None:  # noqa: A002
    """Create a document as another pod does."""
    made = document(id)
    row = (id, made["createdAt"], made["updatedAt"], json.dumps(made))
    columns = "(id, created_at, updated_at, document) VALUES (%s, %s, %s, %s::jsonb)"
    with psycopg.connect(url) as other:
        other.execute(f"INSERT INTO collection_{collection} {columns}".encode(), row)


async def test_a_query_with_a_text_that_the_database_cannot_hold_is_the_askers(
    postgres_url: str,
) -> None:
    async with opened(postgres_url) as store:
        with pytest.raises(QueryError):
            await store.get(TODOS, "\0")
        with pytest.raises(QueryError):
            await store.find(TODOS, Query(Equal(("id",), ("\0",))))


async def test_a_long_answer_is_read_from_a_cursor_a_few_documents_at_a_time(
    postgres_url: str,
) -> None:
    cursors: list[str] = []

    def executed(_connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            cursors.append(type(cursor).__name__)

    async with opened(postgres_url) as store:
        await store.commit(TODOS, [put(f"{number}") for number in range(200)])
        event.listen(Engine, "after_cursor_execute", executed)
        try:
            for limit in (200, 10):
                assert len((await store.find(TODOS, Query(limit=limit))).documents) == limit
        finally:
            event.remove(Engine, "after_cursor_execute", executed)
    assert [name == "ServerCursor" for name in cursors] == [True, False]


# -- who tells -------------------------------------------------------------------------------


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


async def test_what_another_pod_left_is_taken_over_after_a_minute(postgres_url: str) -> None:
    clock = Clock()
    async with (
        opened(postgres_url, wall=clock) as one,
        opened(postgres_url, pod="pod-b", wall=clock) as other,
    ):
        change = await change_of(one, put("a"))
        clock.now += 59.9
        assert await other.claim_outbox(TODOS, 10) == []
        clock.now += 0.1
        assert await other.claim_outbox(TODOS, 10) == [change]
        assert await one.claim_outbox(TODOS, 10) == []
        assert await other.claim_outbox(TODOS, 10) == [change]
        clock.now += 60
        assert await one.claim_outbox(TODOS, 10) == [change]


async def test_a_pod_that_is_still_telling_its_own_keeps_them(postgres_url: str) -> None:
    clock = Clock()
    async with (
        opened(postgres_url, wall=clock) as one,
        opened(postgres_url, pod="pod-b", wall=clock) as other,
    ):
        change = await change_of(one, put("a"))
        clock.now += 50
        assert await one.claim_outbox(TODOS, 10) == [change]
        clock.now += 50
        assert await other.claim_outbox(TODOS, 10) == []


async def test_two_pods_that_take_over_at_once_share_without_overlap(postgres_url: str) -> None:
    clock = Clock()
    async with opened(postgres_url, pod="gone", wall=clock) as gone:
        await gone.commit(TODOS, [put(f"{number}") for number in range(50)])
    clock.now += 60
    taken: list[int] = []

    async def take(store: Store) -> None:
        taken.extend(change.sequence for change in await store.claim_outbox(TODOS, 50))

    async with (
        opened(postgres_url, wall=clock) as one,
        opened(postgres_url, pod="pod-b", wall=clock) as other,
    ):
        async with trio.open_nursery() as nursery:
            for store in (one, other):
                nursery.start_soon(take, store)
        assert len(taken) == len(set(taken)) == 50


async def test_what_another_pod_is_taking_over_is_passed_over(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        changes = [await change_of(store, put(name)) for name in "abc"]
        with psycopg.connect(postgres_url) as other:
            other.execute(
                "SELECT FROM changes WHERE sequence = %s FOR UPDATE", [changes[0].sequence]
            )
            assert await store.claim_outbox(TODOS, 10) == changes[1:]
        assert await store.claim_outbox(TODOS, 10) == changes
