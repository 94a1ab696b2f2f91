"""What somebody may not see acts on nothing that this one is told, whatever is asked, however.

Each right is held by two collections that differ in nothing but what it keeps back. Whoever may not
see that must not be able to tell the two apart: by no answer, no order, no count, no event.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from deployd.config import Store
from deployd.supervisors import Pod
from support import (
    MASTER,
    Client,
    collections_config,
    connected,
    running_collections,
    write_collection,
)

PROPERTIES: Final = {"secret": {"type": "string"}, "n": {"type": "number"}}
PRIVATE: Final = {
    "secret": {"type": "string", "private": True},
    "n": {"type": "number", "private": True},
    "place": {"type": "object", "private": True},
    "tags": {"type": "array", "private": True},
}
CLOSED: Final = dict.fromkeys(("get", "post", "put", "delete"), "root")
OPEN: Final = {"post": "anyone", "put": "anyone", "delete": "anyone"}

SECRETS: Final = ("secret", "n", "place", "tags")
HIDES: Final = f"""
def run(ctx):
    if not ctx.is_root:
        for name in {SECRETS}:
            ctx.hide(name)
"""
REMOVES: Final = f"""
async def run(ctx):
    if not ctx.is_root:
        for name in {SECRETS}:
            ctx.data.pop(name, None)
"""
CHANGES: Final = """
def run(ctx):
    if not ctx.is_root:
        ctx.data.update(secret="none", n=0, place={"city": "none"}, tags=[])
"""
CANCELS: Final = """
def run(ctx):
    if not ctx.is_root and ctx.data.get("draft"):
        ctx.cancel("no", 404)
"""
ERRS: Final = """
def run(ctx):
    if not ctx.is_root and ctx.data.get("draft"):
        ctx.error("draft", "is none of yours")
"""
FAILS: Final = """
def run(ctx):
    if not ctx.is_root and ctx.data.get("draft"):
        raise RuntimeError(ctx.data["secret"])
"""
ANSWERS: Final = """
def run(ctx):
    if not ctx.is_root:
        ctx.set_response({"id": ctx.data["id"], "title": ctx.data.get("title")})
"""

RIGHTS: Final[Mapping[str, tuple[Mapping[str, Any], dict[str, str]]]] = {
    "owned": ({"access": {**OPEN, "get": "owner"}}, {}),
    "owners": ({"access": dict.fromkeys(("get", "post", "put", "delete"), "owner")}, {}),
    "roots": ({"access": {**OPEN, "get": "root"}}, {}),
    "private": ({"properties": PRIVATE}, {}),
    "hides": ({}, {"get": HIDES}),
    "removes": ({}, {"get": REMOVES}),
    "changes": ({}, {"get": CHANGES}),
    "cancels": ({}, {"get": CANCELS}),
    "errs": ({}, {"get": ERRS}),
    "fails": ({}, {"get": FAILS}),
    "answers": ({}, {"get": ANSWERS}),
}
WHOLE: Final = ("owned", "owners", "roots", "cancels", "errs", "fails")
"""Where the documents themselves are kept back, and not some of their properties."""


def secrets(word: str, n: int) -> dict[str, Any]:
    return {"secret": word, "n": n, "place": {"city": word}, "tags": [word, n]}


KEPT_BACK: Final[tuple[dict[str, dict[str, Any]], ...]] = (
    {"a": secrets("alpha", 1), "b": secrets("omega", 2), "c": secrets("alpha", 3)},
    {"a": secrets("zeta", 9), "b": secrets("omega", 2), "c": {}},
)
"""What is in the documents of the one and of the other; by their ids."""

FILTERS: Final = (
    *("secret=alpha", "secret.$eq=alpha", "secret.$ne=alpha", "secret.$gt=p", "secret.$gte=zeta"),
    *("secret.$lt=b", "secret.$lte=alpha", 'secret.$in=["alpha",null]', 'secret.$nin=["alpha"]'),
    *("secret.$exists=true", "secret.$exists=false", "secret=null", "secret.$ne=null"),
    *("secret.$regex=^al", "secret.$regex=^AL&secret.$options=i", 'secret.$not={"$regex":"^z"}'),
    *("n=1", "n.$gt=3", "n.$gte=3&n.$lt=4", 'n.$not={"$lt":3}', "n.$in=[1,3]"),
    *("place.city=alpha", 'place={"city":"alpha"}', "place.city.$exists=false"),
    *('place={"city":{"$regex":"^a"}}', "tags=alpha", "tags.$ne=1", "tags.$gt=3"),
    *('$or=[{"secret":"alpha"},{"title":"nothing"}]', '$nor=[{"secret":"alpha"}]'),
    *('$and=[{"title":"t"},{"$or":[{"n":{"$lt":2}},{"n":3}]}]', "id=a&secret=alpha"),
    *('$nor=[{"$and":[{"place":{"city":"alpha"}},{"id":{"$exists":true}}]}]',),
    *('createdAt.$gt=2020-01-01&$or=[{"id":"a","secret":"alpha"},{"id":"zz"}]',),
)
ORDERS: Final = (
    *("$sort.secret=1", "$sort.secret=-1&$limit=1", "$sort.n=-1&$skip=2&$limit=1"),
    *('$sort={"place":{"city":1}}', '$sort={"place.city":-1}', "$sort.tags=1&$sort.n=-1"),
    *('$sort={"title":1,"secret":-1}', '$sort={"n":1}&$fields={"title":1}&$limit=1'),
)
SHOWN: Final = (
    *("", "$limit=2", "$skip=1", "$skip=2&$limit=1", "$limit=0", "$sort.createdAt=-1&$limit=1"),
    *('$fields={"title":1}', '$fields={"secret":1}', '$fields={"draft":0}', '$fields=["n","tags"]'),
    *('$fields={"secret":0,"title":0}', "title=t", 'id.$in=["a","c"]', "draft=true"),
)
ASKED: Final = tuple(
    [f"?{query}" for query in (*FILTERS, *ORDERS, *SHOWN)]
    + [f"/count?{query}" for query in (*FILTERS, "", "title=t", "draft=true")]
    + ["/a", "/b", "/c"]
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of the database: the empty one is SQLite in the pod's own folder."""
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else ""


@asynccontextmanager
async def twins(
    folder: Path, right: str, url: str = ""
) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    """Run a pod with the two collections of a right, filled by root."""
    definition, scripts = RIGHTS[right]
    for name in ("one", "two"):
        write_collection(folder, name, {"properties": PROPERTIES, **definition}, scripts)
    config = collections_config(folder, store=Store(durability="normal", url=url))
    async with running_collections(folder, config) as (pod, http):
        for name, documents in zip(("one", "two"), KEPT_BACK, strict=True):
            for id_, kept_back in documents.items():
                body = {"id": id_, **kept_back, "title": "t", "draft": True, "ownerId": "ada"}
                assert (await http.post(f"/{name}", json=body, headers=MASTER)).status_code == 200
        yield pod, http


def as_mallory(pod: Pod) -> dict[str, str]:
    return {"Authorization": f"Bearer {pod.tokens.sign('mallory', ttl=60)}"}


def alike(text: str) -> str:
    """Return an answer without what tells the twins apart by right: their names, and times."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
    return re.sub(r"\b(one|two)\b(?='|/get)", "<name>", text)


async def pair(
    http: httpx.AsyncClient, method: str, path: str, headers: Mapping[str, str], body: Any = None
) -> tuple[tuple[int, str, str | None], tuple[int, str, str | None]]:
    """Ask both, and return what each answers."""
    answers = []
    for name in ("one", "two"):
        answer = await http.request(method, f"/{name}{path}", headers=headers, json=body)
        truncated = answer.headers.get("X-Truncated")
        answers.append((answer.status_code, alike(answer.text), truncated))
    return answers[0], answers[1]


def words(value: object) -> Iterator[str]:
    yield from re.findall("alpha|omega|zeta", json.dumps(value))


@pytest.mark.parametrize("right", RIGHTS)
async def test_nothing_that_is_read_tells_what_is_kept_back(
    tmp_path: Path, database: str, right: str
) -> None:
    async with twins(tmp_path, right, database) as (pod, http):
        for asked in ASKED:
            first, second = await pair(http, "GET", asked, as_mallory(pod))
            assert first == second, asked
            assert not list(words(first)), asked
            assert first[0] < 500 or right == "fails", asked
            if right in WHOLE and first[0] == 200:
                assert first[1] == ('{"count":0}' if "/count" in asked else "[]"), asked


async def test_whoever_sees_everything_can_tell_the_two_apart_by_each_question(
    tmp_path: Path, database: str
) -> None:
    """Else the questions above would prove nothing."""
    async with twins(tmp_path, "hides", database) as (_, http):
        for query in FILTERS:
            for path in (f"?{query}", f"/count?{query}"):
                first, second = await pair(http, "GET", path, MASTER)
                assert first[0] == second[0] == 200
                assert first != second, path
        for query in ORDERS:
            first, second = await pair(http, "GET", f"?{query}", MASTER)
            assert first != second, query


WRITES: Final[tuple[tuple[str, str, Any], ...]] = (
    ("PUT", "/a", {}),
    ("PUT", "/b", {"title": "changed"}),
    ("PUT", "/nobody", {}),
    ("POST", "", {"id": "d", "title": "u", "draft": True}),
    ("POST", "", {"id": "a", "title": "taken"}),
    ("PUT", "/a", {"title": ["no", "such", "type"], "id": "b"}),
    ("DELETE", "/a", None),
    ("DELETE", "/nobody", None),
)


@pytest.mark.parametrize("right", RIGHTS)
async def test_nothing_that_a_write_is_answered_tells_what_is_kept_back(
    tmp_path: Path, right: str
) -> None:
    async with twins(tmp_path, right) as (pod, http):
        for method, path, body in WRITES:
            first, second = await pair(http, method, path, as_mallory(pod), body)
            assert first == second, (method, path)
            assert not list(words(first)), (method, path)
            if right in WHOLE and method != "DELETE" and first[0] == 200 and path != "":
                assert json.loads(first[1]).keys() == {"id"}
            if right == "owners" and method != "POST":  # as if it were not there
                nobody, _ = await pair(http, method, "/nobody", as_mallory(pod), body)
                assert first == nobody
                assert first[0] == 404
        written = {"id": "e", "title": "t", "draft": True, **secrets("alpha", 1)}
        answer = await http.post("/one", json=written, headers=as_mallory(pod))
        assert answer.status_code == 200
        if right in ("owned", "owners"):
            assert answer.json()["secret"] == "alpha"  # it is mallory's own
        else:
            assert not list(words(answer.json()))


@pytest.mark.parametrize("right", RIGHTS)
async def test_nothing_that_is_told_live_tells_what_is_kept_back(
    tmp_path: Path, right: str
) -> None:
    async with twins(tmp_path, right) as (pod, http), connected(pod, 2) as [mallory, root]:
        for client, user in ((mallory, "mallory"), (root, "root")):
            token = pod.tokens.sign(user, ttl=60, is_root=client is root)
            await client.send("auth", token=token)
            await client.expect("auth")
            for room in ("collection:one", "collection:two", "collections"):
                await client.ask("join", room=room)
        for name, documents in zip(("one", "two"), KEPT_BACK, strict=True):
            body = {"id": "new", "draft": True, "ownerId": "ada", **documents["a"]}
            await http.post(f"/{name}", json=body, headers=MASTER)
            await http.put(f"/{name}/new", json={"title": "x"}, headers=MASTER)
            await http.delete(f"/{name}/new", headers=MASTER)
        # Of two collections, in two rooms, three events. Mallory was in first, and is told first.
        whole = [await root.expect("emit") for _ in range(2 * 2 * 3)]
        assert bool(list(words(whole))) is (right != "private")
        told = await heard(mallory)
        assert not list(words(told))
        of = {
            name: sorted((event, alike(data)) for event, of, data in told if of == name)
            for name in ("one", "two")
        }
        assert of["one"] == of["two"]
        assert bool(told) is (right not in WHOLE)


async def heard(client: Client) -> list[tuple[str, str, str]]:
    """Return (event, collection, data) of what the client was told before the answer to this."""
    await client.send("leave", room="nowhere", id="quiet")
    told = []
    while (message := await client.receive()).get("id") != "quiet":
        if message["type"] == "emit":
            data = message["data"]
            name = data.get("collection") or message["room"].removeprefix("collection:")
            told.append((message["event"], name, json.dumps(data.get("data", data))))
    return told


async def test_scripts_see_documents_with_roots_eyes_and_nothing_private(tmp_path: Path) -> None:
    hides = "def run(ctx):\n    ctx.hide('secret')\n    ctx.data['root'] = ctx.is_root\n"
    asks = (
        "def run(ctx):\n"
        "    them = ctx.collections.things\n"
        "    made = them.post({'id': 'new', 'secret': 'alpha', 'pin': 'alpha'})\n"
        "    seen = [made, them.put('new', {'n': 1}), them.get('new'), *them.get()]\n"
        "    found = them.count({'secret': 'alpha'}), len(them.get({'pin': 'alpha'}))\n"
        "    ctx.set_response([seen, found, them.delete('new')])\n"
    )
    definition = {"properties": {"pin": {"type": "string", "private": True}}, "access": CLOSED}
    write_collection(tmp_path, "things", definition, {"get": hides})
    write_collection(tmp_path, "asks", {"noStore": True}, {"get": asks})
    async with running_collections(tmp_path) as (_, http):
        seen, found, deleted = (await http.get("/asks")).json()
        assert [sorted(one) for one in seen] == [
            ["createdAt", "id", *named, "root", "updatedAt"] for named in ([], ["n"], ["n"], ["n"])
        ]
        assert all(one["root"] for one in seen)
        # What is hidden from root is not there; by what is private scripts alone may ask.
        assert (found, deleted) == ([0, 1], {"deleted": 1})


async def test_a_get_script_that_writes_to_its_own_collection_is_not_run_again_for_that(
    tmp_path: Path,
) -> None:
    counts = (
        "def run(ctx):\n"
        "    if not ctx.internal:\n"
        "        ctx.data['shown'] = ctx.collections.todos.put(ctx.data['id'], {'n': 7})\n"
        "    ctx.data['viewed'] = True\n"
    )
    write_collection(tmp_path, "todos", {}, {"get": counts})
    async with running_collections(tmp_path) as (_, http):
        made = (await http.post("/todos", json={"id": "a"})).json()
        assert made["viewed"]
        assert made["shown"]["n"] == 7
        assert "viewed" not in made["shown"]


async def test_users_see_themselves_as_a_get_shows_them_wherever_they_are_shown(
    tmp_path: Path,
) -> None:
    hides = "def run(ctx):\n    ctx.hide('role')\n    ctx.data['me'] = ctx.me and ctx.me['id']\n"
    write_collection(tmp_path, "users", {}, {"get": hides})
    async with running_collections(tmp_path) as (_, http):
        data = {"username": "ada", "password": "open sesame", "role": "admin"}
        made = await http.post("/_admin/auth/create-user", json={"userData": data}, headers=MASTER)
        signed_in = (await http.post("/auth/login", json=data)).json()
        assert signed_in["isRoot"]  # the script decides what is shown, not who one is
        headers = {"Authorization": f"Bearer {signed_in['token']}"}
        me = (await http.get("/auth/me", headers=headers)).json()
        assert me == signed_in["user"]
        assert me == (await http.get(f"/users/{me['id']}", headers=headers)).json()
        assert me["me"] == me["id"]
        for user in (made.json()["user"], me):
            assert user.keys() == {"id", "createdAt", "updatedAt", "username", "me"}


async def test_the_catalogue_tells_of_what_the_asker_may_use(tmp_path: Path) -> None:
    secret = {"iban": {"type": "string", "private": True}, "wage": {"type": "number"}}
    write_collection(tmp_path, "payroll", {"properties": secret, "access": CLOSED})
    for method in ("get", "post", "put", "delete"):
        access = {**CLOSED, method: "authenticated"}
        write_collection(tmp_path, f"{method}s", {"properties": secret, "access": access})
    write_collection(tmp_path, "public", {"access": {**CLOSED, "get": "anyone"}})
    scripts = dict.fromkeys(("get", "post"), "def run(ctx): ...\n")
    write_collection(tmp_path, "sums", {"noStore": True, "access": {"post": "root"}}, scripts)
    expected = {
        "nobody": {"public": {"get"}, "sums": {"get"}},
        "mallory": {
            **{f"{method}s": {method} for method in ("get", "post", "put", "delete")},
            "public": {"get"},
            "sums": {"get"},
            "users": {"get", "put", "delete"},
        },
    }
    async with running_collections(tmp_path) as (pod, http):
        for who, headers in (("nobody", {}), ("mallory", as_mallory(pod))):
            document = (await http.get("/api/docs/openapi.json", headers=headers)).json()
            told: dict[str, set[str]] = {}
            by_body = {("query", "post"), ("count", "post"), ("{id}", "patch")}
            for path, item in document["paths"].items():
                if not path.startswith(("/api/", "/auth/", "/_admin/", "/collections")):
                    name = path.split("/")[1]
                    others = {way for last, way in by_body if path.endswith(f"/{last}")}
                    told.setdefault(name, set()).update(item.keys() - {"parameters", *others})
            assert {name: ways for name, ways in told.items() if ways} == expected[who]
            listed = (await http.get("/collections", headers=headers)).json()
            assert listed == sorted(expected[who])
            schemas = {
                name: json.dumps(one) for name, one in document["components"]["schemas"].items()
            }
            # What is private may be named to who may write it, and to nobody else.
            assert {name for name, one in schemas.items() if "iban" in one} == (
                {"posts.new", "puts.change"} if who == "mallory" else set()
            )
        everything = (await http.get("/api/docs/openapi.json", headers=MASTER)).json()
        assert "/payroll/{id}" in everything["paths"]
        bad = await http.get("/collections", headers={"Authorization": "Bearer nonsense"})
        assert bad.status_code == 401
