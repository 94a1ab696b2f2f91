"""Users of a running pod: signing in, and what nobody gets at who tries."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from argon2 import PasswordHasher

from deployd.config import AuthSettings, Config, LoggingSettings, configure_logging
from deployd.documents.users import Passwords
from deployd.supervisors.pod import collections
from deployd.transport import POD, Asker, Grant, Shares, TooManyWaiting
from support import MASTER, collections_config, connected, running_collections, write_collection

PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
OPEN = {"access": {"post": "anyone"}}


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with next to no work: what is tested here is who gets in, not how slowly."""
    monkeypatch.setattr(collections, "Passwords", partial(Passwords, hasher=CHEAP))


def patient(folder: Path) -> Config:
    """Return a configuration that lets one address sign in as often as a test has to."""
    return collections_config(folder, auth=AuthSettings(login_attempts=1000))


async def make(http: httpx.AsyncClient, name: str, **more: Any) -> dict[str, Any]:
    data = {"username": name, "password": PASSWORD, **more}
    answer = await http.post("/_admin/auth/create-user", json={"userData": data}, headers=MASTER)
    assert answer.status_code == 201, answer.text
    user = answer.json()["user"]
    assert isinstance(user, dict)
    return user


async def sign_in(http: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    return await http.post("/auth/login", json={"username": name, "password": password})


async def bearer(http: httpx.AsyncClient, name: str, password: str = PASSWORD) -> dict[str, str]:
    answer = await sign_in(http, name, password)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def errors(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


# -- signing in ------------------------------------------------------------------------------


async def test_a_user_signs_in_by_name_or_address_and_is_themselves_everywhere(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "notes", {"access": {"get": "owner", "post": "authenticated"}})
    async with (
        running_collections(tmp_path, patient(tmp_path)) as (pod, http),
        connected(pod) as [client],
    ):
        ada = await make(http, "ada", email="ada@example.org", colour="red")
        assert (ada["role"], ada["colour"]) == ("user", "red")
        for name in ("ada", "ada@example.org"):
            answer = (await sign_in(http, name)).json()
            assert (answer["user"], answer["isRoot"]) == (ada, False)
        headers = {"Authorization": f"Bearer {answer['token']}"}
        assert (await http.get("/auth/me", headers=headers)).json() == ada
        valid = (await http.get("/auth/validate", headers=headers)).json()
        assert valid == {
            "valid": True,
            "userID": ada["id"],
            "username": "ada",
            "isRoot": False,
            "exp": answer["expiresAt"],
        }
        note = (await http.post("/notes", json={}, headers=headers)).json()
        assert note["ownerId"] == ada["id"]
        greeted = await client.ask("auth", token=answer["token"])
        expected = {"authenticated": True, "user_id": ada["id"], "is_root": False}
        assert greeted["data"] == expected


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "another password"),
        ("ada", PASSWORD.upper()),
        ("nobody", PASSWORD),
        ("root", PASSWORD),
        ("ada\0", PASSWORD),
        ("ada", PASSWORD + "\0"),
        ("a" * 300, PASSWORD),
        ("ada", "x" * 500_000),
        ("null", PASSWORD),
    ],
)
async def test_a_wrong_name_and_a_wrong_password_are_refused_alike(
    tmp_path: Path, name: str, password: str
) -> None:
    async with running_collections(tmp_path) as (_, http):
        await make(http, "ada")
        answer = await sign_in(http, name, password)
        assert answer.status_code == 401
        assert answer.json() == {"error": "The name or the password is wrong."}
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_unknown_name_costs_a_hash_as_a_known_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override] # noqa: A002
            counted.append(str(password))
            return CHEAP.verify(hash, password)

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(collections, "Passwords", partial(Passwords, hasher=hasher))
    async with running_collections(tmp_path) as (_, http):
        await make(http, "ada")
        for name in ("ada", "nobody", "x" * 300):
            counted.clear()
            await sign_in(http, name, "wrong password")
            assert counted == ["wrong password"], name


async def test_a_name_that_is_anothers_address_shuts_neither_out_nor_lets_one_in_as_the_other(
    tmp_path: Path,
) -> None:
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada", email="ada@example.org")
        eve = await make(http, "ada@example.org", password="eve's own password")
        mine = await sign_in(http, "ada@example.org")
        hers = await sign_in(http, "ada@example.org", "eve's own password")
        assert mine.json()["user"]["id"] == ada["id"]
        assert hers.json()["user"]["id"] == eve["id"]


async def test_however_a_keyboard_composes_a_name_it_is_the_same_one(tmp_path: Path) -> None:
    name, password = "Zoë", "très confidentiel"
    apart = partial(unicodedata.normalize, "NFD")
    write_collection(tmp_path, "users", OPEN)
    async with running_collections(tmp_path) as (_, http):
        made = await make(http, apart(name), password=apart(password))
        assert made["username"] == name
        assert (await sign_in(http, apart(name), password)).status_code == 200
        assert (await sign_in(http, name, apart(password))).status_code == 200
        again = await http.post("/users", json={"username": name, "password": PASSWORD})
        assert errors(again) == {"username": "is taken by another document"}


@pytest.mark.parametrize(
    "name",
    ["", " ada", "ada\n", "a\u200bda", "\u202eada", "ada\u00a0", "a\tb", "x" * 257],
    ids=ascii,
)
async def test_a_name_is_what_can_be_seen(tmp_path: Path, name: str) -> None:
    async with running_collections(tmp_path) as (_, http):
        for field in ("username", "email"):
            data = {"username": "ada", "password": PASSWORD, field: name}
            answer = await http.post("/users", json=data, headers=MASTER)
            assert errors(answer)[field]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "is required"),
        ("", "8 to 1024"),
        ("1234567", "8 to 1024"),
        ("x" * 1025, "8 to 1024"),
        (12345678, "must be a string"),
        (["12345678"], "must be a string"),
        ("1234567\0", "NUL"),
    ],
    ids=lambda value: repr(value)[:12],
)
async def test_a_password_that_will_not_do_changes_nothing(
    tmp_path: Path, given: object, words: str
) -> None:
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada")
        new = {"username": "ben", "password": given}
        answer = await http.post("/users", json=new, headers=MASTER)
        assert words in errors(answer)["password"]
        answer = await http.put(f"/users/{ada['id']}", json={"password": given}, headers=MASTER)
        assert words in errors(answer)["password"]
        assert (await sign_in(http, "ada")).status_code == 200


async def test_a_longest_name_still_fits_into_a_token(tmp_path: Path) -> None:
    name = "\U0001f98a" * 256
    async with running_collections(tmp_path) as (_, http):
        await make(http, name)
        headers = await bearer(http, name)
        assert (await http.get("/auth/me", headers=headers)).json()["username"] == name


# -- rights ----------------------------------------------------------------------------------


async def test_only_root_makes_users_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    data = {"username": "eve", "password": PASSWORD}
    async with running_collections(tmp_path) as (_, http):
        await make(http, "ada")
        ada = await bearer(http, "ada")
        for path, body in (("/users", data), ("/_admin/auth/create-user", {"userData": data})):
            assert (await http.post(path, json=body)).status_code == 401
            assert (await http.post(path, json=body, headers=ada)).status_code == 403
            answer = await http.post(path, json={"userData": 5, **body}, headers=ada)
            assert answer.status_code == 403
    write_collection(tmp_path, "users", OPEN)
    async with running_collections(tmp_path) as (_, http):
        made = await http.post("/users", json=data)
        assert made.json().keys() == {"id"}  # nobody has signed in yet, and so sees no user
        signed_in = (await sign_in(http, "eve")).json()
        assert signed_in["user"]["id"] == made.json()["id"]
        assert signed_in["user"]["role"] == "user"
        assert "password" not in signed_in["user"]


@pytest.mark.parametrize("role", ["admin", "root", "", None, 1, ["admin"]])
async def test_nobody_gives_themselves_a_role(tmp_path: Path, role: object) -> None:
    write_collection(tmp_path, "users", OPEN)
    async with running_collections(tmp_path) as (_, http):
        new = {"username": "eve", "password": PASSWORD, "role": role}
        assert "role" in errors(await http.post("/users", json=new))
        ada = await make(http, "ada")
        headers = await bearer(http, "ada")
        changed = await http.put(f"/users/{ada['id']}", json={"role": role}, headers=headers)
        assert "role" in errors(changed)


async def test_a_user_with_the_role_admin_is_root_from_the_next_token_on(tmp_path: Path) -> None:
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada")
        before = await bearer(http, "ada")
        path = f"/users/{ada['id']}"
        assert (await http.put(path, json={"role": "admin"}, headers=MASTER)).status_code == 200
        assert len((await http.get("/users", headers=before)).json()) == 1
        answer = (await sign_in(http, "ada")).json()
        assert answer["isRoot"] is True
        await make(http, "ben")
        after = {"Authorization": f"Bearer {answer['token']}"}
        assert len((await http.get("/users", headers=after)).json()) == 2
        # What a token says holds until it ends, also when the role has gone.
        await http.put(path, json={"role": "user"}, headers=MASTER)
        assert (await http.get("/auth/validate", headers=after)).json()["isRoot"] is True
        assert (await sign_in(http, "ada")).json()["isRoot"] is False


async def test_users_read_change_and_remove_themselves_alone(tmp_path: Path) -> None:
    async with running_collections(tmp_path) as (_, http):
        ada, ben = await make(http, "ada"), await make(http, "ben")
        headers = await bearer(http, "ada")
        assert (await http.get("/users", headers=headers)).json() == [ada]
        assert (await http.get("/users/count", headers=headers)).json() == {"count": 1}
        for method, body in (("GET", None), ("PUT", {"colour": "red"}), ("DELETE", None)):
            others = await http.request(method, f"/users/{ben['id']}", json=body, headers=headers)
            assert others.status_code == 404  # whom one may not read is not there
            own = await http.request(method, f"/users/{ada['id']}", json=body, headers=headers)
            assert own.status_code == 200


@pytest.mark.parametrize("right", ["anyone", "authenticated"])
async def test_who_may_change_users_still_does_not_get_into_their_accounts(
    tmp_path: Path, right: str
) -> None:
    write_collection(tmp_path, "users", {"access": {"put": right}})
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada", email="ada@example.org")
        await make(http, "eve")
        headers = await bearer(http, "eve")
        path = f"/users/{ada['id']}"
        for changes in (
            {"password": "eve's own password"},
            {"email": "eve@example.org"},
            {"email": None},
            {"username": "mallory"},
        ):
            answer = await http.put(path, json=changes, headers=headers)
            assert set(errors(answer)) == set(changes)
        assert (await http.put(path, json={"colour": "red"}, headers=headers)).status_code == 200
        assert (await sign_in(http, "ada@example.org")).status_code == 200


async def test_only_root_chooses_a_users_id_and_nobody_the_master_keys(tmp_path: Path) -> None:
    write_collection(tmp_path, "users", OPEN)
    write_collection(tmp_path, "notes", {"access": {"get": "owner", "post": "authenticated"}})
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada", id="ada-1")
        assert ada["id"] == "ada-1"
        note = (await http.post("/notes", json={}, headers=await bearer(http, "ada"))).json()
        await http.delete("/users/ada-1", headers=MASTER)
        # With a removed user's id one would own what was theirs.
        new = {"username": "eve", "password": PASSWORD, "id": note["ownerId"]}
        assert "id" in errors(await http.post("/users", json=new))
        refused = await http.post("/users", json={**new, "id": "root"}, headers=MASTER)
        assert "id" in errors(refused)
        assert (await http.post("/users", json={**new, "id": ""})).status_code == 200


async def test_the_key_decides_where_a_token_comes_with_it(tmp_path: Path) -> None:
    async with running_collections(tmp_path) as (_, http):
        await make(http, "ada")
        headers = await bearer(http, "ada")
        both = await http.get("/auth/me", headers={**headers, **MASTER})
        assert both.json()["id"] == "root"
        wrong = await http.get("/auth/me", headers={**headers, "X-Master-Key": "wrong"})
        assert wrong.status_code == 401


async def test_a_removed_users_token_names_nobody_but_stays_a_token_until_it_ends(
    tmp_path: Path,
) -> None:
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada")
        headers = await bearer(http, "ada")
        await http.delete(f"/users/{ada['id']}", headers=headers)
        assert (await http.get("/auth/me", headers=headers)).status_code == 404
        assert (await http.get("/auth/validate", headers=headers)).status_code == 200
        assert (await sign_in(http, "ada")).status_code == 401


async def test_a_new_password_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada")
        headers = await bearer(http, "ada")
        path = f"/users/{ada['id']}"
        changed = await http.put(path, json={"password": "a newer one"}, headers=headers)
        assert changed.status_code == 200
        assert (await sign_in(http, "ada")).status_code == 401
        assert (await sign_in(http, "ada", "a newer one")).status_code == 200
        # Tokens are not looked up anywhere: those from before live on, as the documentation says.
        assert (await http.get("/auth/me", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "definition",
    [
        {"properties": {"password": {"type": "string"}, "role": {"type": "string"}}},
        {"properties": {"role": {"type": "string", "default": "admin"}}, "owner": "role"},
        {"strict": True},
    ],
    ids=str,
)
async def test_a_file_adds_to_what_users_are_and_takes_nothing_away(
    tmp_path: Path, definition: dict[str, Any]
) -> None:
    write_collection(tmp_path, "users", definition)
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada")
        assert (ada["role"], "password" in ada) == ("user", False)
        headers = await bearer(http, "ada")
        assert (await http.get("/users", headers=headers)).json() == [ada]


async def test_users_that_are_not_kept_are_no_users(tmp_path: Path) -> None:
    write_collection(tmp_path, "users", {"noStore": True})
    async with running_collections(tmp_path) as (_, http):
        answer = await sign_in(http, "ada")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_an_external_token_of_any_text_is_no_users(tmp_path: Path) -> None:
    async with running_collections(tmp_path) as (pod, http):
        for user in ("x" * 1000, "ключ", "count"):
            headers = {"Authorization": f"Bearer {pod.tokens.sign(user, ttl=60)}"}
            assert (await http.get("/auth/me", headers=headers)).status_code == 404
            assert (await http.get("/users", headers=headers)).json() == []


# -- secrets ---------------------------------------------------------------------------------

SNOOP = """
def run(ctx):
    seen = {"data": ctx.data.get("password"), "previous": (ctx.previous or {}).get("password")}
    ctx.data["seen"] = [seen["data"], seen["previous"]]
"""


async def test_no_hash_leaves_the_pod_nor_reaches_a_script(tmp_path: Path) -> None:
    scripts = dict.fromkeys(("validate", "put"), SNOOP)
    scripts["get"] = SNOOP.replace('data["seen"]', 'data["shown"]')
    scripts["delete"] = "def run(ctx):\n    ctx.set_response(ctx.data)\n"
    write_collection(tmp_path, "users", {"access": {"get": "anyone"}}, scripts)
    asks = "def run(ctx):\n    ctx.set_response(ctx.collections.users.get())\n"
    write_collection(tmp_path, "asks", {"noStore": True}, {"get": asks})
    async with (
        running_collections(tmp_path) as (pod, http),
        connected(pod, 2) as [listener, everything],
    ):
        await listener.join("collection:users")
        await everything.join("collections")
        ada = await make(http, "ada")
        path = f"/users/{ada['id']}"
        heard = [(await client.expect("emit"))["data"] for client in (listener, everything)]
        assert ada["shown"] == [None, None]
        assert ada["seen"] == [PASSWORD, None]  # a rule about passwords has to see the new one
        changed = (await http.put(path, json={"colour": "red"}, headers=MASTER)).json()
        assert changed["seen"] == [None, None]
        changed = (await http.put(path, json={"password": PASSWORD}, headers=MASTER)).json()
        assert changed["seen"] == [PASSWORD, None]
        assert (await sign_in(http, "ada")).status_code == 200
        answers = [
            ada,
            changed,
            *heard,
            (await http.get("/users")).json(),
            (await http.get(path)).json(),
            (await http.get('/users?$fields={"password":1}', headers=MASTER)).json(),
            (await http.get("/asks")).json(),
            (await sign_in(http, "ada")).json(),
            (await http.delete(path, headers=MASTER)).json(),
        ]
        for answer in answers:
            assert "$argon2" not in json.dumps(answer)
            assert '"password"' not in json.dumps(answer)


async def test_a_user_whom_a_script_makes_has_a_hash_like_any_other(tmp_path: Path) -> None:
    """Whether the script waits for the turn of `users` or holds it already."""
    invite = "def run(ctx):\n    ctx.set_response(ctx.collections.users.post(ctx.data))\n"
    write_collection(tmp_path, "invites", {"noStore": True}, {"post": invite})
    double = (
        "def run(ctx):\n"
        "    if ctx.data['username'] == 'ada':\n"
        "        eve = {'username': 'eve', 'password': ctx.data['password']}\n"
        "        ctx.collections.users.post(eve)\n"
    )
    write_collection(tmp_path, "users", {}, {"post": double})
    async with running_collections(tmp_path) as (_, http):
        data = {"username": "ada", "password": PASSWORD, "role": "admin"}
        made = await http.post("/invites", json={"url": None, "parts": None, **data})
        assert "password" not in made.json()
        assert (await sign_in(http, "ada")).json()["isRoot"] is True
        assert (await sign_in(http, "eve")).json()["isRoot"] is False
    database = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*"))
    assert PASSWORD.encode() not in database


@pytest.mark.parametrize(
    "query",
    [
        "password=x",
        "password.$regex=^.argon2",
        "password.$exists=true",
        '$or=[{"username":"a"},{"password":{"$gt":"a"}}]',
        '$nor=[{"$and":[{"password":"a"}]}]',
        "password.x=1",
        "$sort.password=1",
        '$sort={"username":1,"password":-1}',
    ],
)
async def test_nobody_asks_for_users_by_their_password(tmp_path: Path, query: str) -> None:
    async with running_collections(tmp_path) as (_, http):
        for path in ("/users", "/users/count"):
            answer = await http.get(f"{path}?{query}", headers=MASTER)
            if path == "/users/count" and query.startswith("$sort"):
                continue
            assert (answer.status_code, "private" in answer.text) == (400, True)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything the pod logs, at the level that says most, as it would be written."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logging(LoggingSettings(level="DEBUG", format="json"), tty=False, stream=stream)
    yield stream
    root.handlers, root.level = handlers, level
    configure_logging(LoggingSettings(), tty=False, stream=io.StringIO())
    root.handlers, root.level = handlers, level


async def test_no_password_and_no_hash_is_ever_logged(tmp_path: Path, log: io.StringIO) -> None:
    loud = (
        "def run(ctx):\n"
        "    ctx.log('saw', data=ctx.data, password=ctx.data.get('password'))\n"
        "    if ctx.data.get('colour') == 'bad':\n"
        "        raise ValueError(repr(ctx.data))\n"
    )
    write_collection(tmp_path, "users", {}, {"validate": loud})
    secret = 'it\'s "my" s3cret'
    async with running_collections(tmp_path) as (_, http):
        ada = await make(http, "ada", password=secret)
        await sign_in(http, "ada", secret)
        await sign_in(http, "nobody", secret)
        bad = {"username": "ben", "password": secret, "colour": "bad"}
        assert (await http.post("/users", json=bad, headers=MASTER)).status_code == 500
        path = f"/users/{ada['id']}"
        await http.put(path, json={"password": secret, "colour": "bad"}, headers=MASTER)
        await http.put(path, json={"password": secret[:5]}, headers=MASTER)
        await http.get("/users?password=" + secret, headers=MASTER)
        await http.post("/auth/login", content=b'{"password":"s3cret"', headers={})
    lines = log.getvalue()
    assert "script" in lines
    assert "s3cret" not in lines
    assert "$argon2" not in lines
    database = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*"))
    assert b"$argon2id$" in database
    assert b"s3cret" not in database


# -- too many at once ------------------------------------------------------------------------


async def test_so_many_hashes_run_and_wait_at_once_and_no_more() -> None:
    running, most = 0, 0
    release = trio.Event()

    class Slow(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            nonlocal running, most
            running += 1
            most = max(most, running)
            trio.from_thread.run(release.wait)
            running -= 1
            return CHEAP.hash(password)

    present = Shares(10, per_address=7)
    passwords = Passwords(present, hasher=Slow())
    done: list[str] = []
    refused: list[Grant] = []

    async def hash_one(asker: Asker) -> None:
        try:
            await passwords.hash(PASSWORD, asker)
            done.append(asker.network)
        except TooManyWaiting as error:
            refused.append(error.grant)

    async with trio.open_nursery() as nursery:
        for address in ["192.0.2.1"] * 9 + ["192.0.2.2"] * 5:
            nursery.start_soon(hash_one, Asker.of(address))
            await trio.testing.wait_all_tasks_blocked()
        release.set()
    assert refused == [Grant.OVER_SHARE] * 2 + [Grant.NONE_LEFT] * 2
    assert (most, Counter(done)) == (2, {"192.0.2.1": 7, "192.0.2.2": 3})


async def test_the_attempts_of_one_address_are_counted_before_anything_is_hashed(
    tmp_path: Path,
) -> None:
    config = collections_config(tmp_path, auth=AuthSettings(login_attempts=3, login_period=600.0))
    async with running_collections(tmp_path, config) as (_, http):
        await make(http, "ada")
        statuses = [(await sign_in(http, "ada", "wrong one")).status_code for _ in range(3)]
        assert statuses == [401, 401, 401]
        refused = await sign_in(http, "ada")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 200
        key = await http.post("/auth/login", json={"masterKey": "x"})
        assert key.status_code == 429


async def test_real_hashes_are_those_that_rfc_9106_recommends() -> None:
    passwords = Passwords(Shares(2))
    hashed = (await passwords.hash(PASSWORD, POD)).hash
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verify(hashed, PASSWORD, POD)
    assert not await passwords.verify(hashed, "wrong one", POD)
    assert not await passwords.verify("not a hash", PASSWORD, POD)
    assert not await passwords.verify(None, "nobody has this password", POD)
