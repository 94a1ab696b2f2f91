"""Collections over HTTP, in a running pod: what is asked, what is answered, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from support import MASTER, collections_config, running_collections, write_collection

TODOS = {
    "properties": {
        "title": {"type": "string", "required": True, "unique": True},
        "done": {"type": "boolean", "default": False},
        "due": {"type": "date"},
        "weight": {"type": "number", "index": True},
    }
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_collection(tmp_path, "todos", TODOS)
    return tmp_path


async def test_a_document_is_created_read_changed_counted_and_removed(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        made = (await http.post("/todos", json={"title": "Buy milk", "extra": [1]})).json()
        assert made["done"] is False
        assert made["createdAt"] == made["updatedAt"]
        path = f"/todos/{made['id']}"
        assert (await http.get(path)).json() == made
        assert (await http.get("/todos")).json() == [made]
        changed = (await http.put(path, json={"done": True})).json()
        assert changed == {**made, "done": True, "updatedAt": changed["updatedAt"]}
        assert (await http.get("/todos/count")).json() == {"count": 1}
        assert (await http.get("/todos/count?done=false")).json() == {"count": 0}
        assert (await http.delete(path)).json() == {"deleted": 1}
        assert (await http.get(path)).status_code == 404
        assert (await http.get("/todos")).json() == []


async def test_both_forms_of_queries_are_understood(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        for number in range(6):
            await http.post("/todos", json={"title": f"t{number}", "weight": number})

        async def titles(query: str) -> list[str]:
            return [todo["title"] for todo in (await http.get(f"/todos?{query}")).json()]

        assert await titles("weight.$gte=4") == ["t4", "t5"]
        assert await titles('weight={"$gte":4}') == ["t4", "t5"]
        assert await titles("title=%22t1%22") == ["t1"]
        assert await titles("title=t1") == ["t1"]
        assert await titles("$sort.weight=-1&$limit=2&$skip=1") == ["t4", "t3"]
        assert await titles('$sort={"weight":-1}&$limit=1') == ["t5"]
        assert await titles('$or=[{"weight":1},{"title":"t3"}]') == ["t1", "t3"]
        shown = (await http.get('/todos?title=t1&$fields={"weight":1}')).json()
        assert [sorted(todo) for todo in shown] == [["id", "weight"]]


async def test_a_query_may_be_posted_where_a_url_is_too_short_for_it(folder: Path) -> None:
    write_collection(folder, "runs", {"noStore": True}, {"post": "def run(ctx):\n    pass\n"})
    async with running_collections(folder) as (_, http):
        ids = [f"{number:024x}" for number in range(1000)]
        for id_ in (ids[0], ids[999]):
            await http.post("/todos", json={"id": id_, "title": id_})
        query = {"id": {"$in": ids}, "$sort": {"id": -1}, "$fields": {"id": 1}}
        found = (await http.post("/todos/query", json=query)).json()
        assert found == [{"id": ids[999]}, {"id": ids[0]}]
        counted = await http.post("/todos/count", json={"id": {"$in": ids[1:]}})
        assert counted.json() == {"count": 1}
        refused = await http.post("/todos/query", json={"weight": {"$gt": "ten"}})
        assert (refused.status_code, "a number" in refused.text) == (400, True)
        twice = await http.post("/todos/query?title=a", json={"title": "a"})
        assert (twice.status_code, "not in both" in twice.text) == (400, True)
        assert (await http.post("/runs/query", json={"a": 1})).json()["parts"] == ["query"]


async def test_a_write_may_say_which_state_of_a_document_it_means(folder: Path) -> None:
    hides = "def run(ctx):\n    ctx.hide('pin')\n"
    write_collection(folder, "scripted", {}, {"get": hides, "validate": "def run(ctx): ...\n"})
    async with running_collections(folder) as (_, http):
        for path in ("/todos/a", "/scripted/a"):
            made = await http.post(path[:-2], json={"id": "a", "title": "a", "pin": 1})
            tag = made.headers["ETag"]
            assert (await http.get(path)).headers["ETag"] == tag
            known = await http.get(path, headers={"If-None-Match": f'W/"x", {tag}'})
            assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", tag)
            changed = await http.put(path, json={"n": 1}, headers={"If-Match": tag})
            assert changed.status_code == 200
            assert changed.headers["ETag"] != tag
            stale = {"If-Match": tag}
            for refused in (
                await http.put(path, json={"n": 2}, headers=stale),
                await http.patch(path, json={"n": 2}, headers=stale),
                await http.delete(path, headers={**MASTER, **stale}),
                await http.put(path, json={"n": 2}, headers={"If-None-Match": "*"}),
                await http.put(
                    path,
                    json={"n": 2},
                    headers={"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
                ),
                await http.post(path[:-2], json={"id": "a"}, headers={"If-None-Match": "*"}),
            ):
                assert (refused.status_code, "read it" in refused.text) == (412, True)
            assert (await http.get(path, headers={"If-None-Match": tag})).json()["n"] == 1
            assert (await http.put(path, json={}, headers={"If-Match": "*"})).status_code == 200


async def test_a_patch_is_merged_into_what_is_there(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        there = {"id": "a", "title": "a", "weight": 1, "at": {"city": "Graz", "zip": {"a": 1}}}
        await http.post("/todos", json=there)
        patch = {"weight": None, "at": {"zip": {"a": None, "b": 2}, "new": {"x": None}}}
        answer = await http.patch(
            "/todos/a",
            content=json.dumps(patch),
            headers={"Content-Type": "application/merge-patch+json"},
        )
        changed = answer.json()
        assert "weight" not in changed
        assert changed["at"] == {"city": "Graz", "zip": {"b": 2}, "new": {}}
        refused = await http.patch("/todos/a", json={"title": None})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "title")
        assert (await http.patch("/todos/a", json={"weight": {"$inc": 2}})).json()["weight"] == 2


async def test_reading_by_post_needs_the_right_to_read(folder: Path) -> None:
    write_collection(folder, "notes", {"access": {"get": "root"}})
    async with running_collections(folder) as (_, http):
        assert (await http.post("/notes/query", json={})).status_code == 401
        assert (await http.post("/notes/count", json={})).status_code == 401


async def test_of_updates_by_operators_at_the_same_time_none_is_lost(folder: Path) -> None:
    write_collection(folder, "slow", {}, {"put": "async def run(ctx):\n    pass\n"})
    async with running_collections(folder) as (_, http):
        for name in ("todos", "slow"):
            await http.post(f"/{name}", json={"id": "a", "title": "a", "log": []})

            async def vote(number: int, name: str = name) -> None:
                changes = {"votes": {"$inc": 1}, "log": {"$push": number}}
                assert (await http.put(f"/{name}/a", json=changes)).status_code == 200

            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(vote, number)
            found = (await http.get(f"/{name}/a")).json()
            assert (found["votes"], sorted(found["log"])) == (20, list(range(20)))


async def test_the_collections_are_listed_and_the_pods_own_paths_stay(folder: Path) -> None:
    write_collection(folder, "notes", {})
    async with running_collections(folder) as (pod, http):
        listed = (await http.get("/collections", headers=MASTER)).json()
        assert listed == ["notes", "todos", "users"]
        assert "/todos" in (await http.get("/api/docs/openapi.json")).json()["paths"]
        assert (await http.get("/health/live")).json()["pod"] == pod.pod_id
        assert (await http.get("/")).headers["content-type"].startswith("text/html")


JSON_KIND = {"Content-Type": "application/json"}
REFUSED: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "/todos", {"json": {}}, 400, "title is required"),
    ("POST", "/todos", {"json": {"title": 7}}, 400, "must be a string"),
    ("POST", "/todos", {"json": {"title": "taken"}}, 400, "is taken by another document"),
    ("POST", "/todos", {"json": {"title": "a", "due": "soon"}}, 400, "must be a date"),
    ("POST", "/todos", {"json": {"title": "a", "id": "a/b"}}, 400, "id must be"),
    ("POST", "/todos", {"json": {"title": "a", "id": "kept"}}, 400, "id is taken"),
    ("POST", "/todos", {"json": [1]}, 400, "Send a JSON object"),
    ("POST", "/todos", {"content": b"{", "headers": JSON_KIND}, 400, "not JSON"),
    ("POST", "/todos", {"content": b"\xff", "headers": JSON_KIND}, 400, "UTF-8"),
    ("POST", "/todos", {"content": b"[" * 100, "headers": JSON_KIND}, 400, "at most 64 levels"),
    ("POST", "/todos", {"content": b"title=a"}, 415, "application/json"),
    ("POST", "/todos", {"data": {"title": "a"}}, 415, "application/json"),
    ("PUT", "/todos/kept", {"json": {"id": "other"}}, 400, "id cannot be changed"),
    ("PUT", "/todos/kept", {"json": {"title": None}}, 400, "title is required"),
    ("PUT", "/todos/kept", {"json": {"title": "x" * 2000}}, 413, "at most 1000 bytes"),
    ("PUT", "/todos/nobody", {"json": {"done": True}}, 404, "no such document"),
    ("DELETE", "/todos/nobody", {}, 404, "no such document"),
    ("GET", "/todos/nobody", {}, 404, "no such document"),
    ("GET", "/nothing", {}, 404, "make the folder 'nothing'"),
    ("POST", "/nothing", {"json": {}}, 404, "make the folder 'nothing'"),
    ("GET", "/a%20b", {}, 404, "letters, digits"),
    ("GET", "/todos?weight.$gx=1", {}, 400, "$gx"),
    ("GET", '/todos?weight={"$gt":', {}, 400, "weight"),
    ("GET", "/todos?$limit=-1", {}, 400, "$limit"),
    ("GET", "/todos?%ff=1", {}, 400, "percent-encoded"),
    ("GET", "/todos?" + "&".join(["a=1"] * 300), {}, 400, "parameters"),
    ("PUT", "/todos", {}, 405, "use DELETE, GET, HEAD, POST"),
    ("POST", "/todos/kept", {}, 405, "use DELETE, GET, HEAD, PATCH, PUT"),
    ("PUT", "/todos/count", {}, 405, "use GET, HEAD, POST."),
    ("GET", "/todos/query", {}, 405, "use POST."),
    ("PUT", "/todos/kept", {"json": {"weight": {"$inc": "1"}}}, 400, "not by"),
    ("PUT", "/todos/kept", {"json": {"address.city": "Wien"}}, 400, "is a path and no name"),
    ("GET", "/todos?weight=ten", {}, 400, "a number"),
    ("DELETE", "/todos", {}, 401, "Sign in"),
    ("PATCH", "/todos", {}, 405, "use DELETE, GET, HEAD, POST"),
    ("GET", "/todos/kept/more", {}, 404, "Read or add documents"),
    ("GET", "/todos/kept%2fmore", {}, 404, "no such document"),
    ("GET", "/todos", {"headers": {"X-Master-Key": "wrong"}}, 401, "master key"),
    ("GET", "/todos", {"headers": {"Authorization": "Bearer x.y.z"}}, 401, "token"),
]  # fmt: skip


async def test_what_will_not_do_is_refused_with_a_sentence_and_nothing_is_written(
    folder: Path,
) -> None:
    config = collections_config(folder)
    config = evolve(config, limits=evolve(config.limits, max_body_bytes=1000))
    async with running_collections(folder, config) as (_, http):
        await http.post("/todos", json={"title": "taken", "id": "kept"})
        before = (await http.get("/todos")).json()
        for method, path, options, status, words in REFUSED:
            answer = await http.request(method, path, **options)
            assert answer.status_code == status, (method, path, answer.text)
            assert words in answer.json()["error"], (method, path, answer.text)
        assert (await http.get("/todos")).json() == before


async def test_a_refused_document_names_each_property(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        answer = (await http.post("/todos", json={"done": 1, "weight": "heavy"})).json()
        assert {error["field"] for error in answer["errors"]} == {"title", "done", "weight"}
        assert all(error["message"] for error in answer["errors"])


async def test_a_new_folder_is_a_collection_without_a_restart(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        assert (await http.get("/plants")).status_code == 404
        write_collection(folder, "plants", {})
        assert (await http.post("/plants", json={"name": "fern"})).status_code == 200
        assert "plants" in (await http.get("/collections")).json()


async def test_a_folder_that_cannot_be_read_disturbs_no_other(folder: Path) -> None:
    (folder / "resources" / "broken").mkdir()
    (folder / "resources" / "broken" / "config.json").write_text("{")
    (folder / "resources" / "auth").mkdir()
    (folder / "resources" / "auth" / "config.json").write_text("{}")
    async with running_collections(folder) as (_, http):
        assert (await http.get("/broken")).status_code == 404
        assert (await http.get("/todos")).status_code == 200


async def test_only_in_development_a_post_makes_a_collection(folder: Path) -> None:
    async with running_collections(folder, dev=True) as (_, http):
        assert (await http.get("/ideas")).status_code == 404
        made = (await http.post("/ideas", json={"text": "fly"})).json()
        assert (await http.get(f"/ideas/{made['id']}")).json() == made
        assert json.loads((folder / "resources/ideas/config.json").read_text()) == {
            "properties": {}
        }
        assert (await http.post("/_ideas", json={})).status_code == 404
    async with running_collections(folder) as (_, http):
        assert (await http.get("/ideas")).json() == [made]


async def test_rights_hold_for_each_method_and_each_owner(folder: Path) -> None:
    access = {"get": "owner", "post": "authenticated", "put": "owner", "delete": "root"}
    write_collection(folder, "notes", {"access": access})
    async with running_collections(folder) as (pod, http):
        ada, ben = (
            {"Authorization": f"Bearer {pod.tokens.sign(name, ttl=60)}"} for name in ("ada", "ben")
        )
        assert (await http.post("/notes", json={})).status_code == 401
        note = (await http.post("/notes", json={"text": "mine"}, headers=ada)).json()
        assert note["ownerId"] == "ada"
        path = f"/notes/{note['id']}"
        for headers, status in (({}, 401), (ben, 404), (ada, 200), (MASTER, 200)):
            assert (await http.get(path, headers=headers)).status_code == status
            assert (await http.put(path, json={}, headers=headers)).status_code == status
        for headers, found in ((ben, 0), (ada, 1), (MASTER, 1)):
            assert len((await http.get("/notes", headers=headers)).json()) == found
            count = (await http.get("/notes/count", headers=headers)).json()
            assert count == {"count": found}
        sneaky = await http.get('/notes?$or=[{"ownerId":"ada"},{"ownerId":"ben"}]', headers=ben)
        assert sneaky.json() == []
        for headers, status in (({}, 401), (ada, 403), (MASTER, 200)):
            assert (await http.delete(path, headers=headers)).status_code == status


async def test_private_properties_never_leave_the_pod_and_nobody_can_ask_by_them(
    folder: Path,
) -> None:
    write_collection(folder, "keys", {"properties": {"pin": {"type": "string", "private": True}}})
    async with running_collections(folder) as (_, http):
        made = (await http.post("/keys", json={"pin": "1234", "name": "door"})).json()
        changed = (await http.put(f"/keys/{made['id']}", json={"pin": "9999"})).json()
        listed = (await http.get("/keys", headers=MASTER)).json()
        for document in (made, changed, *listed, (await http.get(f"/keys/{made['id']}")).json()):
            assert "pin" not in document
            assert document["name"] == "door"
        for query in ("pin=9999", "pin.$regex=^9", '$or=[{"pin":"1"}]', "$sort.pin=1"):
            answer = await http.get(f"/keys?{query}", headers=MASTER)
            assert answer.status_code == 400
            assert "private" in answer.json()["error"]


async def test_what_a_bound_leaves_out_is_said(folder: Path) -> None:
    config = collections_config(folder)
    config = evolve(config, store=evolve(config.store, max_limit=3))
    async with running_collections(folder, config) as (_, http):
        for number in range(4):
            await http.post("/todos", json={"title": f"t{number}"})
        whole = await http.get("/todos")
        assert len(whole.json()) == 3
        assert whole.headers["x-truncated"] == "true"
        asked = await http.get("/todos?$limit=2")
        assert len(asked.json()) == 2
        assert "x-truncated" not in asked.headers


async def test_head_answers_as_get_without_a_body(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        answer = await http.head("/todos")
        assert (answer.status_code, answer.content) == (200, b"")


async def test_pages_of_allowed_origins_may_call_from_elsewhere(folder: Path) -> None:
    config = collections_config(folder)
    config = evolve(config, origins=evolve(config.origins, allowed=("https://app.example",)))
    async with running_collections(folder, config) as (_, http):
        asked = {
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization",
        }
        for origin, status, allowed in (
            ("https://app.example", 200, "https://app.example"),
            ("https://evil.example", 403, None),
        ):
            answer = await http.options("/todos/1", headers={"Origin": origin, **asked})
            assert answer.status_code == status
            assert answer.headers.get("access-control-allow-origin") == allowed


async def test_an_applications_page_is_served_beside_its_collections(folder: Path) -> None:
    (folder / "public").mkdir()
    config = collections_config(folder)
    config = evolve(config, server=evolve(config.server, public=str(folder / "public")))
    async with running_collections(folder, config) as (pod, http):
        assert pod.pod_id in (await http.get("/")).text
        (folder / "public" / "index.html").write_text("<p>my page")
        assert (await http.get("/")).text == "<p>my page"
        assert "Dashboard" in (await http.get("/_dashboard/")).text
        missing = await http.get("/nothing.html")
        assert (missing.status_code, "error" in missing.json()) == (404, True)
