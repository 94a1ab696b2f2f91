from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import trio
import trio.testing
from attrs import field, mutable
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployd.config import Audit
from deployd.transport import JSON, Attempts, Listener, Premises, Refusal, Tokens
from deployd.transport.http import (
    Doorman,
    HttpLimits,
    HttpServer,
    Keyring,
    ReplayStream,
    create_app,
    serve,
)
from deployd.transport.http.gate import Gate
from support.raw import ask, connect, everything

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
    doorman: Doorman = field(init=False)
    audit: Audit = field(factory=Audit)

    def __attrs_post_init__(self) -> None:
        self.doorman = Doorman(
            KEYRING,
            Attempts(3, 60.0),
            lambda: self.now,
            self.rate_limited,
            self.premises,
            scrape_token=SCRAPE_TOKEN,
        )

    @property
    def premises(self) -> Premises:
        return Premises(port=lambda: 2403, dev=self.dev)

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

    def realtime(self) -> Mapping[str, JSON]:
        return {"shown": "realtime"}

    def detailed(self) -> Mapping[str, JSON]:
        return {"shown": "detailed"}

    def clients(
        self, limit: int, offset: int, room: str | None, user: str | None
    ) -> Mapping[str, JSON]:
        return {"limit": limit, "offset": offset, "room": room, "user": user}

    def refuse_all_but_root(self, request: Request) -> Response | None:
        return self.doorman.refuse_all_but_root(request)

    def refuse_all_but_scrapers(self, request: Request) -> Response | None:
        return self.doorman.refuse_all_but_scrapers(request)


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
    assert links == ["/_dashboard/", "/self-test.html", "/health/live", ACTORS, "/dpd.js"]
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


# -- over a real port ------------------------------------------------------------------------


@asynccontextmanager
async def serving(app: ASGIApp, limits: HttpLimits | None = None) -> AsyncIterator[Listener]:
    listener = Listener(
        "localhost",
        0,
        on_upgrade=lambda _: Refusal(403, "Not here."),
        serve_http=HttpServer(app, limits).serve,
    )
    listener.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.run, lambda: None)
        yield listener
        nursery.cancel_scope.cancel()


async def answer_of(stream: trio.SocketStream) -> tuple[int, bytes]:
    """Read one response that has a Content-Length."""
    received = b""
    with trio.fail_after(60):
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some() or pytest.fail("the connection was closed")
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += await stream.receive_some() or pytest.fail("the connection was closed")
    return int(head.split(b" ", 2)[1]), body


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if condition():
            return
        await trio.lowlevel.checkpoint()
    pytest.fail("it never came to be")


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def deaf(request: Request) -> Response:
    return PlainTextResponse("never mind")


async def large(request: Request) -> Response:
    return PlainTextResponse(b"x" * 50_000_000)


async def crash(request: Request) -> Response:
    raise RuntimeError("bug")


def sample() -> Starlette:
    return Starlette(
        routes=[
            Route("/echo", echo, methods=["POST"]),
            Route("/deaf", deaf, methods=["POST", "GET"]),
            Route("/large", large),
            Route("/crash", crash),
        ]
    )


GET_DEAF = b"GET /deaf HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def test_a_browser_reads_page_and_health_from_the_port() -> None:
    async with serving(create_app(Pod())) as listener:
        base = f"http://127.0.0.1:{listener.address[1]}"
        async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as client:
            assert "p1" in (await client.get("/")).text
            assert (await client.get("/health/live")).json()["status"] == "live"
            head = await client.head("/")
            assert (head.status_code, head.content) == (200, b"")
            assert "server" not in head.headers
            assert listener.statistics().accepted == 1


async def test_what_was_read_before_comes_first_in_pieces_of_any_size() -> None:
    ours, theirs = trio.socket.socketpair()
    with theirs:
        await theirs.send(b"rest")
        async with ReplayStream(ours, b"first", send_timeout=10) as stream:
            pieces = [await stream.receive_some(size) for size in (2, 2, 2, 2, None)]
    assert pieces == [b"fi", b"rs", b"t", b"re", b"st"]


async def test_requests_behind_one_another_are_all_answered() -> None:
    async with serving(sample()) as listener, await connect(listener) as stream:
        await stream.send_all(GET_DEAF)
        assert await answer_of(stream) == (200, b"never mind")
        await stream.send_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        assert await answer_of(stream) == (200, b"3")


async def test_a_silent_connection_is_closed_after_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(sample(), HttpLimits(keep_alive_timeout=5)) as listener:
        start = trio.current_time()
        assert (await ask(listener, GET_DEAF)).endswith(b"never mind")
        assert trio.current_time() - start == pytest.approx(5)


async def test_a_second_request_that_trickles_in_is_cut_off_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        serving(sample(), HttpLimits(keep_alive_timeout=5)) as listener,
        await connect(listener) as stream,
        trio.open_nursery() as nursery,
    ):
        await stream.send_all(GET_DEAF)
        await answer_of(stream)

        async def trickle() -> None:
            for byte in GET_DEAF:
                await stream.send_all(bytes([byte]))
                await trio.sleep(0.7)

        nursery.start_soon(trickle)
        start = trio.current_time()
        assert await everything(stream) == b""
        assert trio.current_time() - start == pytest.approx(5)
        nursery.cancel_scope.cancel()


async def test_a_client_that_hangs_up_is_forgotten_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(sample()) as listener:
        start = trio.current_time()
        async with await connect(listener) as stream:
            await stream.send_all(GET_DEAF)
            await answer_of(stream)
        await until(lambda: listener.statistics().open_http_connections == 0)
        assert trio.current_time() == start


async def test_stopping_closes_silent_connections_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(sample()) as listener:
        stream = await connect(listener)
        await stream.send_all(GET_DEAF)
        await answer_of(stream)
        start = trio.current_time()
    async with stream:
        assert await everything(stream) == b""
    assert trio.current_time() == start


async def test_a_connection_may_end_in_the_moment_in_which_the_listener_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopping, let_go = trio.Event(), serve._Connection.let_go

    def stop_and_let_go(connection: serve._Connection) -> None:
        stopping.set()
        let_go(connection)

    monkeypatch.setattr(serve._Connection, "let_go", stop_and_let_go)
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.setblocking(False)
    server = HttpServer(sample())
    await server.serve(trio.socket.from_stdlib_socket(ours), b"", stopping)
    assert ours.fileno() == -1


async def test_who_goes_before_its_request_is_whole_has_asked_for_nothing() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"{}", "more_body": True},
        {"type": "http.disconnect"},
    ]
    asked: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope)

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError("nobody is there to hear it")

    scope: Scope = {
        "type": "http",
        "headers": [(b"content-length", b"20")],
        "client": None,
        "state": {},
    }
    await Gate(app, 1000, 10.0)(scope, receive, send)
    assert asked == []


CHUNK = b"400\r\n" + b"x" * 1024 + b"\r\n"
CHUNKED = b"POST /%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("path", [b"echo", b"deaf"])
async def test_a_body_is_taken_up_to_its_limit(path: bytes) -> None:
    async with serving(sample(), HttpLimits(max_body_bytes=4096)) as listener:
        for fits in (SIZED % (path, 4096) + b"x" * 4096, CHUNKED % path + CHUNK * 4 + b"0\r\n\r\n"):
            async with await connect(listener) as stream:
                await stream.send_all(fits)
                assert (await answer_of(stream))[0] == 200


@pytest.mark.parametrize("path", [b"echo", b"deaf"])
@pytest.mark.parametrize("kind", ["sized", "chunked"])
async def test_a_larger_body_is_refused_and_leaves_nothing_behind(path: bytes, kind: str) -> None:
    data = SIZED % (path, 10**9) if kind == "sized" else CHUNKED % path + CHUNK * 5
    async with serving(sample(), HttpLimits(max_body_bytes=4096)) as listener:
        response = await ask(listener, data)
        assert response.startswith(b"HTTP/1.1 413 ")
        assert json.loads(response.partition(b"\r\n\r\n")[2])["error"].endswith("4096 bytes.")
        await until(lambda: listener.statistics().open_http_connections == 0)


async def test_a_larger_body_in_many_pieces_leaves_nothing_behind() -> None:
    # Hypercorn would wait for ever to queue the pieces that nobody takes any more.
    async with serving(sample(), HttpLimits(max_body_bytes=20)) as listener:
        response = await ask(listener, CHUNKED % b"echo" + b"a\r\n0123456789\r\n" * 50)
        assert response.startswith(b"HTTP/1.1 413 ")
        await until(lambda: listener.statistics().open_http_connections == 0)


async def test_a_body_in_many_pieces_that_nobody_reads_leaves_nothing_behind() -> None:
    async with serving(sample()) as listener:
        async with await connect(listener) as stream:
            await stream.send_all(CHUNKED % b"crash" + CHUNK * 100)
            await stream.send_all(b"0\r\n\r\n")
            assert (await answer_of(stream))[0] == 405
        await until(lambda: listener.statistics().open_http_connections == 0)


async def test_a_slow_body_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(sample(), HttpLimits(body_timeout=7)) as listener:
        start = trio.current_time()
        response = await ask(listener, SIZED % (b"echo", 10) + b"x")
        assert response.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - start == pytest.approx(7)
        await until(lambda: listener.statistics().open_http_connections == 0)


async def test_a_client_that_does_not_read_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        serving(sample(), HttpLimits(send_timeout=8)) as listener,
        await connect(listener) as stream,
    ):
        await stream.send_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await trio.sleep(7.9)
        assert listener.statistics().open_http_connections == 1
        await trio.sleep(0.2)
        assert listener.statistics().open_http_connections == 0


async def test_a_client_that_sends_no_more_still_gets_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(sample()) as listener, await connect(listener) as stream:
        await stream.send_all(GET_DEAF)
        await stream.send_eof()
        start = trio.current_time()
        assert (await everything(stream)).endswith(b"never mind")
        assert trio.current_time() == start


async def test_a_client_that_does_not_read_cannot_hold_up_the_stop(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(sample(), HttpLimits(send_timeout=1000)) as listener:
        stream = await connect(listener)
        await stream.send_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await trio.sleep(1)
        assert listener.statistics().open_http_connections == 1
        start = trio.current_time()
    assert trio.current_time() - start == pytest.approx(1)  # the listener's grace
    await stream.aclose()


async def test_a_bug_that_every_request_meets_is_logged_at_a_limited_rate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(sample()) as listener:
        with caplog.at_level(logging.ERROR):
            for _ in range(25):
                await ask(listener, b"GET /crash HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert 10 <= len(caplog.records) < 25


async def test_a_handlers_bug_is_logged_and_the_port_lives_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(sample()) as listener:
        with caplog.at_level(logging.ERROR):
            crashed = await ask(
                listener, b"GET /crash HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
        assert crashed.startswith(b"HTTP/1.1 500 ")
        assert [record.name for record in caplog.records] == ["hypercorn.error"]
        async with await connect(listener) as stream:
            await stream.send_all(GET_DEAF)
            assert await answer_of(stream) == (200, b"never mind")


GET_HEALTH = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def test_a_websocket_needs_a_connection_of_its_own() -> None:
    async with serving(create_app(Pod())) as listener, await connect(listener) as stream:
        await stream.send_all(GET_HEALTH)
        assert (await answer_of(stream))[0] == 200
        await stream.send_all(UPGRADE)
        status, body = await answer_of(stream)
        assert (status, "of its own" in json.loads(body)["error"]) == (400, True)
        assert await everything(stream) == b""


@pytest.mark.parametrize(
    "second",
    [
        b"nonsense\r\n\r\n",
        UPGRADE,
        UPGRADE + b"\x81\x80abcd" * 100,
        GET_HEALTH * 100,
        CHUNKED % b"deaf" + CHUNK * 50,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_whatever_follows_the_first_request_the_port_lives_on(second: bytes) -> None:
    async with serving(create_app(Pod())) as listener:
        async with await connect(listener) as stream:
            await stream.send_all(GET_HEALTH)
            assert (await answer_of(stream))[0] == 200
            await stream.send_all(second)
            with suppress(trio.BrokenResourceError):  # a reset is an answer too
                assert not (await stream.receive_some()).startswith(b"HTTP/1.1 101")
        await until(lambda: listener.statistics().open_http_connections == 0)
        async with await connect(listener) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await answer_of(stream))[0] == 200


# -- what an answer costs --------------------------------------------------------------------


async def pieces(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Keep what is written to clients, each write by itself."""
    written: list[bytes] = []
    send_all = ReplayStream.send_all

    async def recorded(stream: ReplayStream, data: bytes | bytearray | memoryview) -> None:
        written.append(bytes(data))
        await send_all(stream, data)

    monkeypatch.setattr(ReplayStream, "send_all", recorded)
    return written


async def test_an_answer_is_one_write(writes: list[bytes]) -> None:
    async with serving(sample()) as listener, await connect(listener) as stream:
        for count in (1, 2, 3):
            await stream.send_all(GET_DEAF)
            assert await answer_of(stream) == (200, b"never mind")
            assert len(writes) == count


async def test_an_answer_without_a_body_is_not_kept_back(writes: list[bytes]) -> None:
    async with serving(sample()) as listener:
        asked = GET_DEAF.replace(b"GET", b"HEAD")
        await ask(listener, asked + asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert [each.split(b" ", 2)[1] for each in writes] == [b"200", b"200"]


async def test_the_pieces_of_an_answer_are_not_kept_back(writes: list[bytes]) -> None:
    async with serving(pieces) as listener:
        await ask(listener, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    first, second, end = writes
    assert (b"HTTP/1.1 200" in first, b"one" in first) == (True, True)
    assert (b"two" in second, end) == (True, b"0\r\n\r\n")


async def test_a_client_that_waits_for_a_continue_gets_it_at_once() -> None:
    async with serving(sample()) as listener, await connect(listener) as stream:
        await stream.send_all(GET_DEAF)
        await answer_of(stream)
        await stream.send_all(SIZED[:-2] % (b"echo", 3) + b"Expect: 100-continue\r\n\r\n")
        with trio.fail_after(60):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(b"abc")
        assert await answer_of(stream) == (200, b"3")


async def test_a_request_under_way_is_answered_although_the_port_closes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    begun, go_on = trio.Event(), trio.Event()

    async def slow(request: Request) -> Response:
        begun.set()
        await go_on.wait()
        return PlainTextResponse("done")

    async with serving(Starlette(routes=[Route("/", slow)])) as listener:
        stream = await connect(listener)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()

        async def later() -> None:
            await trio.sleep(0.5)
            go_on.set()

        trio.lowlevel.spawn_system_task(later)
    async with stream:
        assert (await everything(stream)).endswith(b"done")
