"""Definitions and folders that change while a pod runs: no document and no change is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve

from deployd.documents.collections import collection as collection_module
from deployd.supervisors import Pod
from support import (
    Client,
    collections_config,
    connected,
    find_node,
    running_collections,
    write_collection,
)
from support.collections import MASTER

PATIENCE = 30.0
ROOM = "collection:todos"


@asynccontextmanager
async def pod_on(folder: Path, url: str) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    """Run a pod that reloads what changes, on a database of this kind."""
    config = collections_config(folder)
    config = evolve(config, store=evolve(config.store, url=url))
    async with running_collections(folder, config, dev=True) as running:
        yield running


async def until(http: httpx.AsyncClient, path: str, wanted: Any) -> None:
    """Look until it is so: files are looked at once a second."""
    with trio.fail_after(PATIENCE):
        while not wanted(await http.get(path, headers=MASTER)):  # noqa: ASYNC110
            await trio.sleep(0.1)


async def redefined(http: httpx.AsyncClient, folder: Path, definition: dict[str, Any]) -> None:
    """Write a definition, and return when the pod goes by it."""
    write_collection(folder, "todos", definition)
    names = list(definition["properties"])
    await until(
        http, "/api/docs/openapi.json", lambda told: all(f'"{name}"' in told.text for name in names)
    )


async def test_values_that_clash_can_be_read_mended_and_then_are_unique(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_module, "RELAY_AGAIN", 0.1)
    write_collection(tmp_path, "todos", {})
    async with pod_on(tmp_path, url) as (pod, http):
        for id_ in ("a", "b"):
            await http.post("/todos", json={"id": id_, "slug": "same"})
        slug = {"slug": {"type": "string", "unique": True}}
        await redefined(http, tmp_path, {"properties": slug})
        assert len((await http.get("/todos")).json()) == 2
        assert (await http.post("/todos", json={"slug": "same"})).status_code == 400
        assert (await http.put("/todos/a", json={"done": True})).status_code == 200
        await until(http, "/health/live", lambda _: bool(_misfits(pod)))
        assert "a and b" in str(_misfits(pod))
        assert (await http.put("/todos/b", json={"slug": "other"})).status_code == 200
        await until(http, "/health/live", lambda _: not _misfits(pod))
        assert (await http.post("/todos", json={"slug": "other"})).status_code == 400


def _misfits(pod: Pod) -> Any:
    return find_node(pod.tree(), "pod/collections/todos").detail["misfits"]


async def test_documents_that_do_not_fit_any_more_are_changed_and_mended(
    tmp_path: Path, url: str
) -> None:
    old = {"strict": True, "properties": {"old": {"type": "string"}, "n": {"type": "string"}}}
    write_collection(tmp_path, "todos", old, {"validate": "def run(ctx):\n    ctx.data['n']\n"})
    async with pod_on(tmp_path, url) as (_, http):
        await http.post("/todos", json={"id": "a", "old": "x", "n": "12"})
        properties = {"n": {"type": "number"}, "headline": {"type": "string", "required": True}}
        await redefined(http, tmp_path, {"strict": True, "properties": properties})
        answer = await http.put("/todos/a", json={"headline": "new"})
        assert (answer.status_code, answer.json()["old"]) == (200, "x")
        answer = await http.put("/todos/a", json={"old": None, "n": 12})
        assert (answer.status_code, "old" in answer.json()) == (200, False)
        assert (await http.put("/todos/a", json={"n": "13"})).status_code == 400


async def test_a_collection_that_kept_nothing_keeps_and_tells_from_now_on(
    tmp_path: Path, url: str
) -> None:
    folder = write_collection(
        tmp_path, "todos", {"noStore": True}, {"get": "def run(ctx):\n    pass\n"}
    )
    async with pod_on(tmp_path, url) as (pod, http), connected(pod) as [client]:
        assert (await http.get("/todos")).json() == {"url": "/", "parts": []}
        (folder / "get.py").unlink()
        await redefined(http, tmp_path, {"properties": {"amount": {"type": "number"}}})
        await _join(client)
        for number in range(3):
            assert (await http.post("/todos", json={"amount": number})).status_code == 200
            told = await client.expect("emit", event="created")
            assert told["data"]["amount"] == number
        write_collection(tmp_path, "todos", {"noStore": True}, {"get": "def run(ctx): pass\n"})
        await until(http, "/todos", lambda answer: answer.json() == {"url": "/", "parts": []})
        await redefined(http, tmp_path, {"properties": {"heaviness": {"type": "number"}}})
        (folder / "get.py").unlink()
        await until(http, "/todos/count", lambda answer: answer.json() == {"count": 3})


async def _join(client: Client) -> None:
    await client.send("join", room=ROOM)
    await client.expect("join", room=ROOM)


async def test_scripts_ask_collections_that_keep_nothing_as_clients_do(tmp_path: Path) -> None:
    mail = {
        "post": "def run(ctx):\n    ctx.set_response({'sent': ctx.data['to'], 'at': ctx.parts})\n",
        "get": "def run(ctx):\n    ctx.data['asked'] = ctx.query.get('to')\n",
    }
    asks = (
        "def run(ctx):\n"
        "    ctx.data['sent'] = ctx.collections.mail.post({'to': 'ada'})\n"
        "    ctx.data['found'] = ctx.collections.mail.get({'to': 'ben'})\n"
    )
    write_collection(tmp_path, "mail", {"noStore": True}, mail)
    write_collection(tmp_path, "orders", {}, {"post": asks})
    write_collection(
        tmp_path, "bad", {}, {"post": "def run(ctx):\n    ctx.collections.mail.delete('x')\n"}
    )
    async with running_collections(tmp_path) as (pod, http):
        made = (await http.post("/orders", json={})).json()
        assert made["sent"] == {"sent": "ada", "at": []}
        assert made["found"] == {"asked": "ben", "url": "/", "parts": []}
        assert (await http.post("/bad", json={})).status_code in (405, 500)
        assert find_node(pod.tree(), "pod/collections/mail").restarts == 0
        answer = await http.post("/mail/x", json={"to": 1, "parts": ["other"], "url": "/other"})
        assert answer.json() == {"sent": 1, "at": ["x"]}


async def test_the_path_of_a_request_is_not_what_its_body_says(tmp_path: Path) -> None:
    script = "def run(ctx):\n    pass\n"
    write_collection(tmp_path, "hook", {"noStore": True}, {"post": script})
    async with running_collections(tmp_path) as (_, http):
        answer = await http.post("/hook/public/1", json={"parts": ["admin"], "url": "/admin"})
        assert answer.json() == {"parts": ["public", "1"], "url": "/public/1"}


async def test_a_folder_that_comes_back_brings_its_documents_and_changes_are_heard(
    tmp_path: Path, url: str
) -> None:
    folder = write_collection(tmp_path, "todos", {})
    async with pod_on(tmp_path, url) as (pod, http), connected(pod) as [client]:
        await _join(client)
        await http.post("/todos", json={"id": "a"})
        await client.expect("emit", event="created")
        shutil.rmtree(folder)
        await until(http, "/todos", lambda answer: answer.status_code == 404)
        assert "todos" not in (await http.get("/collections")).json()
        assert all("todos" not in line for line in _living(pod))
        write_collection(tmp_path, "todos", {})
        await until(http, "/todos/a", lambda answer: answer.status_code == 200)
        await http.put("/todos/a", json={"done": True})
        told = await client.expect("emit")
        assert (told["event"], told["data"]["done"]) == ("updated", True)


def _living(pod: Pod) -> list[str]:
    return [child.path for child in find_node(pod.tree(), "pod/collections").children]


async def test_writes_under_way_when_a_folder_goes_are_done_or_said_not_to_be(
    tmp_path: Path,
) -> None:
    folder = write_collection(tmp_path, "todos", {})
    answers: list[int] = []
    async with running_collections(tmp_path) as (_, http):

        async def write(number: int) -> None:
            for count in range(200):
                body = {"id": f"{number}-{count}"}
                answers.append((await http.post("/todos", json=body)).status_code)
                if answers[-1] == 404:
                    return

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(write, number)
            shutil.rmtree(folder, ignore_errors=True)
        (folder).mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({}))
        await until(http, "/todos/count", lambda answer: answer.status_code == 200)
        count = (await http.get("/todos/count")).json()["count"]
    assert set(answers) <= {200, 404, 503}
    assert count == answers.count(200)
