"""What a crash may cost: no committed document, and no change that can still be told."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve

from deployd.config import Definition
from deployd.documents.store import Change, DatabaseStore, Write
from support import (
    Client,
    collections_config,
    connected,
    find_node,
    running_collections,
    write_collection,
)
from support.changes import Author, Listener
from support.documents import opened, put, remove
from support.history import Step, Verdict, check
from support.processes import Served, serving

TODOS = Definition("todos")


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/data/documents.db"


async def leave(folder: Path, *writes: Write) -> Sequence[Change]:
    """Commit, and end before anybody is told."""
    (folder / "data").mkdir(exist_ok=True)
    async with opened(url_of(folder), TODOS) as store:
        outcomes = await store.commit(TODOS, writes)
    return [outcome for outcome in outcomes if isinstance(outcome, Change)]


def outbox_of(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "data" / "documents.db")) as database:
        return int(database.execute("SELECT count(*) FROM changes").fetchone()[0])


def problems(authors: Sequence[Author], found: Sequence[dict[str, Any]]) -> list[str]:
    """Say what of the documents is not as the authors were told, or half of what they wrote."""
    there = {one["id"]: one.get("n") for one in found}
    wrong = []
    for author in authors:
        unsure = {write.step.document: write.step for write in author.writes if not write.certain}
        for id_ in author.numbers.keys() | unsure.keys():
            expected = {author.there.get(id_)}
            if id_ in unsure:
                step = unsure[id_]
                expected.add(None if step.type == "deleted" else step.number)
            if there.get(id_) not in expected:
                wrong.append(f"{id_} is {there.get(id_)}, not one of {expected}")
    known = {id_ for author in authors for id_ in author.numbers} | {
        write.step.document for author in authors for write in author.writes
    }
    return wrong + [f"{id_} was written by nobody" for id_ in there.keys() - known]


async def all_of(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await http.get("/todos")
    assert "x-truncated" not in answer.headers
    found: list[dict[str, Any]] = answer.json()
    return found


SCRIPTS: dict[str, dict[str, str]] = {
    "plain": {},
    "scripted": {"validate": "async def run(ctx):\n    pass\n"},
}


async def write_until_killed(pod: Served, authors: Sequence[Author], client: Client) -> list[Step]:
    """Let all write, kill the pod in the middle, and return what a listener has heard."""
    await client.join("collection:todos")
    listener = Listener(client, "collection:todos", "todos")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.listen_until_cut)
        for author in authors:
            nursery.start_soon(author.write, pod.http, 10_000, 2)
        with trio.fail_after(60):
            while len(listener.heard) < 200:  # noqa: ASYNC110
                await trio.sleep(0.01)
        await pod.kill()
    return listener.heard


@pytest.mark.parametrize("kind", SCRIPTS)
async def test_a_killed_pod_has_all_it_answered_for_and_the_next_one_tells_what_it_had_not_told(
    tmp_path: Path, kind: str
) -> None:
    write_collection(tmp_path, "todos", {}, SCRIPTS[kind])
    authors = [Author(f"c{number}", "todos") for number in range(20)]
    store = {"durability": "normal"}  # what is killed is the process, and not the machine
    async with serving(tmp_path, {"store": store}) as pod, connected(pod) as [client]:
        heard = await write_until_killed(pod, authors, client)
    writes = [write for author in authors for write in author.writes]
    assert not all(write.certain for write in writes)
    settings = {"collections": {"replayAfter": 2}}
    async with serving(tmp_path, settings) as pod, connected(pod) as [client]:
        await client.join("collection:todos")
        assert problems(authors, await all_of(pod.http)) == []
        assert (await pod.http.post("/todos", json={"id": "fence", "n": 0})).status_code == 200
        listener = Listener(client, "collection:todos", "todos")
        with trio.fail_after(60):
            await listener.listen()
    # A change may be told once more, by the next pod: who told it died before it was noted.
    assert evolve(check(writes, heard + listener.heard), duplicate=()) == Verdict()
    assert check(writes, listener.heard).duplicate == ()


async def test_what_was_committed_and_not_told_is_told_to_those_who_come_back_in_time(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", {})
    left = await leave(tmp_path, put("a", n=1), put("b", n=1), put("a", n=2), remove("b"))
    settings = {"collections": {"replayAfter": 2}}
    async with serving(tmp_path, settings) as pod, connected(pod, 2) as [one, all_]:
        await one.join("collection:todos")
        await all_.join("collections")
        made = (await pod.http.post("/todos", json={"n": 3})).json()  # waits behind what was left
        told = [(change.type, change.document) for change in left] + [("created", made)]
        for type_, document in told:
            await one.expect("emit", event=type_, data=document)
            envelope = {"collection": "todos", "type": type_, "data": document}
            await all_.expect("emit", event=type_, data=envelope)
        with trio.fail_after(20):
            while outbox_of(tmp_path):  # noqa: ASYNC110
                await trio.sleep(0.02)


async def test_what_was_left_comes_before_what_is_new_in_the_order_of_the_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "todos", {})
    await leave(tmp_path, *(put("a", n=number) for number in range(700)))
    joined, look = trio.Event(), DatabaseStore.claim_outbox

    async def later(store: DatabaseStore, definition: Definition, limit: int) -> Any:
        if definition.name == "todos" and limit > 1:
            await joined.wait()
        return await look(store, definition, limit)

    monkeypatch.setattr(DatabaseStore, "claim_outbox", later)
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("collection:todos")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(put_new, http)
            joined.set()
            for number in range(701):
                assert (await client.expect("emit"))["data"]["n"] == number


async def put_new(http: httpx.AsyncClient) -> None:
    assert (await http.put("/todos/a", json={"n": 700})).status_code == 200


@pytest.mark.parametrize("kind", SCRIPTS)
async def test_a_crash_between_commit_and_telling_is_survived_and_told_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "todos", {}, SCRIPTS[kind])
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("collection:todos")
        assert (await http.post("/todos", json={"id": "before"})).status_code == 200
        tell, fuse = pod.hub.send_collection_change, iter([True])

        async def crash(*args: Any) -> Any:
            if next(fuse, False):
                raise RuntimeError("a bug")
            return await tell(*args)

        monkeypatch.setattr(pod.hub, "send_collection_change", crash)
        answer = await http.post("/todos", json={"id": "during"})
        # A plain write is answered when it is committed, one with scripts when all is done.
        assert answer.status_code == (200 if kind == "plain" else 500)
        if kind == "scripted":
            assert "may be done or not" in answer.json()["error"]
        assert (await http.post("/todos", json={"id": "after"})).status_code == 200
        heard = [(await client.expect("emit"))["data"]["id"] for _ in range(3)]
        assert heard == ["before", "during", "after"]
        assert find_node(pod.tree(), "pod/collections/todos").restarts == 1
        assert len(await all_of(http)) == 3


async def test_a_collection_that_crashes_on_each_write_disturbs_no_other_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "todos", {})
    write_collection(tmp_path, "notes", {})
    write, broken = DatabaseStore.commit, True

    async def crash(store: DatabaseStore, definition: Definition, *args: Any, **how: Any) -> Any:
        if definition.name == "todos" and broken:
            raise RuntimeError("a bug")
        return await write(store, definition, *args, **how)

    monkeypatch.setattr(DatabaseStore, "commit", crash)
    statuses: list[int] = []

    async def post(http: httpx.AsyncClient, path: str) -> None:
        answer = await http.post(path, json={})
        statuses.append(answer.status_code)

    async with running_collections(tmp_path) as (pod, http):
        for _ in range(6):  # more often than a supervisor forgives by itself
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(post, http, "/todos")
            assert (await http.post("/notes", json={})).status_code == 200
        assert set(statuses) == {500}
        assert find_node(pod.tree(), "pod/collections/notes").restarts == 0
        broken = False
        assert (await http.post("/todos", json={})).status_code == 200
        # Not before: the last restart may still be waiting for its backoff.
        assert find_node(pod.tree(), "pod/collections/todos").restarts >= 6
        assert len(await all_of(http)) == 1


@pytest.mark.parametrize("kind", SCRIPTS)
async def test_a_pod_that_stops_answers_writes_under_way_or_does_not_do_them(
    tmp_path: Path, kind: str
) -> None:
    write_collection(tmp_path, "todos", {}, SCRIPTS[kind])
    authors = [Author(f"c{number}", "todos") for number in range(20)]
    async with trio.open_nursery() as nursery, running_collections(tmp_path) as (pod, _):
        base = f"http://127.0.0.1:{pod.port}"
        http = httpx.AsyncClient(base_url=base, timeout=20, trust_env=False)
        for author in authors:
            nursery.start_soon(author.write, http, 10_000, 3)
        with trio.fail_after(60):
            while sum(len(author.writes) for author in authors) < 100:  # noqa: ASYNC110
                await trio.sleep(0.01)
    await http.aclose()
    refused = [answer for author in authors for answer in author.refused]
    assert {answer.status_code for answer in refused} <= {503}
    async with running_collections(tmp_path, collections_config(tmp_path)) as (_, http):
        assert problems(authors, await all_of(http)) == []


SLOW = "import trio\nasync def run(ctx):\n    ctx.emit('begun', 1)\n    await trio.sleep(1.5)\n"


async def test_a_write_that_takes_its_time_is_answered_by_a_pod_that_stops(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {}, {"post": SLOW})
    answers: list[httpx.Response] = []

    async def post(port: int) -> None:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, timeout=20, trust_env=False) as http:
            answers.append(await http.post("/todos", json={"id": "last"}))

    async with (
        trio.open_nursery() as nursery,
        running_collections(tmp_path) as (pod, _),
        connected(pod) as [client],
    ):
        nursery.start_soon(post, pod.port)
        await client.expect("emit", event="begun")
    assert [answer.status_code for answer in answers] == [200]
    async with running_collections(tmp_path) as (_, http):
        assert (await http.get("/todos/last")).json() == answers[0].json()
