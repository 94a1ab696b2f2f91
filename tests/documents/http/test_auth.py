"""The routes of signing in, over users that are made up here, and a clock that stands still."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import orjson
import pytest
from attrs import field, mutable
from starlette.applications import Starlette

from deployd.documents.http import ApiAnswer, AuthView, SignedIn, User, auth_routes
from deployd.transport import JSON, Asker, Attempts, Identity, Premises, Tokens
from deployd.transport.http import Authenticator, Keyring
from deployd.transport.limits.attempts import network_of

SECRET = "a secret of more than sixty-four bytes, so that every HMAC is content"
KEY = "the-master-key-of-this-pod"
ADA: dict[str, JSON] = {"id": "u1", "username": "ada", "role": "user"}
WRONG = ApiAnswer(401, b'{"error":"wrong"}')
NOW = 1_800_000_000.25


@mutable
class Users:
    """Accounts of one user, `ada`, whose password is `open sesame`."""

    asked: list[str] = field(factory=list)
    answer: ApiAnswer | None = None

    async def sign_in(self, name: str, password: str, asker: Asker) -> ApiAnswer | SignedIn:
        self.asked.append(name)
        if self.answer is not None:
            return self.answer
        if (name, password) != ("ada", "open sesame"):
            return WRONG
        root = ADA["role"] == "admin"
        return SignedIn(Identity("u1", "ada", is_root=root, expires_at=None), ADA)

    async def user(self, identity: Identity) -> ApiAnswer | User:
        return ADA if identity.user_id == "u1" else ApiAnswer(404, b'{"error":"gone"}')

    async def create_user(self, data: Mapping[str, JSON]) -> ApiAnswer | User:
        if "username" not in data:
            return ApiAnswer(400, b'{"error":"username is required"}')
        return {"id": "u2", **data}


class Front:
    """The routes, as a client at the address `peer` sees them. `now` is the time in seconds."""

    def __init__(self, users: Users | None) -> None:
        self.users, self.now, self.peer, self.wall = users, 0.0, "192.0.2.1", NOW
        tokens = Tokens(
            SECRET,
            algorithms=("HS256",),
            issuer="pod",
            require_issuer=False,
            leeway=0,
            wall=lambda: self.wall,
        )
        self.keyring = Keyring(tokens, KEY, ttl=60, wall=lambda: self.wall)
        self.rate_limited: Counter[str] = Counter()
        clock = lambda: self.now  # noqa: E731
        premises = Premises(port=lambda: 80)
        authenticator = Authenticator(
            self.keyring, Attempts(3, 60.0), clock, self.rate_limited, premises
        )
        attempts = Attempts(3, 60.0)
        view = AuthView(users, self.keyring, authenticator, attempts, clock, self.rate_limited)
        self.app = Starlette(routes=auth_routes(view))

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(self.peer, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
            return await client.request(method, path, **options)

    async def login(self, **body: Any) -> httpx.Response:
        return await self.request("POST", "/auth/login", json=body)

    def bearer(self, user: str = "u1", *, root: bool = False) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keyring.sign(user, 'ada', root)[0]}"}


async def test_a_name_and_its_password_are_answered_with_a_token_and_the_user() -> None:
    front = Front(Users())
    answer = await front.login(username="ada", password="open sesame")
    body = answer.json()
    headers = {"authorization": f"Bearer {body.pop('token')}"}
    assert body == {"expiresAt": 1_800_000_061, "isRoot": False, "user": ADA}
    identity = front.keyring.identify(headers)
    assert identity is not None
    assert (identity.user_id, identity.username, identity.is_root) == ("u1", "ada", False)
    assert identity.expires_at == 1_800_000_061
    assert answer.headers["cache-control"] == "no-store"


async def test_the_master_key_is_answered_with_a_token_of_root_and_no_user() -> None:
    front = Front(Users())
    body = (await front.login(masterKey=KEY)).json()
    assert (body["isRoot"], "user" in body) == (True, False)
    headers = {"Authorization": f"Bearer {body['token']}"}
    me = await front.request("GET", "/auth/me", headers=headers)
    assert me.json() == {"id": "root", "username": "root", "isRoot": True}


async def test_a_root_user_gets_a_token_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ADA, "role", "admin")
    answer = (await Front(Users()).login(username="ada", password="open sesame")).json()
    assert answer["isRoot"] is True


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"masterKey": "wrong"}, 401),
        ({"masterKey": KEY[:-1]}, 401),
        ({"masterKey": "é"}, 401),
        ({"masterKey": ""}, 400),
        ({"masterKey": None}, 400),
        ({"masterKey": True}, 400),
        ({"username": "ada", "password": "wrong"}, 401),
        ({"username": "ada"}, 400),
        ({"username": "ada", "password": ""}, 400),
        ({"username": "", "password": "open sesame"}, 400),
        ({"username": ["ada"], "password": "open sesame"}, 400),
        ({"username": "ada", "password": {"$ne": "x"}}, 400),
        ({"password": "open sesame"}, 400),
        ({}, 400),
    ],
    ids=str,
)
async def test_anything_else_is_refused(body: dict[str, Any], status: int) -> None:
    answer = await Front(Users()).login(**body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"masterKey=x", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 1000, "application/json", 400),
    ],
)
async def test_a_body_that_is_no_json_object_costs_no_attempt(
    content: bytes, kind: str, status: int
) -> None:
    front = Front(Users())
    for _ in range(10):
        answer = await front.request(
            "POST", "/auth/login", content=content, headers={"Content-Type": kind}
        )
        assert answer.status_code == status


async def test_secrets_are_compared_in_a_time_that_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def spy(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    front = Front(Users())
    await front.login(masterKey="guess")
    await front.request("GET", "/auth/me", headers={"X-Master-Key": "guess"})
    assert compared == [(b"guess", KEY.encode())] * 2


# -- too often -------------------------------------------------------------------------------


async def test_an_address_that_tries_too_often_is_told_when_to_try_again() -> None:
    front = Front(Users())
    for _ in range(3):
        assert (await front.login(username="ada", password="wrong")).status_code == 401
    refused = await front.login(username="ada", password="open sesame")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "20")
    assert "20 s" in refused.json()["error"]
    assert front.users is not None
    assert len(front.users.asked) == 3
    assert (await front.login(masterKey=KEY)).status_code == 429
    assert front.rate_limited == {"sign_ins": 2}
    front.now = 20.0
    assert (await front.login(username="ada", password="open sesame")).status_code == 200


async def test_an_office_behind_one_address_signs_in_as_often_as_it_likes() -> None:
    front = Front(Users())
    for _ in range(50):
        assert (await front.login(username="ada", password="open sesame")).status_code == 200
        assert (await front.login(masterKey=KEY)).status_code == 200


async def test_another_address_is_not_held_back_but_another_of_the_same_network_is() -> None:
    front = Front(Users())
    for peer, other, status in (
        ("192.0.2.1", "192.0.2.2", 401),
        ("2001:db8::1", "2001:db8:0:1::1", 401),
        ("2001:db8:0:2::1", "2001:db8:0:2:ffff::2", 429),
        ("::ffff:192.0.2.3", "::ffff:192.0.2.4", 401),
        ("192.0.2.5", "::ffff:192.0.2.5", 429),
    ):
        front.peer = peer
        for _ in range(3):
            assert (await front.login(masterKey="wrong")).status_code == 401
        front.peer = other
        assert (await front.login(masterKey="wrong")).status_code == status, other


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("64:ff9b::c000:202", "192.0.2.2"),
        ("2002:c000:201:1::1", "192.0.2.1"),
        ("2002:c000:201:ffff::9", "192.0.2.1"),
        ("64:ff9b:1::1", "64:ff9b:1::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_an_address_counts_as_what_its_owner_cannot_leave(address: str, network: str) -> None:
    assert network_of(address) == network


# -- who one is ------------------------------------------------------------------------------

OF_SOMEBODY = ("/auth/me", "/auth/validate")


@pytest.mark.parametrize("path", OF_SOMEBODY)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Basic YTpi"},
        {"X-Master-Key": ""},
        {"X-Master-Key": "wrong"},
    ],
    ids=str,
)
async def test_who_shows_nothing_good_is_nobody(path: str, headers: dict[str, str]) -> None:
    answer = await Front(Users()).request("GET", path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]


@pytest.mark.parametrize("path", OF_SOMEBODY)
async def test_a_wrong_key_is_refused_beside_the_best_token(path: str) -> None:
    front = Front(Users())
    headers = {**front.bearer(root=True), "X-Master-Key": "wrong"}
    assert (await front.request("GET", path, headers=headers)).status_code == 401


async def test_a_token_is_good_until_it_ends() -> None:
    front = Front(Users())
    headers = front.bearer()
    front.wall = NOW + 60
    valid = await front.request("GET", "/auth/validate", headers=headers)
    assert valid.json() == {
        "valid": True,
        "userID": "u1",
        "username": "ada",
        "isRoot": False,
        "exp": 1_800_000_061,
    }
    front.wall = NOW + 61
    ended = await front.request("GET", "/auth/validate", headers=headers)
    assert (ended.status_code, ended.json()["valid"]) == (401, False)


async def test_the_key_itself_never_ends() -> None:
    valid = await Front(Users()).request("GET", "/auth/validate", headers={"X-Master-Key": KEY})
    assert (valid.json()["isRoot"], valid.json()["exp"]) == (True, None)


async def test_one_is_shown_oneself_and_told_when_one_has_been_removed() -> None:
    front = Front(Users())
    assert (await front.request("GET", "/auth/me", headers=front.bearer())).json() == ADA
    gone = await front.request("GET", "/auth/me", headers=front.bearer("u9"))
    assert (gone.status_code, gone.json()) == (404, {"error": "gone"})


async def test_where_there_are_no_users_a_token_still_says_who_one_is() -> None:
    front = Front(None)
    me = await front.request("GET", "/auth/me", headers=front.bearer())
    assert me.json() == {"id": "u1", "username": "ada", "isRoot": False}
    login = await front.login(username="ada", password="open sesame")
    assert login.status_code == 404
    made = await front.request(
        "POST", "/_admin/auth/create-user", json={"userData": {}}, headers={"X-Master-Key": KEY}
    )
    assert made.status_code == 404


async def test_who_guesses_keys_as_somebody_is_told_to_wait_too() -> None:
    front = Front(Users())
    wrong = {"X-Master-Key": "wrong"}
    found = [(await front.request("GET", "/auth/me", headers=wrong)).status_code for _ in range(4)]
    assert found == [401, 401, 401, 429]
    assert front.rate_limited == {"master_key": 1}
    assert (await front.login(masterKey=KEY)).status_code == 200


# -- making users ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("nobody", {"userData": {"username": "ben"}}, 401),
        ("ada", {"userData": {"username": "ben"}}, 403),
        ("ada", "not even an object", 403),
        ("root", "not even an object", 400),
        ("root", {}, 400),
        ("root", {"userData": []}, 400),
        ("root", {"userData": {}}, 400),
        ("root", {"userData": {"username": "ben"}}, 201),
        ("key", {"userData": {"username": "ben"}}, 201),
    ],
    ids=str,
)
async def test_root_alone_makes_users(who: str, body: object, status: int) -> None:
    front = Front(Users())
    headers = {
        "nobody": {},
        "ada": front.bearer(),
        "root": front.bearer(root=True),
        "key": {"X-Master-Key": KEY},
    }[who]
    answer = await front.request("POST", "/_admin/auth/create-user", json=body, headers=headers)
    assert answer.status_code == status
    if status == 201:
        assert answer.json() == {"success": True, "user": {"id": "u2", "username": "ben"}}


async def test_a_refusal_of_those_who_keep_the_users_is_passed_on_whole() -> None:
    refusal = orjson.dumps({"error": "too many"})
    front = Front(Users(answer=ApiAnswer(503, refusal, {"Retry-After": "2"})))
    answer = await front.login(username="ada", password="open sesame")
    assert (answer.status_code, answer.content) == (503, refusal)
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/auth/login", "POST"),
        ("DELETE", "/auth/me", "GET, HEAD"),
        ("GET", "/_admin/auth/create-user", "POST"),
    ],
)
async def test_a_path_of_the_pods_own_takes_its_own_methods_alone(
    method: str, path: str, allowed: str
) -> None:
    answer = await Front(Users()).request(method, path)
    assert answer.status_code == 405
    assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")
