"""A name is one name however it is written: in every place where one is made or looked for."""

from __future__ import annotations

import io
import logging
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio
from argon2 import PasswordHasher

from deployd.config import AuthSettings, LoggingSettings, configure_logging, read_definition
from deployd.documents.store import Query, Write
from deployd.documents.users import Passwords
from deployd.documents.users.folding import fold_names
from deployd.documents.users.users import keyed, named, users_document
from deployd.supervisors.pod import collections
from support import MASTER, collections_config, running_collections, write_collection
from support.documents import opened

PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
USERS = {"access": {"post": "anyone"}}

VARIANTS = {
    "capitals": ("zoë", "ZOË"),
    "composed": ("zoë", unicodedata.normalize("NFD", "zoë")),
    "wide": ("ada", "ａｄａ"),
    "ligature": ("fine", "ﬁne"),
    "sharp s": ("strasse", "Straße"),
}
REFUSED = {
    "mixed": "аda",
    "all alike": "сосо",
    "unseen": "ada\u3164",
    "joiner": "ad\u200da",
    "right to left": "\u202eada",
    "control": "ad\x1ba",
    "blank": " ada",
    "reserved": "Root",
    "reserved, wide": "ａｄｍｉｎ",
    "empty": "",
    "expands": "\ufdfa" * 60,
}


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collections, "Passwords", partial(Passwords, hasher=CHEAP))


async def make(http: httpx.AsyncClient, **user: Any) -> httpx.Response:
    data = {"password": PASSWORD, **user}
    return await http.post("/_admin/auth/create-user", json={"userData": data}, headers=MASTER)


async def sign_in(http: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    return await http.post("/auth/login", json={"username": name, "password": password})


Place = Callable[[httpx.AsyncClient, dict[str, str]], Awaitable[httpx.Response]]


async def sign_up(http: httpx.AsyncClient, names: dict[str, str]) -> httpx.Response:
    return await http.post("/users", json={"password": PASSWORD, **names})


async def create_user(http: httpx.AsyncClient, names: dict[str, str]) -> httpx.Response:
    return await make(http, **names)


async def root_adds(http: httpx.AsyncClient, names: dict[str, str]) -> httpx.Response:
    return await http.post("/users", json={"password": PASSWORD, **names}, headers=MASTER)


async def _ben(http: httpx.AsyncClient) -> tuple[str, dict[str, str]]:
    await make(http, username="ben", email="ben@example.org")
    answer = (await sign_in(http, "ben")).json()
    return f"/users/{answer['user']['id']}", {"Authorization": f"Bearer {answer['token']}"}


async def own_change(http: httpx.AsyncClient, names: dict[str, str]) -> httpx.Response:
    url, headers = await _ben(http)
    return await http.put(url, json=names, headers=headers)


async def roots_change(http: httpx.AsyncClient, names: dict[str, str]) -> httpx.Response:
    url, _ = await _ben(http)
    return await http.put(url, json=names, headers=MASTER)


async def a_script(http: httpx.AsyncClient, names: dict[str, str]) -> httpx.Response:
    return await http.post("/makers", json={"password": PASSWORD, **names})


PLACES: list[Place] = [sign_up, create_user, root_adds, own_change, roots_change, a_script]


def places(folder: Path) -> None:
    write_collection(folder, "users", USERS)
    script = (
        "async def run(ctx):\n"
        "    user = {n: v for n, v in ctx.data.items() if n not in ('url', 'parts')}\n"
        "    try:\n"
        "        await ctx.collections.users.post(user)\n"
        "    except Exception as error:\n"
        "        ctx.cancel(str(error))\n"
    )
    write_collection(folder, "makers", {"noStore": True}, {"post": script})


def both(field: str, name: str, other: str) -> dict[str, str]:
    return {"username": name} if field == "username" else {"username": other, "email": name}


@pytest.mark.parametrize("field", ["username", "email"])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_a_name_that_is_taken_is_taken_however_it_is_written(
    tmp_path: Path, place: Place, field: str
) -> None:
    places(tmp_path)
    config = collections_config(tmp_path, auth=AuthSettings(login_attempts=1000))
    async with running_collections(tmp_path, config) as (_, http):
        for n, (kind, (first, second)) in enumerate(VARIANTS.items()):
            if field == "email":
                first, second = f"{first}@example.org", f"{second}@Example.ORG"
            name = f"{kind}-{n}".replace(" ", "-")
            await make(http, **both(field, first, f"first-{name}"))  # it may be there already
            answer = await place(http, both(field, second, f"second-{name}"))
            assert answer.status_code == 400, (kind, answer.text)
            assert "taken" in answer.text
            for written in (first, second):
                assert (await sign_in(http, written)).status_code == 200, (kind, written)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_a_name_that_misleads_is_refused_wherever_one_is_made(
    tmp_path: Path, place: Place
) -> None:
    places(tmp_path)
    config = collections_config(tmp_path, auth=AuthSettings(login_attempts=1000))
    async with running_collections(tmp_path, config) as (_, http):
        for kind, name in REFUSED.items():
            answer = await place(http, {"username": name})
            assert answer.status_code == 400, (kind, answer.text)
            assert (await sign_in(http, name or "x")).status_code == 401
            if "reserved" not in kind:
                mail = await place(http, {"username": "fine", "email": f"{name}@example.org"})
                assert mail.status_code == 400 or kind in ("empty", "blank"), (kind, mail.text)


async def test_what_the_pod_keeps_of_a_name_nobody_sees_or_sets(tmp_path: Path) -> None:
    write_collection(
        tmp_path,
        "users",
        USERS,
        {"validate": "def run(ctx):\n    assert 'usernameKey' not in ctx.data\n"},
    )
    async with running_collections(tmp_path) as (_, http):
        made = await make(http, username="Ada", usernameKey="bob")
        assert made.status_code == 201
        assert "usernameKey" not in made.text
        assert "usernameKey" not in (await http.get("/users", headers=MASTER)).text
        assert "usernameKey" not in (await http.get("/api/docs/openapi.json", headers=MASTER)).text
        assert (await http.get("/users?usernameKey=ada", headers=MASTER)).status_code == 400
        assert (await make(http, username="bob")).status_code == 201
        url = f"/users/{made.json()['user']['id']}"
        changed = await http.put(url, json={"usernameKey": "carl", "nick": "a"}, headers=MASTER)
        assert "usernameKey" not in changed.text
        assert (await make(http, username="carl")).status_code == 201
        assert (await make(http, username="ADA")).status_code == 400
        await http.put(url, json={"username": "Ada Lovelace"}, headers=MASTER)
        assert (await make(http, username="ADA")).status_code == 201  # given up with the name


async def test_nobody_has_an_id_that_is_roots_but_for_its_case(tmp_path: Path) -> None:
    async with running_collections(tmp_path) as (_, http):
        for id_ in ("root", "Root", "ROOT"):
            assert (await make(http, username="eve", id=id_)).status_code == 400


# -- users from before -------------------------------------------------------------------------

DEFINITION = keyed(read_definition("users", users_document({})))


def from_before(n: int, **names: Any) -> Write:
    moment = f"2026-01-01T00:00:{n:02}.000Z"
    user = {"id": f"u{n}", "createdAt": moment, "updatedAt": moment, **names}
    user["password"] = CHEAP.hash(f"password of {n}")
    return Write(f"u{n}", lambda _: dict(user))


BEFORE = [
    from_before(1, username="ada", email="ada@example.org"),
    from_before(2, username="Ada"),
    from_before(3, username="ADA", email="Ada@Example.org"),
    from_before(4, username="bob", email="bob@example.org"),
    from_before(5, username="carl", email="BOB@example.org"),
    from_before(6, username="root", email=None),
    from_before(7, username="ad\u0430", email=5),
]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logging(LoggingSettings(format="json"), tty=False, stream=stream)
    yield stream
    root.handlers, root.level = handlers, level
    configure_logging(LoggingSettings(), tty=False, stream=io.StringIO())
    root.handlers, root.level = handlers, level


async def test_of_two_users_from_before_the_older_has_the_name(
    url: str,
    lines: io.StringIO,
) -> None:
    async with opened(url) as store:
        await store.prepare(DEFINITION)
        await store.commit(DEFINITION, BEFORE)
        for _ in range(2):  # at each start
            lines.truncate(0)
            lines.seek(0)
            await fold_names(store, DEFINITION)
            for user in ("username 'Ada' (user u2)", "username 'ADA' (user u3)", "(user u5)"):
                assert user in lines.getvalue()
            assert "u1" not in lines.getvalue()

        async def called(name: str) -> set[str]:
            page = await store.find(DEFINITION, Query(named(name)))
            return {orjson.loads(document)["id"] for document in page.documents}

        assert await called("aDa") == {"u1"}
        assert await called("Ada") == {"u1", "u2"}
        assert await called("bob@EXAMPLE.org") == {"u4"}
        assert await called("CARL") == {"u5"}  # only the address is another's
        assert await called("ROOT") == {"u6"}


async def test_a_pod_with_such_users_starts_and_each_signs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = collections_config(tmp_path, auth=AuthSettings(login_attempts=1000))
    async with opened(f"sqlite:///{tmp_path}/data/documents.db") as store:
        await store.prepare(DEFINITION)
        await store.commit(DEFINITION, BEFORE[:6])
    async with running_collections(tmp_path, config) as (_, http):
        for name, n in (("ada", 1), ("aDA", 1), ("Ada", 2), ("ADA", 3), ("Bob", 4), ("CARL", 5)):
            answer = await sign_in(http, name, f"password of {n}")
            assert answer.json()["user"]["id"] == f"u{n}", name
        assert (await sign_in(http, "adA", "password of 2")).status_code == 401
        assert (await http.put("/users/u2", json={"nick": "x"}, headers=MASTER)).status_code == 200
        given = await http.put("/users/u2", json={"username": "adele"}, headers=MASTER)
        assert given.status_code == 200
        assert (await sign_in(http, "Adele", "password of 2")).status_code == 200


# -- collections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dev", [False, True])
async def test_collections_that_differ_by_case_are_one_and_the_second_is_refused(
    tmp_path: Path, dev: bool
) -> None:
    write_collection(tmp_path, "Todos", {})
    write_collection(tmp_path, "todos", {})
    write_collection(tmp_path, "Users", {})
    async with running_collections(tmp_path, dev=dev) as (pod, http):
        names = (await http.get("/collections", headers=MASTER)).json()
        assert [name for name in names if name.lower() == "todos"] == ["Todos"]
        assert [name for name in names if name.lower() == "users"] == ["users"]
        assert (await http.post("/Todos", json={})).status_code == 200
        for name in ("todos", "TODOS", "Users"):
            for answer in (await http.get(f"/{name}"), await http.post(f"/{name}", json={})):
                assert answer.status_code == 404
                assert "is written" in answer.json()["error"]
        write_collection(tmp_path, "TODOS", {})  # a folder that comes later
        await trio.sleep(1.2)
        assert (await http.get("/TODOS")).status_code == 404
        assert pod.unready() is None


@pytest.mark.parametrize("name", ["todös", "ｔｏｄｏｓ", "to\u0301dos", "todos\u200b", "ﬁles"])
async def test_collections_have_names_that_no_form_of_unicode_changes(
    tmp_path: Path, name: str
) -> None:
    write_collection(tmp_path, name, {})
    async with running_collections(tmp_path, dev=True) as (_, http):
        assert name not in (await http.get("/collections", headers=MASTER)).json()
        assert (await http.post(f"/{name}", json={})).status_code == 404
