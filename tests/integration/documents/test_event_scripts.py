"""Event scripts in a running pod: when they run, what they decide, and what their failures cost."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve
from structlog.testing import capture_logs

from support import collections_config, connected, running_collections, write_collection

NOTE = "    ctx.data.setdefault('ran', []).append(__name__.rpartition('.')[2])"


def noting(kind: str = "def") -> str:
    return f"{kind} run(ctx):\n{NOTE}\n"


async def test_the_scripts_of_a_write_run_in_their_order_and_see_each_others_changes(
    tmp_path: Path,
) -> None:
    events = ("beforerequest", "validate", "post", "put", "delete", "aftercommit", "get")
    scripts = {event: noting("async def" if event == "post" else "def") for event in events}
    write_collection(tmp_path, "todos", {}, scripts)
    async with running_collections(tmp_path) as (_, http):
        made = (await http.post("/todos", json={})).json()
        assert made["ran"] == ["beforerequest", "validate", "post", "get"]
        changed = (await http.put(f"/todos/{made['id']}", json={"ran": []})).json()
        assert changed["ran"] == ["beforerequest", "validate", "put", "get"]
        read = (await http.get(f"/todos/{made['id']}")).json()
        assert read == changed
        assert (await http.delete(f"/todos/{made['id']}")).json() == {"deleted": 1}


DECISIONS = """
def run(ctx):
    what = ctx.data.get("what")
    if what == "error":
        ctx.error("title", "is too short")
        ctx.error("what", "is wrong")
    if what == "cancel":
        ctx.cancel("closed on Sundays", 409)
    if what == "raise":
        raise RuntimeError("a secret of the script")
    if what == "exit":
        raise SystemExit(3)
    if what == "respond":
        ctx.set_response({"ticket": 7}, 202, {"X-Queue": "slow"})
    if what == "nonsense":
        ctx.data["when"] = object()
    if what == "wrong":
        ctx.data["title"] = 7
    ctx.protect("price")
"""
TODOS = {"properties": {"title": {"type": "string", "default": "none"}}}


async def test_what_a_script_decides_is_done_and_what_it_refuses_is_not_written(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", TODOS, {"validate": DECISIONS})
    async with running_collections(tmp_path) as (_, http):

        async def post(what: str) -> httpx.Response:
            return await http.post("/todos", json={"what": what})

        refused = await post("error")
        assert refused.status_code == 400
        assert [e["field"] for e in refused.json()["errors"]] == ["title", "what"]
        cancelled = await post("cancel")
        assert (cancelled.status_code, cancelled.json()) == (409, {"error": "closed on Sundays"})
        for what in ("raise", "exit", "nonsense"):
            failed = await post(what)
            assert failed.status_code == 500
            assert "todos/validate.py" in failed.json()["error"]
            assert "secret" not in failed.text
        wrong = await post("wrong")
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "title")
        assert (await http.get("/todos/count")).json() == {"count": 0}
        answered = await post("respond")
        assert (answered.status_code, answered.json()) == (202, {"ticket": 7})
        assert answered.headers["x-queue"] == "slow"
        assert (await http.get("/todos/count")).json() == {"count": 1}


async def test_what_a_script_protects_stays_as_it_was(tmp_path: Path) -> None:
    write_collection(tmp_path, "wares", {}, {"validate": DECISIONS})
    async with running_collections(tmp_path) as (_, http):
        made = (await http.post("/wares", json={"name": "tea", "price": 3})).json()
        assert "price" not in made
        changed = (await http.put(f"/wares/{made['id']}", json={"name": "gin", "price": 9})).json()
        assert changed["name"] == "gin"
        assert "price" not in changed


async def test_what_a_script_hides_is_written_and_not_in_the_answer(tmp_path: Path) -> None:
    scripts = {
        "validate": "def run(ctx):\n    ctx.hide('price')\n",
        "post": "def run(ctx):\n    ctx.hide('cost')\n",
    }
    write_collection(tmp_path, "wares", {}, scripts)
    async with running_collections(tmp_path) as (_, http):
        made = (await http.post("/wares", json={"price": 3, "cost": 2, "name": "tea"})).json()
        assert {"price", "cost"}.isdisjoint(made)
        stored = (await http.get(f"/wares/{made['id']}")).json()
        assert (stored["price"], stored["cost"], stored["name"]) == (3, 2, "tea")


async def test_a_script_cannot_change_what_the_pod_alone_writes(tmp_path: Path) -> None:
    script = "def run(ctx):\n    ctx.data.update(id='x', createdAt='y', updatedAt='z')\n"
    write_collection(tmp_path, "todos", {}, {"post": script})
    async with running_collections(tmp_path) as (_, http):
        made = (await http.post("/todos", json={"id": "mine"})).json()
        assert made["id"] == "mine"
        assert made["createdAt"] == made["updatedAt"] != "y"


async def test_a_script_before_the_request_can_narrow_what_is_asked(tmp_path: Path) -> None:
    script = "def run(ctx):\n    if ctx.method == 'GET':\n        ctx.query['public'] = True\n"
    write_collection(tmp_path, "notes", {}, {"beforerequest": script})
    async with running_collections(tmp_path) as (_, http):
        await http.post("/notes", json={"public": True, "n": 1})
        await http.post("/notes", json={"public": False, "n": 2})
        assert [note["n"] for note in (await http.get("/notes")).json()] == [1]
        assert (await http.get("/notes/count?public=false")).json() == {"count": 1}


async def test_what_a_get_script_fails_on_is_left_out_of_a_list_and_a_500_alone(
    tmp_path: Path,
) -> None:
    script = "def run(ctx):\n    1 / ctx.data['n']\n"
    write_collection(tmp_path, "notes", {}, {"get": script})
    async with running_collections(tmp_path) as (_, http):
        made = [(await http.post("/notes", json={"n": n})).json() for n in range(3)]
        assert [note["n"] for note in (await http.get("/notes")).json()] == [1, 2]
        assert (await http.get(f"/notes/{made[0]['id']}")).status_code == 500


async def test_a_script_emits_with_a_receipt(tmp_path: Path) -> None:
    script = (
        "def run(ctx):\n"
        "    receipt = ctx.emit('posted', {'by': 'script'}, 'lobby')\n"
        "    ctx.data['scope'] = receipt.scope\n"
        "    ctx.emit('everyone', 1)\n"
    )
    write_collection(tmp_path, "todos", {}, {"post": script})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("lobby")
        assert (await http.post("/todos", json={})).json()["scope"] == "local"
        heard = [await client.expect("emit") for _ in range(2)]
        assert {(m["event"], m.get("room")) for m in heard} == {
            ("posted", "lobby"),
            ("everyone", None),
        }


INSIDE = """
{kind} run(ctx):
    log = {wait}ctx.collections.log.post({{"of": ctx.data["id"], "by": ctx.me and ctx.me["id"]}})
    found = {wait}ctx.collections.log.get({{"of": ctx.data["id"]}})
    one = {wait}ctx.collections.log.get(log["id"])
    count = {wait}ctx.collections.log.count()
    changed = {wait}ctx.collections.log.put(log["id"], {{"seen": True}})
    {wait}ctx.collections.log.delete(log["id"])
    ctx.data["inside"] = [len(found), one == log, count, changed["seen"]]
"""


async def test_scripts_use_other_collections_as_the_pod_itself(tmp_path: Path) -> None:
    closed = {"get": "root", "post": "root", "put": "root", "delete": "root"}
    write_collection(tmp_path, "log", {"access": closed})
    write_collection(tmp_path, "sync", {}, {"post": INSIDE.format(kind="def", wait="")})
    write_collection(tmp_path, "trio", {}, {"post": INSIDE.format(kind="async def", wait="await ")})
    async with running_collections(tmp_path) as (_, http):
        for name in ("sync", "trio"):
            made = (await http.post(f"/{name}", json={})).json()
            assert made["inside"] == [1, True, 1, True], name
        assert (await http.get("/log")).status_code == 401


async def test_a_script_may_write_to_its_own_collection_without_waiting_for_itself(
    tmp_path: Path,
) -> None:
    script = (
        "def run(ctx):\n"
        "    if not ctx.internal:\n"
        "        twin = ctx.collections.todos.post({'twin': True})\n"
        "        ctx.data['twin'] = twin['id']\n"
    )
    write_collection(tmp_path, "todos", {}, {"post": script})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("collection:todos")
        made = (await http.post("/todos", json={})).json()
        first, second = [(await client.expect("emit"))["data"] for _ in range(2)]
        assert (first["id"], second["id"]) == (made["twin"], made["id"])


async def test_scripts_that_call_each_other_for_ever_are_ended(tmp_path: Path) -> None:
    for name, other in (("ping", "pong"), ("pong", "ping")):
        script = f"def run(ctx):\n    ctx.collections.{other}.get()\n"
        write_collection(tmp_path, name, {}, {"get": script})
    post = "def run(ctx):\n    ctx.collections.again.post({})\n"
    write_collection(tmp_path, "again", {}, {"post": post})
    async with running_collections(tmp_path) as (_, http):
        await http.post("/ping", json={})
        await http.post("/pong", json={})
        # Eight calls down the script fails, and each list above only lacks what failed below it.
        assert len((await http.get("/ping")).json()) == 1
        assert (await http.post("/again", json={})).status_code == 508
        assert (await http.get("/again")).json() == []


async def test_scripts_that_write_to_each_others_collections_at_once_do_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossing = SimpleNamespace(barrier=threading.Barrier(3, timeout=5))
    monkeypatch.setitem(sys.modules, "crossing", crossing)
    names = ("tea", "milk", "cups")
    for name, other in zip(names, (*names[1:], names[0]), strict=True):
        script = (
            "from crossing import barrier\n"
            "def run(ctx):\n"
            "    if not ctx.internal:\n"
            "        barrier.wait()\n"
            f"        ctx.collections.{other}.post({{'of': '{name}'}})\n"
        )
        write_collection(tmp_path, name, {}, {"post": script})
    async with running_collections(tmp_path) as (_, http):
        statuses = []

        async def add(name: str) -> None:
            statuses.append((await http.post(f"/{name}", json={})).status_code)

        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(add, name)
        assert statuses == [200] * 3
        counts = [(await http.get(f"/{name}/count")).json()["count"] for name in names]
        assert counts == [2, 2, 2]


async def test_a_script_over_its_time_is_ended_and_the_next_write_goes_on(tmp_path: Path) -> None:
    script = "import time\ndef run(ctx):\n    while ctx.data.get('slow'):\n        pass\n"
    write_collection(tmp_path, "todos", {}, {"validate": script})
    config = collections_config(tmp_path)
    config = evolve(config, collections=evolve(config.collections, script_timeout=0.2))
    async with running_collections(tmp_path, config) as (_, http):
        slow = await http.post("/todos", json={"slow": True})
        assert slow.status_code == 500
        assert "too long" in slow.json()["error"]
        assert (await http.post("/todos", json={})).status_code == 200


async def test_what_aftercommit_does_comes_after_the_commit_and_undoes_nothing(
    tmp_path: Path,
) -> None:
    script = (
        "def run(ctx):\n"
        "    found = ctx.collections.todos.get(ctx.data['id'])\n"
        "    ctx.emit('committed', found['id'], 'lobby')\n"
        "    raise RuntimeError('too late')\n"
    )
    write_collection(tmp_path, "todos", {}, {"aftercommit": script})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("lobby")
        made = await http.post("/todos", json={})
        assert made.status_code == 200
        assert (await client.expect("emit", event="committed"))["data"] == made.json()["id"]
        assert (await http.get("/todos")).json() == [made.json()]


async def test_what_is_refused_a_script_keeps_its_status_and_its_sentence(tmp_path: Path) -> None:
    ask = "ctx.collections.users.get(ctx.data['author'])"
    write_collection(tmp_path, "posts", {}, {"post": f"def run(ctx):\n    {ask}\n"})
    again = "await ctx.collections.loop.post({})"
    write_collection(tmp_path, "loop", {}, {"post": f"async def run(ctx):\n    {again}\n"})
    needs = {"strict": True, "properties": {"a": {"type": "number", "required": True}}}
    write_collection(tmp_path, "strict", needs)
    inner = "ctx.collections.strict.post({'b': 1})"
    write_collection(tmp_path, "outer", {}, {"post": f"def run(ctx):\n    {inner}\n"})
    async with running_collections(tmp_path) as (_, http):
        missing = await http.post("/posts", json={"author": "nobody"})
        assert (missing.status_code, "no such document" in missing.text) == (404, True)
        wrong = await http.post("/outer", json={})
        assert wrong.status_code == 400
        assert [error["field"] for error in wrong.json()["errors"]] == ["a", "b"]
        assert (await http.post("/loop", json={})).status_code == 508
        for name in ("posts", "outer", "loop"):
            assert (await http.get(f"/{name}")).json() == []


async def test_aftercommit_holds_up_no_other_write(tmp_path: Path) -> None:
    script = (
        "import trio\n"
        "other = trio.Event()\n"
        "async def run(ctx):\n"
        "    ctx.emit('begun', ctx.data['id'], 'lobby')\n"
        "    if ctx.data['id'] == 'second':\n"
        "        other.set()\n"
        "    await other.wait()\n"
    )
    write_collection(tmp_path, "todos", {}, {"aftercommit": script})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("lobby")
        answers: list[int] = []

        async def post(id_: str) -> None:
            answers.append((await http.post("/todos", json={"id": id_})).status_code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post, "first")
            assert (await client.expect("emit", event="begun"))["data"] == "first"
            nursery.start_soon(post, "second")
        assert answers == [200, 200]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_script_gets_all_of_a_list_and_all_pages_of_a_longer_one(
    tmp_path: Path, kind: str
) -> None:
    wait, each = ("await ", "async ") if kind == "async def" else ("", "")
    query = "{'n': {'$gte': 2}}"
    script = (
        f"{kind} run(ctx):\n"
        f"    ctx.data['got'] = len({wait}ctx.collections.todos.get({query}))\n"
        f"    ctx.data['all'] = [x['n'] {each}for x in ctx.collections.todos.all({query})]\n"
        "    if ctx.query:\n"
        f"        {wait}ctx.collections.todos.get()\n"
    )
    write_collection(tmp_path, "todos", {})
    write_collection(tmp_path, "report", {"noStore": True}, {"get": script})
    config = collections_config(tmp_path)
    config = evolve(
        config,
        store=evolve(config.store, max_limit=3),
        collections=evolve(config.collections, scan_limit=8),
    )
    async with running_collections(tmp_path, config) as (_, http):
        for n in range(10):
            await http.post("/todos", json={"id": f"{9 - n}", "n": n})
        found = (await http.get("/report")).json()
        assert (found["got"], found["all"]) == (8, [9, 8, 7, 6, 5, 4, 3, 2])
        refused = await http.get("/report?more=1")
        assert (refused.status_code, "all()" in refused.text) == (400, True)
        assert len((await http.get("/todos")).json()) == 3


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    "call", ["get(None)", "get([])", "count(None)", "post([{'a': 1, 'b': 2}])", "put('x', None)"]
)
async def test_a_script_that_has_nothing_to_ask_by_does_not_ask_for_everything(
    tmp_path: Path, kind: str, call: str
) -> None:
    waits = "await " if kind == "async def" else ""
    script = (
        f"{kind} run(ctx):\n"
        "    try:\n"
        f"        {waits}ctx.collections.notes.{call}\n"
        "    except TypeError as error:\n"
        "        ctx.data['why'] = str(error)\n"
    )
    write_collection(tmp_path, "notes", {})
    write_collection(tmp_path, "todos", {}, {"post": script})
    async with running_collections(tmp_path) as (_, http):
        assert "takes dicts" in (await http.post("/todos", json={})).json()["why"]
        assert (await http.get("/notes")).json() == []


async def test_a_collection_that_keeps_nothing_only_runs_its_scripts(tmp_path: Path) -> None:
    script = (
        "def run(ctx):\n"
        "    if ctx.parts[:1] == ['teapot']:\n"
        "        ctx.cancel('short and stout', 418)\n"
        "    ctx.data['sum'] = sum(ctx.data.get('numbers', []))\n"
    )
    write_collection(tmp_path, "sums", {"noStore": True}, {"post": script, "get": script})
    async with running_collections(tmp_path) as (_, http):
        answer = (await http.post("/sums/a/b", json={"numbers": [1, 2]})).json()
        assert answer == {"url": "/a/b", "parts": ["a", "b"], "numbers": [1, 2], "sum": 3}
        assert (await http.get("/sums")).json()["sum"] == 0
        teapot = await http.get("/sums/teapot")
        assert (teapot.status_code, teapot.json()["error"]) == (418, "short and stout")
        assert (await http.put("/sums/a", json={})).status_code == 405


async def test_a_broken_script_fails_its_own_event_and_no_other(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {}, {"post": "def run(ctx:\n", "put": noting()})
    async with running_collections(tmp_path) as (_, http):
        answer = await http.post("/todos", json={})
        assert answer.status_code == 500
        assert "todos/post.py cannot be loaded" in answer.json()["error"]
        assert (await http.get("/todos")).json() == []


async def until(http: httpx.AsyncClient, path: str, key: str, value: Any) -> None:
    """Post until the answer shows a change of a file, which the pod looks for each second."""
    with trio.fail_after(10):
        while (await http.post(path, json={})).json().get(key) != value:  # noqa: ASYNC110
            await trio.sleep(0.05)


async def test_in_development_a_saved_script_and_a_saved_definition_count_at_once(
    tmp_path: Path,
) -> None:
    place = write_collection(tmp_path, "todos", {}, {"post": "def run(ctx): ctx.data['v'] = 1"})
    async with running_collections(tmp_path, dev=True) as (_, http):
        await until(http, "/todos", "v", 1)
        (place / "post.py").write_text("def run(ctx): ctx.data['v'] = 'two'")
        await until(http, "/todos", "v", "two")
        (place / "post.py").unlink()
        await until(http, "/todos", "v", None)
        (place / "config.json").write_text(
            '{"properties": {"new": {"type": "string", "default": "yes"}}}'
        )
        await until(http, "/todos", "new", "yes")


async def test_a_failing_script_is_named_in_the_log_with_its_line(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {}, {"post": "def run(ctx):\n    return 1 / 0\n"})
    with capture_logs() as lines:
        async with running_collections(tmp_path) as (_, http):
            await http.post("/todos", json={})
    [told] = [line for line in lines if line["event"] == "script failed"]
    assert (told["script"], told["line"]) == ("todos/post.py", 2)
