"""A pod whose database is another's, or gone: not ready, with a word; and back by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trio
from attrs import evolve

from deployd.supervisors.pod import collections as tree_module
from support import collections_config, connected, running_collections, write_collection
from support.collections import MASTER

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "PROBE_EVERY", 0.1)


async def until(
    http: httpx.AsyncClient, path: str, wanted: Callable[[httpx.Response], bool]
) -> None:
    with trio.fail_after(PATIENCE):
        while not wanted(await http.get(path, headers=MASTER)):  # noqa: ASYNC110
            await trio.sleep(0.1)


async def test_a_second_pod_on_one_file_is_not_ready_and_takes_over_when_the_first_ends(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", {})
    async with trio.open_nursery() as nursery:
        ending = trio.Event()

        async def first(task_status: trio.TaskStatus[None]) -> None:
            async with running_collections(tmp_path) as (_, http):
                assert (await http.post("/todos", json={"id": "a"})).status_code == 200
                task_status.started()
                await ending.wait()

        await nursery.start(first)
        async with running_collections(tmp_path) as (_, http):
            await until(http, "/health/ready", lambda answer: answer.status_code == 503)
            assert "(held)" in (await http.get("/health/ready")).json()["reason"]
            refused = await http.post("/todos", json={"id": "b"}, headers=MASTER)
            assert refused.status_code == 503
            figures = (await http.get("/metrics", headers=MASTER)).text
            assert "deployd_store_up 0.0" in figures
            assert 'deployd_store_trouble{reason="held"} 1.0' in figures
            assert 'deployd_store_trouble{reason="full"} 0.0' in figures
            ending.set()
            await until(http, "/health/ready", lambda answer: answer.status_code == 200)
            await until(http, "/todos/a", lambda answer: answer.status_code == 200)
            assert (await http.post("/todos", json={"id": "b"})).status_code == 200


async def test_a_file_that_goes_is_missed_and_another_in_its_place_is_used(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {"properties": {"n": {"type": "number", "unique": True}}})
    file = tmp_path / "data" / "documents.db"
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.send("join", room="collection:todos")
        await client.expect("join", room="collection:todos")
        assert (await http.post("/todos", json={"n": 1})).status_code == 200
        await client.expect("emit", event="created")
        for each in list(file.parent.glob("documents.db*")):
            each.unlink()
        assert (await http.post("/todos", json={"n": 2})).status_code == 503
        await until(http, "/health/ready", lambda answer: "(gone)" in answer.text)
        assert not await trio.Path(file).exists()
        await trio.Path(file).touch()
        await until(http, "/health/ready", lambda answer: answer.status_code == 200)
        await until(http, "/todos", lambda answer: answer.status_code == 200)
        assert (await http.get("/todos")).json() == []
        for number in range(3):  # numbers of changes begin anew, and none is taken for an old one
            assert (await http.post("/todos", json={"n": number})).status_code == 200
            assert (await client.expect("emit", event="created"))["data"]["n"] == number
        assert (await http.post("/todos", json={"n": 1})).status_code == 400


async def test_a_pod_may_be_ready_without_its_documents(tmp_path: Path) -> None:
    config = collections_config(tmp_path)
    url = "postgresql://nobody@127.0.0.1:1/none"
    for ready, status in (("require_store", 503), ("ignore_store", 200)):
        store = evolve(config.store, url=url, ready=ready)
        async with running_collections(tmp_path, evolve(config, store=store)) as (_, http):
            await until(http, "/metrics", lambda answer: "deployd_store_up 0.0" in answer.text)
            answer = await http.get("/health/ready")
            assert answer.status_code == status
            assert status == 200 or "(unreachable)" in answer.json()["reason"]
