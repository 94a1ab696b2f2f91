"""What the database's troubles cost: a 503 for who asks then, and nothing afterwards."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import trio
from attrs import evolve
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from deployd.config import Config, Definition
from deployd.documents.collections import collection as collection_module
from support import (
    Client,
    collections_config,
    connected,
    find_node,
    running_collections,
    write_collection,
)
from support.documents import opened, put
from support.postgres import Postgres

PATIENCE = 30.0


def stored(folder: Path, **store: Any) -> Config:
    """Return a configuration with these settings of the store."""
    config = collections_config(folder)
    return evolve(config, store=evolve(config.store, **store))


def unavailable(answer: httpx.Response, words: str) -> bool:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert words in answer.json()["error"]
    assert "detail" not in answer.json()  # which is root's
    return True


async def alive(client: Client) -> None:
    """Talk to oneself in a room: what has nothing to do with the database goes on."""
    await client.send("emit", room="lobby", event="hello", data=1)
    await client.expect("emit", event="hello")


async def until_answered(ask: Callable[[], Any]) -> httpx.Response:
    """Ask again, as `Retry-After` says one may, until it is not a 503."""
    with trio.fail_after(PATIENCE):
        while (answer := await ask()).status_code == 503:  # noqa: ASYNC110
            await trio.sleep(0.05)
    assert isinstance(answer, httpx.Response)
    return answer


async def test_a_locked_database_costs_writers_a_503_and_nobody_else_anything(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", {})
    write_collection(tmp_path, "notes", {}, {"validate": "def run(ctx):\n    pass\n"})
    async with (
        running_collections(tmp_path, stored(tmp_path, busy_timeout=1.0)) as (pod, http),
        connected(pod) as [client],
    ):
        await client.join("lobby")
        await client.join("collections")
        kept = (await http.post("/todos", json={"id": "kept"})).json()
        await client.expect("emit", event="created")
        answers: list[httpx.Response] = []

        async def post(path: str) -> None:
            answers.append(await http.post(path, json={}))

        with closing(sqlite3.connect(tmp_path / "data" / "documents.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with trio.fail_after(PATIENCE):
                async with trio.open_nursery() as nursery:
                    for path in ("/todos", "/notes") * 5:
                        nursery.start_soon(post, path)
                    nursery.start_soon(alive, client)
                    assert (await http.get("/todos")).json() == [kept]
            assert all(unavailable(answer, "database") for answer in answers)
            assert len(answers) == 10
            other.rollback()
        assert (await http.get("/todos")).json() == [kept]
        assert (await http.get("/notes")).json() == []
        for path in ("/todos", "/notes"):
            made = (await http.post(path, json={})).json()
            assert (await client.expect("emit"))["data"]["data"] == made


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """A disk that takes nothing more while this holds True."""
    state = [False]

    def begun(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            # SQLite takes the pages that there are for the least that can be allowed.
            connection.exec_driver_sql(f"PRAGMA max_page_count = {1 if state[0] else 2**30}")

    event.listen(Engine, "begin", begun)
    yield state
    event.remove(Engine, "begin", begun)


LARGE = {"text": "x" * 200_000}


@pytest.mark.parametrize("kind", [{}, {"validate": "async def run(ctx):\n    pass\n"}])
async def test_a_full_disk_costs_writers_a_503_until_there_is_room(
    tmp_path: Path, full: list[bool], kind: dict[str, str]
) -> None:
    write_collection(tmp_path, "todos", {}, kind)
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("lobby")
        await client.join("collection:todos")
        kept = (await http.post("/todos", json={"id": "kept"})).json()
        await client.expect("emit", event="created")
        full[0] = True
        for _ in range(3):
            unavailable(await http.post("/todos", json=LARGE), "cannot be used")
            unavailable(await http.put("/todos/kept", json=LARGE), "cannot be used")
        assert (await http.get("/todos")).json() == [kept]
        await alive(client)
        full[0] = False
        made = (await http.post("/todos", json=LARGE)).json()
        assert (await client.expect("emit", event="created"))["data"] == made
        assert len((await http.get("/todos")).json()) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, where it may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    program = shutil.which("mount")
    command = [program or "", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if program is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_disk_that_is_really_full_is_no_different(small_disk: Path) -> None:
    write_collection(small_disk, "todos", {})
    ballast = small_disk / "ballast"
    async with running_collections(small_disk) as (pod, http), connected(pod) as [client]:
        await client.join("lobby")
        kept = (await http.post("/todos", json={"id": "kept"})).json()
        with pytest.raises(OSError, match="space"):
            ballast.write_bytes(bytes(4 * 2**20))
        unavailable(await http.post("/todos", json=LARGE), "cannot be used")
        unavailable(await http.post("/todos", json=LARGE), "cannot be used")
        assert (await http.get("/todos")).json() == [kept]
        await alive(client)
        ballast.unlink()
        made = (await until_answered(lambda: http.post("/todos", json=LARGE))).json()
        assert {one["id"] for one in (await http.get("/todos")).json()} == {"kept", made["id"]}


async def test_a_write_is_called_not_done_only_when_it_was_not_begun(tmp_path: Path) -> None:
    slow = "import trio\nasync def run(ctx):\n    await trio.sleep(1)\n"
    write_collection(tmp_path, "todos", {}, {"post": slow})
    config = collections_config(tmp_path)
    config = evolve(config, collections=evolve(config.collections, write_timeout=0.5))
    answers: dict[str, httpx.Response] = {}
    async with running_collections(tmp_path, config) as (pod, http), connected(pod) as [client]:
        await client.join("collection:todos")

        async def post(id_: str) -> None:
            answers[id_] = await http.post("/todos", json={"id": id_})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post, "first")
            await trio.sleep(0.1)
            nursery.start_soon(post, "second")
        assert answers["first"].status_code == 500
        assert "may be done or not" in answers["first"].json()["error"]
        unavailable(answers["second"], "too busy")
        assert (await client.expect("emit"))["data"]["id"] == "first"
        await http.delete("/todos/first")
        assert (await http.get("/todos")).json() == []


# PostgreSQL -----------------------------------------------------------------------------------


async def test_a_database_that_goes_and_comes_back_needs_no_restart_of_the_pod(
    tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    write_collection(tmp_path, "todos", {})
    write_collection(tmp_path, "notes", {}, {"validate": "async def run(ctx):\n    pass\n"})
    async with (
        running_collections(tmp_path, stored(tmp_path, url=postgres_url)) as (pod, http),
        connected(pod) as [client],
    ):
        await client.join("lobby")
        await client.join("collections")
        for path in ("/todos", "/notes"):
            assert (await http.post(path, json={"id": "kept"})).status_code == 200
            await client.expect("emit", event="created")
        await trio.to_thread.run_sync(postgres.kill)
        try:
            for path in ("/todos", "/notes"):
                unavailable(await http.post(path, json={}), "database")
                unavailable(await http.get(path), "database")
                unavailable(await http.put(f"{path}/kept", json={"n": 1}), "database")
            await alive(client)
        finally:
            await trio.to_thread.run_sync(postgres.start)
        for path in ("/todos", "/notes"):
            made = (await until_answered(lambda: http.post(path, json={}))).json()  # noqa: B023
            assert (await client.expect("emit"))["data"]["data"] == made
            found = await until_answered(lambda: http.get(path))  # noqa: B023
            assert len(found.json()) == 2


async def test_a_pod_boots_without_its_database_and_uses_it_when_it_is_there(
    tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    write_collection(tmp_path, "todos", {})
    await trio.to_thread.run_sync(postgres.kill)
    try:
        config = stored(tmp_path, url=postgres_url)
        async with running_collections(tmp_path, config) as (pod, http), connected(pod) as [client]:
            await client.join("lobby")
            await client.join("collection:todos")
            unavailable(await http.get("/todos"), "cannot be used")
            unavailable(await http.post("/todos", json={}), "cannot be used")
            assert (await http.get("/health/live")).status_code == 200
            await alive(client)
            await trio.to_thread.run_sync(postgres.start)
            made = (await until_answered(lambda: http.post("/todos", json={}))).json()
            assert (await client.expect("emit", event="created"))["data"] == made
    finally:
        await trio.to_thread.run_sync(postgres.kill)
        await trio.to_thread.run_sync(postgres.start)


async def test_a_commit_whose_answer_is_lost_is_not_called_a_failure_and_is_told_once(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "todos", {})
    config = stored(tmp_path, url=postgres_url)
    async with running_collections(tmp_path, config) as (pod, http), connected(pod) as [client]:
        await client.join("collection:todos")
        await http.post("/todos", json={"id": "before"})
        await client.expect("emit")
        commit: Any = PGDialect_psycopg.do_commit
        fuse = iter([True])

        def lost(dialect: Any, connection: Any) -> None:
            commit(dialect, connection)
            driver: psycopg.Connection = connection.driver_connection
            if has_written(driver, "during") and next(fuse, False):
                driver.close()
                raise psycopg.OperationalError("the connection is lost")

        monkeypatch.setattr(PGDialect_psycopg, "do_commit", lost)
        with trio.fail_after(PATIENCE):
            answer = await http.post("/todos", json={"id": "during"})
        assert answer.status_code == 500
        assert "lost while it committed" in answer.json()["error"]
        assert (await http.get("/todos/during")).status_code == 200
        assert (await http.post("/todos", json={"id": "after"})).status_code == 200
        heard = [(await client.expect("emit"))["data"]["id"] for _ in range(2)]
        assert heard == ["during", "after"]
        assert find_node(pod.tree(), "pod/collections/todos").restarts == 0


def has_written(connection: psycopg.Connection, id_: str) -> bool:
    looking = "SELECT 1 FROM changes WHERE document::json->>'id' = %s"
    return connection.execute(looking, [id_]).fetchone() is not None


COUNTING = "def run(ctx):\n    ctx.data['n'] = (ctx.previous or {}).get('n', 0) + 1\n"


async def test_two_pods_on_one_database_lose_no_update_of_a_document(
    tmp_path: Path, postgres_url: str
) -> None:
    write_collection(tmp_path, "todos", {}, {"validate": COUNTING})
    config = stored(tmp_path, url=postgres_url)
    async with (
        running_collections(tmp_path, config) as (_, one),
        running_collections(tmp_path, config) as (_, other),
    ):
        assert (await one.post("/todos", json={"id": "a"})).json()["n"] == 1
        statuses: list[int] = []

        async def put_often(http: httpx.AsyncClient) -> None:
            for _ in range(15):
                answer = await http.put("/todos/a", json={})
                statuses.append(answer.status_code)

        async with trio.open_nursery() as nursery:
            for http in (one, other):
                nursery.start_soon(put_often, http)
                nursery.start_soon(put_often, http)
        assert set(statuses) <= {200, 409}
        assert (await one.get("/todos/a")).json()["n"] == 1 + statuses.count(200)


async def test_what_a_pod_that_ended_left_untold_is_told_by_another_after_a_minute(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_module, "RELAY_AGAIN", 0.05)
    write_collection(tmp_path, "todos", {})
    todos = Definition("todos")
    config = stored(tmp_path, url=postgres_url)
    async with running_collections(tmp_path, config) as (pod, http), connected(pod) as [client]:
        await client.join("collection:todos")
        assert (await http.get("/todos")).status_code == 200
        for age, id_ in ((30, "fresh"), (61, "old"), (61, "older")):
            moment = time.time() - age
            async with opened(postgres_url, todos, pod="dead", wall=lambda: moment) as store:  # noqa: B023
                await store.commit(todos, [put(id_)])
        assert [(await client.expect("emit"))["data"]["id"] for _ in range(2)] == ["old", "older"]
        await http.post("/todos", json={"id": "new"})
        assert (await client.expect("emit"))["data"]["id"] == "new"
