"""Many documents in one request: an array that is added, and what a query finds that is removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from deployd.documents.collections.reading import Reader
from support import (
    MASTER,
    collections_config,
    connected,
    running_collections,
    write_collection,
)


async def test_an_array_is_added_in_one_transaction_and_told_in_its_order(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {"properties": {"n": {"type": "number", "unique": True}}})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("collection:todos")
        made = await http.post("/todos", json=[{"n": n, "id": f"t{n}"} for n in range(3)])
        assert made.status_code == 200
        assert [(each["id"], each["n"]) for each in made.json()] == [
            ("t0", 0),
            ("t1", 1),
            ("t2", 2),
        ]
        assert [(await client.expect("emit"))["data"] for _ in range(3)] == made.json()
        for again in ([{"n": 3}, {"n": 0}], [{"n": 4}, {"n": 4}], [{"n": 5}, {"id": "t0"}]):
            refused = await http.post("/todos", json=again)
            assert refused.status_code == 400
            assert "None of these 2 is done" in refused.json()["error"]
            assert [error["field"][:2] for error in refused.json()["errors"]] == ["1."]
        wrong = await http.post("/todos", json=[{"n": "x"}, {"n": 6}, {"n": "y"}])
        assert [each["field"] for each in wrong.json()["errors"]] == ["0.n", "2.n"]
        assert (await http.get("/todos/count")).json() == {"count": 3}
        await http.post("/todos", json={"n": 7})
        assert (await client.expect("emit"))["data"]["n"] == 7


@pytest.mark.parametrize(
    ("body", "status"),
    [([], 400), ([{}, 1], 400), ([[{}]], 400), ([{}] * 11, 400), ([{}] * 10, 200)],
    ids=["empty", "a number", "an array", "too many", "as many as may be"],
)
async def test_what_is_added_at_once_are_some_objects_and_not_too_many(
    tmp_path: Path, body: Any, status: int
) -> None:
    write_collection(tmp_path, "todos", {})
    config = collections_config(tmp_path)
    config = evolve(config, store=evolve(config.store, max_limit=10))
    async with running_collections(tmp_path, config) as (_, http):
        assert (await http.post("/todos", json=body)).status_code == status
        assert (await http.get("/todos/count")).json()["count"] == (10 if status == 200 else 0)
        for path in ("/todos/query", "/todos/count", "/users"):
            assert (await http.post(path, json=[{}], headers=MASTER)).status_code == 400


async def test_scripts_see_each_of_what_is_added_at_once_and_one_refusal_undoes_all(
    tmp_path: Path,
) -> None:
    scripts = {
        "beforerequest": "def run(ctx):\n    ctx.data['before'] = ctx.data.get('n')\n",
        "validate": "def run(ctx):\n    if ctx.data['n'] < 0:\n        ctx.error('n', 'is low')\n",
        "post": "def run(ctx):\n    ctx.data['double'] = 2 * ctx.data['n']\n",
        "aftercommit": "def run(ctx):\n    ctx.emit('after', ctx.data['n'])\n",
    }
    write_collection(tmp_path, "todos", {}, scripts)
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        refused = await http.post("/todos", json=[{"n": 1}, {"n": -1}])
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "1.n")
        assert (await http.get("/todos")).json() == []
        made = (await http.post("/todos", json=[{"n": 1}, {"n": 2}])).json()
        assert [(each["before"], each["double"]) for each in made] == [(1, 2), (2, 4)]
        assert [(await client.expect("emit", event="after"))["data"] for _ in range(2)] == [1, 2]


async def test_root_removes_what_a_query_finds_and_nobody_else_does(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await http.post("/todos", json=[{"id": f"t{n}", "done": n % 2 == 0} for n in range(5)])
        await client.join("collection:todos")
        ada = {"Authorization": f"Bearer {pod.tokens.sign('ada', ttl=60)}"}
        assert (await http.delete("/todos?done=true")).status_code == 401
        assert (await http.delete("/todos?done=true", headers=ada)).status_code == 403
        for query in ("", "?$limit=1", "?done=true&$skip=1", "?done.$oops=1"):
            assert (await http.delete(f"/todos{query}", headers=MASTER)).status_code == 400
        gone = await http.delete("/todos?done=true&$limit=2", headers=MASTER)
        assert (gone.json(), "X-Truncated" in gone.headers) == ({"deleted": 2}, False)
        heard = [await client.expect("emit", event="deleted") for _ in range(2)]
        assert [each["data"]["id"] for each in heard] == ["t0", "t2"]
        assert (await http.delete("/todos?done=true", headers=MASTER)).json() == {"deleted": 1}
        assert (await http.delete("/todos?done=true", headers=MASTER)).json() == {"deleted": 0}
        assert [each["id"] for each in (await http.get("/todos")).json()] == ["t1", "t3"]


async def test_a_script_that_keeps_one_document_keeps_all_that_would_go_with_it(
    tmp_path: Path,
) -> None:
    keeps = "def run(ctx):\n    if ctx.data.get('kept'):\n        ctx.cancel('it stays', 409)\n"
    write_collection(tmp_path, "todos", {}, {"delete": keeps})
    async with running_collections(tmp_path) as (_, http):
        await http.post("/todos", json=[{"n": 1}, {"n": 2, "kept": True}])
        refused = await http.delete("/todos?n.$gt=0", headers=MASTER)
        assert refused.status_code == 409
        assert "it stays" in refused.json()["error"]
        assert (await http.get("/todos/count")).json() == {"count": 2}
        assert (await http.delete("/todos?n=1", headers=MASTER)).json() == {"deleted": 1}


async def test_more_than_a_bound_allows_is_removed_in_steps_that_say_so(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {})
    config = collections_config(tmp_path)
    config = evolve(config, store=evolve(config.store, max_limit=2))
    async with running_collections(tmp_path, config) as (_, http):
        for _ in range(3):
            await http.post("/todos", json={})
        steps = [await http.delete("/todos?id.$exists=true", headers=MASTER) for _ in range(2)]
        assert [each.json()["deleted"] for each in steps] == [2, 1]
        assert ["X-Truncated" in each.headers for each in steps] == [True, False]


@pytest.mark.parametrize("script", ["", "def run(ctx):\n    pass\n"], ids=["plain", "scripted"])
async def test_what_is_changed_while_it_is_found_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    write_collection(tmp_path, "todos", {}, {"delete": script} if script else {})
    find, changes = Reader.versions, iter([{"done": False}, {"n": 1}])
    async with running_collections(tmp_path) as (_, http):
        await http.post("/todos", json=[{"id": n, "done": True} for n in "abc"])

        async def meanwhile(*args: Any) -> Any:
            found = await find(*args)
            change = next(changes, None)
            if change is not None:
                await http.put("/todos/b", json=change)
            return found

        monkeypatch.setattr(Reader, "versions", meanwhile)
        assert (await http.delete("/todos?done=true", headers=MASTER)).json() == {"deleted": 2}
        assert [each["id"] for each in (await http.get("/todos")).json()] == ["b"]


async def test_a_long_list_comes_compressed_and_a_document_with_its_tag_as_it_is(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", {})
    async with running_collections(tmp_path) as (_, http):
        await http.post("/todos", json=[{"id": f"t{n}", "text": "x" * 500} for n in range(50)])
        await http.post("/todos", json={"id": "long", "text": "x" * 50_000})
        found = await http.get("/todos?id.$ne=long")
        assert (found.headers["Content-Encoding"], len(found.json())) == ("gzip", 50)
        assert int(found.headers["Content-Length"]) < 5000
        head = await http.head("/todos?id.$ne=long")
        assert head.headers["Content-Length"] == found.headers["Content-Length"]
        one = await http.get("/todos/long")
        assert "Content-Encoding" not in one.headers
        sent = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        refused = await http.post("/todos", content=b"\x1f\x8b", headers=sent)
        assert (refused.status_code, refused.headers["Accept-Encoding"]) == (415, "identity")
