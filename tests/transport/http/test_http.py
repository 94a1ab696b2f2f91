from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import httpx
import pytest
from attrs import evolve, field, mutable
from starlette.requests import Request
from starlette.responses import Response

from deployd.config import Audit
from deployd.transport import JSON, Attempts, Premises, Tokens
from deployd.transport.http import Authenticator, Keyring, create_app

SECRET = "a secret of more than sixty-four bytes, so that every HMAC is content"
MASTER_KEY = "the-master-key-of-this-pod"
SCRAPE_TOKEN = "the-token-of-the-scrapers"
# The clock stands still: the tokens below are signed when this file is read, long before use.
TOKENS = Tokens(
    SECRET,
    algorithms=("HS256",),
    issuer="pod",
    require_issuer=False,
    leeway=0,
    wall=lambda: 1_800_000_000.0,
)
KEYRING = Keyring(TOKENS, MASTER_KEY, ttl=60, wall=lambda: 1_800_000_000.0)


@mutable
class Pod:
    """What `create_app` wants to know, with nothing behind it."""

    pod_id: str = "p1"
    version: str = "1.2.3"
    started_at: float = 1000.0
    dev: bool = False
    broken: bool = False
    reason: str | None = None
    now: float = 0.0
    rate_limited: Counter[str] = field(factory=Counter)
    authenticator: Authenticator = field(init=False)
    audit: Audit = field(factory=Audit)

    def __attrs_post_init__(self) -> None:
        self.authenticator = Authenticator(
            KEYRING,
            Attempts(3, 60.0),
            lambda: self.now,
            self.rate_limited,
            self.premises,
            scrape_token=SCRAPE_TOKEN,
        )

    @property
    def premises(self) -> Premises:
        return Premises(port=lambda: 2403, dev=self.dev, relayed=lambda _, __: False)

    def tree(self) -> Mapping[str, object]:
        if self.broken:
            raise RuntimeError("bug")
        return {"path": "pod", "children": []}

    def connections(self) -> int:
        return 42

    def expose(self, accept: str) -> tuple[bytes, str]:
        return b"websocket_connections_per_pod 42\n", "text/plain"

    def broker_health(self) -> Mapping[str, object]:
        return {"links": [{"state": "closed"}]}

    def unready(self) -> str | None:
        return self.reason

    def links(self) -> Sequence[Mapping[str, JSON]]:
        return [{"type": "redis", "state": "open", "endpoint": "cache.example", "reason": "secret"}]

    def pods(self) -> Mapping[str, JSON]:
        return {"shown": "pods"}

    def past(self) -> Mapping[str, JSON]:
        return {"points": []}

    def realtime(self) -> Mapping[str, JSON]:
        return {"shown": "realtime"}

    def detailed(self) -> Mapping[str, JSON]:
        return {"shown": "detailed"}

    def clients(
        self, limit: int, offset: int, room: str | None, user: str | None
    ) -> Mapping[str, JSON]:
        return {"limit": limit, "offset": offset, "room": room, "user": user}

    def refuse_all_but_root(self, request: Request) -> Response | None:
        return self.authenticator.refuse_all_but_root(request)

    def refuse_all_but_scrapers(self, request: Request) -> Response | None:
        return self.authenticator.refuse_all_but_scrapers(request)


async def request(
    pod: Pod,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    peer: str = "127.0.0.1",
    host: str = "localhost:2403",
) -> httpx.Response:
    app = create_app(pod, wall=lambda: 1000.0 + 3723)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 5000))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        return await client.request(method, path, headers=headers)


ACTORS = "/_dashboard/api/actors"


# -- pages -----------------------------------------------------------------------------------


async def test_the_page_names_the_pod_and_links_what_there_is() -> None:
    response = await request(Pod(), "/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for text in ("p1", "1.2.3", "1 h 2 min", "42 connected", "for root"):
        assert text in response.text
    links = re.findall(r'href="([^"]*)"', response.text)
    assert links == [
        "/_dashboard/",
        "/self-test.html",
        "/api/docs",
        "/health/live",
        ACTORS,
        "/dpd.js",
    ]
    for link in links:
        assert (await request(Pod(), link)).status_code != 404


async def test_the_page_needs_nothing_from_elsewhere_and_its_policy_allows_nothing() -> None:
    response = await request(Pod(), "/")
    style = re.search(r"<style>(.*?)</style>", response.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert not re.search(r"https?://|<script|<link|<img|url\(|style=", response.text)
    assert "prefers-color-scheme: dark" in style[1]


async def test_the_page_escapes_what_it_is_told() -> None:
    response = await request(Pod(pod_id="<script>alert(1)</script>", version='"&'), "/")
    assert "<script>" not in response.text
    assert "&lt;script&gt;" in response.text
    assert "&quot;&amp;" in response.text


async def test_the_pod_is_live() -> None:
    response = await request(Pod(), "/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live", "pod": "p1"})


@pytest.mark.parametrize("path", ["/", "/health/live"])
async def test_head_tells_the_same_without_the_body(path: str) -> None:
    get, head = await request(Pod(), path), await request(Pod(), path, method="HEAD")
    assert head.status_code == 200
    assert head.headers == get.headers


@pytest.mark.parametrize("path", ["/nothing", "/health/live/", "/health", "/index.html"])
async def test_an_unknown_path_is_told_in_a_sentence(path: str) -> None:
    response = await request(Pod(), path)
    assert response.status_code == 404
    assert response.json() == {"error": f"There is nothing at {path}; '/' lists what there is."}


async def test_a_wrong_method_is_told_which_is_right() -> None:
    response = await request(Pod(), "/health/live", method="DELETE")
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    assert "DELETE" in response.json()["error"]
    assert "GET" in response.json()["error"]


async def test_a_bug_is_a_sentence_without_its_details() -> None:
    response = await request(Pod(dev=True, broken=True), ACTORS)
    assert response.status_code == 500
    assert list(response.json()) == ["error"]
    assert "bug" not in response.text


@pytest.mark.parametrize("path", ["/", "/health/live", ACTORS, "/nothing"])
async def test_no_answer_is_kept_or_guessed_at(path: str) -> None:
    for pod in (Pod(), Pod(dev=True), Pod(dev=True, broken=True)):
        headers = (await request(pod, path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


# -- diagnostics -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Master-Key": MASTER_KEY},
        {"Authorization": f"Bearer {TOKENS.sign('admin', is_root=True, ttl=60)}"},
        {"authorization": f"bearer  {TOKENS.sign('admin', is_root=True, ttl=60)}"},
    ],
)
async def test_root_sees_the_tree_from_anywhere(headers: dict[str, str]) -> None:
    response = await request(Pod(), ACTORS, headers, peer="192.0.2.1")
    assert (response.status_code, response.json()) == (200, {"path": "pod", "children": []})


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Master-Key": "wrong"},
        {"X-Master-Key": ""},
        {"X-Master-Key": MASTER_KEY + " x"},
        {"Authorization": f"Bearer {TOKENS.sign('admin', is_root=True, ttl=-60)}"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKENS.sign('admin', is_root=True, ttl=60)}"},
        {"Authorization": TOKENS.sign("admin", is_root=True, ttl=60)},
    ],
)
async def test_who_shows_something_else_is_nobody(headers: dict[str, str]) -> None:
    response = await request(Pod(), ACTORS, headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_token_that_is_not_of_root_is_forbidden() -> None:
    headers = {"Authorization": f"Bearer {TOKENS.sign('somebody', ttl=60)}"}
    response = await request(Pod(), ACTORS, headers)
    assert response.status_code == 403
    assert "root" in response.json()["error"]


async def test_who_shows_nothing_is_told_what_to_show() -> None:
    response = await request(Pod(), ACTORS)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "X-Master-Key" in response.json()["error"]


def test_a_pod_without_master_key_takes_none() -> None:
    keyring = Keyring(TOKENS, "", ttl=60, wall=lambda: 1_800_000_000.0)
    assert not keyring.is_master_key("")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("metrics/realtime", {"shown": "realtime"}),
        ("metrics/detailed", {"shown": "detailed"}),
        ("realtime/broker/health", {"links": [{"state": "closed"}]}),
        (
            "realtime/connections",
            {"limit": 100, "offset": 0, "room": None, "user": None},
        ),
        (
            "realtime/connections?limit=1000&offset=7&room=chat-1&user=a%20b",
            {"limit": 1000, "offset": 7, "room": "chat-1", "user": "a b"},
        ),
    ],
)
async def test_root_is_shown_what_each_view_knows(path: str, shown: object) -> None:
    url = f"/_dashboard/api/{path}"
    assert (await request(Pod(), url)).status_code == 401
    response = await request(Pod(), url, {"X-Master-Key": MASTER_KEY})
    assert (response.status_code, response.json()) == (200, shown)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=", "limit=ten", "limit=1_0", "limit=%C2%B2", "limit=-1"],
)
async def test_a_page_has_a_limit_that_a_bad_request_is_told(query: str) -> None:
    headers = {"X-Master-Key": MASTER_KEY}
    response = await request(Pod(), f"/_dashboard/api/realtime/connections?{query}", headers)
    assert response.status_code == 400
    assert response.json() == {"error": "Give 'limit' a whole number from 1 to 1000."}
    endless = await request(
        Pod(), f"/_dashboard/api/realtime/connections?offset={'9' * 500}", headers
    )
    assert endless.status_code == 400
    offset = "/_dashboard/api/realtime/connections?offset=-1"
    assert (await request(Pod(), offset, headers)).status_code == 400


async def test_everybody_may_know_whether_links_work_and_nothing_else_of_them() -> None:
    response = await request(Pod(), "/health/links", peer="192.0.2.1")
    link = {"type": "redis", "state": "open", "seconds_deaf": 0.0}
    assert (response.status_code, response.json()) == (200, {"pod": "p1", "links": [link]})


@pytest.mark.parametrize(
    ("headers", "peer", "dev", "privileged", "told"),
    [
        ({"X-Master-Key": MASTER_KEY}, "192.0.2.1", False, True, 0),
        ({"Authorization": f"Bearer {TOKENS.sign('a', is_root=True, ttl=9)}"}, "x", False, True, 0),
        ({"Authorization": f"Bearer {TOKENS.sign('a', ttl=9)}"}, "192.0.2.1", False, False, 0),
        ({"X-Master-Key": "wrong"}, "192.0.2.1", False, False, 1),
        ({}, "192.0.2.1", False, False, 0),
        ({"Host": "localhost:2403"}, "127.0.0.1", True, True, 0),
        ({"Host": "localhost:2403", "Via": "x"}, "127.0.0.1", True, False, 0),
    ],
)
def test_who_is_let_in_where_there_is_no_room_is_told_of_by_what_answers(
    headers: dict[str, str], peer: str, *, dev: bool, privileged: bool, told: int
) -> None:
    pod = Pod(dev=dev)
    counts: Counter[str] = Counter()
    authenticator = evolve(pod.authenticator, audit=Audit(counts))
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": fields, "client": (peer, 1)}
    assert authenticator.knows(Request(scope)) is privileged
    assert counts.total() == told


# -- guesses ---------------------------------------------------------------------------------


async def guess(pod: Pod, headers: dict[str, str], peer: str = "192.0.2.1") -> int:
    response = await request(pod, ACTORS, headers, peer=peer)
    if response.status_code == 429:
        assert int(response.headers["retry-after"]) > 0
    return response.status_code


WRONG = {"X-Master-Key": "wrong"}
RIGHT = {"X-Master-Key": MASTER_KEY}
GOOD = {"Authorization": f"Bearer {TOKENS.sign('admin', is_root=True, ttl=60)}"}


async def test_who_guesses_the_key_too_often_learns_nothing_more_for_a_while() -> None:
    pod = Pod()
    assert [await guess(pod, WRONG) for _ in range(5)] == [401, 401, 401, 429, 429]
    assert await guess(pod, RIGHT) == 429
    assert pod.rate_limited == {"master_key": 3}
    pod.now = 20.0
    assert await guess(pod, RIGHT) == 200


async def test_what_others_guess_slows_nobody_down() -> None:
    pod = Pod()
    for _ in range(4):
        await guess(pod, WRONG)
    assert await guess(pod, RIGHT, peer="192.0.2.2") == 200
    assert await guess(pod, WRONG, peer="192.0.2.2") == 401
    assert await guess(pod, GOOD) == 200
    assert await guess(pod, {}) == 401


async def test_right_keys_are_never_counted() -> None:
    pod = Pod()
    assert {await guess(pod, RIGHT) for _ in range(20)} == {200}
    assert {await guess(pod, GOOD) for _ in range(20)} == {200}
    assert [await guess(pod, WRONG) for _ in range(4)] == [401, 401, 401, 429]


async def test_forged_tokens_are_guesses_and_those_that_have_expired_are_none() -> None:
    pod = Pod()
    old = {"Authorization": f"Bearer {TOKENS.sign('admin', is_root=True, ttl=-60)}"}
    assert {await guess(pod, old) for _ in range(20)} == {401}
    forged = {"Authorization": "Bearer x.y.z"}
    assert [await guess(pod, forged) for _ in range(4)] == [401, 401, 401, 429]
    assert await guess(pod, old) == 401


# -- pages of other origins ------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/nothing", ACTORS])
async def test_a_page_of_an_allowed_origin_can_read_every_answer(path: str) -> None:
    for pod in (Pod(), Pod(dev=True), Pod(dev=True, broken=True)):
        app = create_app(pod, wall=lambda: 1000.0, origins=("https://app.example",))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("::1", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            response = await client.get(path, headers={"Origin": "https://app.example"})
            assert response.headers["access-control-allow-origin"] == "https://app.example"
            other = await client.get(path, headers={"Origin": "https://b.example"})
            assert "access-control-allow-origin" not in other.headers
