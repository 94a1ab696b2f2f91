"""HTTP/1.1 over a real port, request after request, and what bounds each of them."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from deployd.transport import Listener, Refusal, Shares, UpgradeRequest
from deployd.transport.http import HttpLimits, HttpServer, OnUpgrade, exchange
from deployd.transport.http.exchange import send_all
from support.raw import ask, connect, everything


@asynccontextmanager
async def serving(
    app: ASGIApp,
    limits: HttpLimits | None = None,
    on_upgrade: OnUpgrade = lambda _: Refusal(403, "Not here."),
    origins: Sequence[str] = (),
    **more: Any,
) -> AsyncIterator[Listener]:
    server = HttpServer(app, limits, on_upgrade=on_upgrade, origins=origins, **more)
    listener = Listener("localhost", 0, serve=server.serve)
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


async def test_a_browser_is_answered_on_one_connection() -> None:
    async with serving(sample()) as listener:
        base = f"http://127.0.0.1:{listener.address[1]}"
        async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as client:
            assert (await client.get("/deaf")).text == "never mind"
            assert (await client.post("/echo", content=b"abc")).text == "3"
            head = await client.head("/deaf")
            assert (head.status_code, head.content) == (200, b"")
            assert "server" not in head.headers
            assert head.headers["date"].endswith(" GMT")
            assert listener.statistics().accepted == 1


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
        serving(sample(), HttpLimits(keep_alive_timeout=5, head_timeout=3)) as listener,
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
        assert (await everything(stream)).startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - start == pytest.approx(3)
        nursery.cancel_scope.cancel()


async def test_a_client_that_hangs_up_is_forgotten_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(sample()) as listener:
        start = trio.current_time()
        async with await connect(listener) as stream:
            await stream.send_all(GET_DEAF)
            await answer_of(stream)
        await until(lambda: listener.statistics().open_connections == 0)
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


async def test_who_goes_before_its_request_is_whole_has_asked_for_nothing() -> None:
    asked: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope)

    for part in (SIZED % (b"echo", 20) + b"{}", CHUNKED % b"echo" + b"2\r\n{}\r\n"):
        async with serving(app) as listener, await connect(listener) as stream:
            await stream.send_all(part)
            await stream.send_eof()
            assert (await everything(stream)).startswith(b"HTTP/1.1 400 ")
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
        await until(lambda: listener.statistics().open_connections == 0)


async def test_a_larger_body_in_many_pieces_leaves_nothing_behind() -> None:
    async with serving(sample(), HttpLimits(max_body_bytes=20)) as listener:
        response = await ask(listener, CHUNKED % b"echo" + b"a\r\n0123456789\r\n" * 50)
        assert response.startswith(b"HTTP/1.1 413 ")
        await until(lambda: listener.statistics().open_connections == 0)


async def test_a_body_in_many_pieces_that_nobody_reads_leaves_nothing_behind() -> None:
    async with serving(sample()) as listener:
        async with await connect(listener) as stream:
            await stream.send_all(CHUNKED % b"crash" + CHUNK * 100)
            await stream.send_all(b"0\r\n\r\n")
            assert (await answer_of(stream))[0] == 405
        await until(lambda: listener.statistics().open_connections == 0)


async def test_a_slow_body_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(sample(), HttpLimits(body_timeout=7)) as listener:
        start = trio.current_time()
        response = await ask(listener, SIZED % (b"echo", 10) + b"x")
        assert response.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - start == pytest.approx(7)
        await until(lambda: listener.statistics().open_connections == 0)


async def test_a_client_that_does_not_read_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        serving(sample(), HttpLimits(send_timeout=8)) as listener,
        await connect(listener) as stream,
    ):
        await stream.send_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await trio.sleep(7.9)
        assert listener.statistics().open_connections == 1
        await trio.sleep(0.2)
        assert listener.statistics().open_connections == 0


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
        assert listener.statistics().open_connections == 1
        start = trio.current_time()
    assert trio.current_time() - start == pytest.approx(2)  # the listener's grace
    await stream.aclose()


CRASH = b"GET /crash HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def test_a_bug_that_every_request_meets_is_logged_at_a_limited_rate() -> None:
    async with serving(sample()) as listener:
        with capture_logs() as logs:
            for _ in range(25):
                await ask(listener, CRASH)
        assert 10 <= len(logs) < 25


async def test_a_handlers_bug_is_logged_and_the_connection_lives_on() -> None:
    async with serving(sample()) as listener, await connect(listener) as stream:
        with capture_logs() as logs:
            await stream.send_all(CRASH.replace(b"Connection: close\r\n", b""))
            assert (await answer_of(stream))[0] == 500
        assert [entry["event"] for entry in logs] == ["an HTTP request crashed its handler"]
        await stream.send_all(GET_DEAF)
        assert await answer_of(stream) == (200, b"never mind")


UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def takes_over(request: UpgradeRequest) -> None:
    with request.sock as sock:
        sock.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + request.rest)


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("behind", [b"", b"\x81\x80abcd" * 100])
@pytest.mark.parametrize("at_once", [True, False])
async def test_any_request_of_a_connection_may_ask_to_upgrade(
    before: int, behind: bytes, *, at_once: bool
) -> None:
    earlier = [GET_DEAF, SIZED % (b"echo", 3) + b"abc"][:before]
    async with (
        serving(sample(), on_upgrade=takes_over) as listener,
        await connect(listener) as stream,
    ):
        if at_once:
            await stream.send_all(b"".join(earlier) + UPGRADE + behind)
        else:
            for request in earlier:
                await stream.send_all(request)
                assert (await answer_of(stream))[0] == 200
            await stream.send_all(UPGRADE + behind)
        answer = await everything(stream)
        assert answer.count(b"HTTP/1.1 200 ") == (before if at_once else 0)
        assert answer.endswith(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + behind)


@pytest.mark.parametrize("second", [UPGRADE, UPGRADE.replace(b": 13", b": 8")])
async def test_an_upgrade_that_is_refused_is_the_last_of_its_connection(second: bytes) -> None:
    async with serving(sample()) as listener, await connect(listener) as stream:
        await stream.send_all(GET_DEAF)
        assert (await answer_of(stream))[0] == 200
        await stream.send_all(second)
        assert (await answer_of(stream))[0] in (403, 426)
        assert await everything(stream) == b""


@pytest.mark.parametrize(
    "second",
    [
        b"nonsense\r\n\r\n",
        UPGRADE,
        UPGRADE + b"\x81\x80abcd" * 100,
        GET_DEAF * 100,
        CHUNKED % b"deaf" + CHUNK * 50,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_whatever_follows_the_first_request_the_port_lives_on(second: bytes) -> None:
    async with serving(sample(), HttpLimits(body_timeout=0.05)) as listener:
        async with await connect(listener) as stream:
            await stream.send_all(GET_DEAF)
            assert (await answer_of(stream))[0] == 200
            await stream.send_all(second)
            with suppress(trio.BrokenResourceError):  # a reset is an answer too
                assert not (await stream.receive_some()).startswith(b"HTTP/1.1 101")
        await until(lambda: listener.statistics().open_connections == 0)
        async with await connect(listener) as stream:
            await stream.send_all(GET_DEAF)
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

    async def recorded(sock: socket.socket, data: bytes | memoryview, patience: float) -> None:
        written.append(bytes(data))
        await send_all(sock, data, patience)

    monkeypatch.setattr(exchange, "send_all", recorded)
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
    first, second = writes
    assert (b"HTTP/1.1 200" in first, b"one" in first) == (True, True)
    assert second.endswith(b"two\r\n0\r\n\r\n")


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


# -- the end of a connection -----------------------------------------------------------------


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in pieces, and go on with something else after the last."""
    await pieces(scope, receive, send)
    await receive()


async def bodiless(request: Request) -> Response:
    return Response(b"null", int(request.path_params["status"]))


def all_kinds(folder: Path) -> Starlette:
    (folder / "file.txt").write_text("x" * 100_000)
    return Starlette(
        routes=[
            Route("/echo", echo, methods=["POST"]),
            Route("/deaf", deaf),
            Route("/large", lambda _: PlainTextResponse(b"x" * 1_000_000)),
            Route("/crash", crash),
            Route("/status/{status}", bodiless),
            Mount("/streams", streams),
            Mount("/files", StaticFiles(directory=folder)),
        ]
    )


ASKED = {
    "an answer": b"GET /deaf",
    "the head of an answer": b"HEAD /deaf",
    "a large answer": b"GET /large",
    "an answer in pieces": b"GET /streams/",
    "the head of an answer in pieces": b"HEAD /streams/",
    "a file": b"GET /files/file.txt",
    "the head of a file": b"HEAD /files/file.txt",
    "a part of a file": b"GET /files/file.txt",
    "a file that is not there": b"GET /files/none.txt",
    "nothing": b"GET /status/204",
    "no news": b"GET /status/304",
    "a bug": b"GET /crash",
    "not found": b"GET /nowhere",
    "not so": b"DELETE /deaf",
    "what needs a body": b"POST /echo",
}
LAST = {
    "close": (b"1.1", b"Connection: close\r\n"),
    "close among others": (b"1.1", b"Connection: keep-alive\r\nConnection: x, Close\r\n"),
    "HTTP/1.0": (b"1.0", b""),
    "HTTP/1.0 that would stay": (b"1.0", b"Connection: keep-alive\r\n"),
}


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("asked", ASKED)
async def test_an_answer_that_is_the_last_ends_the_connection(
    asked: str, last: str, tmp_path: Path
) -> None:
    version, fields = LAST[last]
    part = b"Range: bytes=5-9\r\n" if asked == "a part of a file" else b""
    request = ASKED[asked] + b" HTTP/" + version + b"\r\nHost: a\r\n" + part + fields + b"\r\n"
    limits = HttpLimits(keep_alive_timeout=1e9, head_timeout=1e9)
    async with serving(all_kinds(tmp_path), limits) as listener:
        with capture_logs():
            answer = await ask(listener, request)
        assert b"\r\nconnection: close\r\n" in answer.lower() or version == b"1.0"
        await until(lambda: listener.statistics().open_connections == 0)


@pytest.mark.parametrize("asked", ASKED)
async def test_any_other_answer_is_followed_by_the_next(asked: str, tmp_path: Path) -> None:
    part = b"Range: bytes=5-9\r\n" if asked == "a part of a file" else b""
    request = ASKED[asked] + b" HTTP/1.1\r\nHost: a\r\n" + part + b"\r\n"
    end = b"GET /deaf HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with serving(all_kinds(tmp_path), HttpLimits(keep_alive_timeout=1e9)) as listener:
        with capture_logs():
            answers = await ask(listener, request + request + end)
    assert answers.count(b"HTTP/1.1 ") == 3
    assert answers.endswith(b"never mind")


@pytest.mark.parametrize(("status", "length"), [(204, False), (304, False), (200, True)])
async def test_an_answer_that_may_have_no_body_has_none_and_says_no_length(
    status: int, length: bool, tmp_path: Path
) -> None:
    async def says_too_much(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"4")] if status == 204 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"null"})

    async with serving(says_too_much) as listener:
        answer = await ask(listener, b"GET / HTTP/1.0\r\n\r\n")
    head, _, body = answer.lower().partition(b"\r\n\r\n")
    assert b"content-length" not in head
    assert body == (b"null" if length else b"")


async def test_an_answer_that_breaks_off_is_not_taken_for_whole() -> None:
    async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("bug")

    async def says_nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    with capture_logs() as logs:
        async with serving(breaks_off) as listener:
            assert (await ask(listener, GET_DEAF)).endswith(b"4\r\nhalf\r\n")
        async with serving(says_nothing) as listener:
            assert (await ask(listener, GET_DEAF)).startswith(b"HTTP/1.1 500 ")
    assert [entry["event"] for entry in logs] == ["an HTTP request crashed its handler"]


async def test_an_application_that_waits_learns_that_its_client_has_gone() -> None:
    gone = trio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        with pytest.raises(OSError, match="gone"):
            await send({"type": "http.response.body", "body": b"second"})
        gone.set()

    async with serving(waits) as listener:
        async with await connect(listener) as stream:
            await stream.send_all(GET_DEAF + GET_DEAF)
            await stream.receive_some()
        with trio.fail_after(60):
            await gone.wait()


async def test_what_an_application_streams_waits_for_its_client_to_read() -> None:
    written = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal written
        await send({"type": "http.response.start", "status": 200})
        while True:
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            written += 1

    async with serving(endless) as listener, await connect(listener) as stream:
        await stream.send_all(GET_DEAF)
        await trio.testing.wait_all_tasks_blocked(0.01)
        before = written
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert written == before
        for _ in range(100):
            await stream.receive_some()
        await until(lambda: written > before)


SMUGGLED = b"GET /deaf HTTP/1.1\r\nHost: a\r\n\r\n"
ENDS_IN_TWO_WAYS = {
    "a size that ends in LF": b"3\nabc\r\n0\r\n\r\n",
    "a chunk that ends in LF": b"3\r\nabc\n0\r\n\r\n",
    "a chunk that does not end": b"3\r\nabc0\r\n\r\n",
    "a last size that ends in LF": b"3\r\nabc\r\n0\n\r\n",
    "an end that is LF": b"3\r\nabc\r\n0\r\n\n",
    "trailers that end in LF": b"3\r\nabc\r\n0\r\nX: y\r\n\n",
    "trailers in LF": b"3\r\nabc\r\n0\r\nX: y\n\n",
    "an extension with LF": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "an extension with CR": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "an extension with NUL": b"3;a\0b\r\nabc\r\n0\r\n\r\n",
    "trailers with LF in between": b"3\r\nabc\r\n0\r\nX: y\nZ: z\r\n\r\n",
    "a trailer that is folded": b"3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n",
    "a trailer that begins folded": b"3\r\nabc\r\n0\r\n X: y\r\n\r\n",
    "extensions without end": b"1;" + b"a" * 9000 + b"\r\na\r\n1;" + b"a" * 9000 + b"\r\n",
    "a size in hex as in C": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a signed size": b"+3\r\nabc\r\n0\r\n\r\n",
    "a size of two words": b"3 3\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "an endless size": b"f" * 40 + b"\r\nabc",
}


@pytest.mark.parametrize("end", ENDS_IN_TWO_WAYS)
@pytest.mark.parametrize("piece", [1, 7, 1000])
async def test_a_body_that_could_end_in_two_ways_is_refused_and_nothing_behind_it_is_read(
    end: str, piece: int
) -> None:
    sent = CHUNKED % b"echo" + ENDS_IN_TWO_WAYS[end] + SMUGGLED
    async with serving(sample()) as listener, await connect(listener) as stream:
        with suppress(trio.BrokenResourceError):
            for at in range(0, len(sent), piece):
                await stream.send_all(sent[at : at + piece])
                await trio.lowlevel.checkpoint()
        answer = await everything(stream)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))
        assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("first", [b"nonsense\r\n\r\n", UPGRADE, SIZED % (b"echo", 10**9)])
async def test_nothing_is_read_behind_what_was_refused(first: bytes) -> None:
    async with serving(sample()) as listener:
        answer = await ask(listener, first + SMUGGLED)
        assert answer.count(b"\r\n\r\n") == 1
        assert b"never mind" not in answer


@pytest.mark.parametrize("piece", [1, 3, 1000])
async def test_chunks_may_have_extensions_and_trailers(piece: int) -> None:
    sent = CHUNKED % b"echo" + b'3;a="b"\r\nabc\r\n0\r\nX: y\r\nZ: z\r\n\r\n' + SMUGGLED
    async with serving(sample()) as listener, await connect(listener) as stream:
        for at in range(0, len(sent), piece):
            await stream.send_all(sent[at : at + piece])
            await trio.lowlevel.checkpoint()
        await stream.send_eof()
        answers = await everything(stream)
        assert answers.count(b"HTTP/1.1 200 ") == 2


# -- what is kept in memory for clients ----------------------------------------------------------

HALF_LARGE = SIZED % (b"echo", 400_000) + b"x" * 399_999
GET_LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("each", "status"), [(1_000_000, b"429"), (0, b"503")], ids=["of one address", "of all"]
)
@pytest.mark.parametrize("rest", [b"x", b"xx"], ids=["sized", "in chunks"])
async def test_bodies_that_are_on_their_way_take_no_more_memory_than_there_is_for_them(
    each: int, status: bytes, rest: bytes
) -> None:
    memory = Shares(1_000_000 if not each else 10_000_000, each)
    half = HALF_LARGE
    if rest == b"xx":
        half = CHUNKED % b"echo" + b"61A80\r\n" + b"x" * 399_999
    async with serving(sample(), memory=memory) as listener, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(await connect(listener)) for _ in range(2)]
        for stream in streams:
            await stream.send_all(half)
        await until(lambda: len(memory) > 600_000)
        async with await connect(listener) as third:
            with suppress(trio.BrokenResourceError):
                await third.send_all(half)
            assert (await third.receive_some()).startswith(b"HTTP/1.1 " + status)
        async with await connect(listener) as small:  # costs nobody anything
            await small.send_all(SIZED % (b"echo", 9) + b"x" * 9)
            assert (await answer_of(small)) == (200, b"9")
        await streams[0].send_all(b"x" if rest == b"x" else b"x\r\n0\r\n\r\n")
        assert (await answer_of(streams[0])) == (200, b"400000")
        await until(lambda: len(memory) < 600_000)
    await until(lambda: not memory)


async def test_answers_that_nobody_reads_take_no_more_memory_than_there_is_for_them() -> None:
    memory = Shares(120_000_000, 60_000_000, reserve=10_000_000)
    async with serving(
        sample(), memory=memory, privileged=lambda scope: scope["path"] == "/large"
    ) as listener:
        async with await connect(listener) as deaf, await connect(listener) as root:
            await deaf.send_all(GET_LARGE)
            await until(lambda: len(memory) > 40_000_000)
            await root.send_all(GET_LARGE)  # and has no share
            await until(lambda: len(memory) > 90_000_000)
            assert b" 503 " in await ask(listener, GET_LARGE)
        await until(lambda: not memory)


async def test_an_address_whose_answers_wait_is_told_to_read_them_first() -> None:
    memory = Shares(120_000_000, 60_000_000)
    async with serving(sample(), memory=memory) as listener:
        async with await connect(listener) as deaf:
            await deaf.send_all(GET_LARGE)
            await until(lambda: len(memory) > 40_000_000)
            answer = await ask(listener, GET_LARGE + GET_DEAF)
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"limits.maxHttpBytes" in answer
            assert answer.count(b"HTTP/1.1 ") == 1
        await until(lambda: not memory)
        async with await connect(listener) as stream:
            await stream.send_all(GET_LARGE)
            read = 0
            while read < 50_000_000:
                read += len(await stream.receive_some())


# -- pages of other origins ------------------------------------------------------------------

PAGE = b"Origin: https://app.example\r\n"
REFUSED = {
    400: b"GET nowhere HTTP/1.1\r\nHost: a\r\n" + PAGE + b"\r\n",
    403: UPGRADE[:-2] + PAGE + b"\r\n",
    404: UPGRADE.replace(b"/socket.io/", b"/elsewhere")[:-2] + PAGE + b"\r\n",
    408: SIZED[:-2] % (b"echo", 9) + PAGE + b"\r\n",
    413: SIZED[:-2] % (b"echo", 10**9) + PAGE + b"\r\n",
    426: b"GET /socket.io/ HTTP/1.1\r\nHost: a\r\n" + PAGE + b"\r\n",
    431: b"GET / HTTP/1.1\r\nHost: a\r\n" + PAGE + b"X: " + b"x" * 40_000 + b"\r\n\r\n",
    505: b"GET / HTTP/2.0\r\nHost: a\r\n" + PAGE + b"\r\n",
}


@pytest.mark.parametrize("status", REFUSED)
async def test_a_page_of_an_allowed_origin_can_read_why_it_is_refused(
    status: int, autojump_clock: trio.testing.MockClock
) -> None:
    for allowed, readable in ((("https://app.example",), True), (("https://b.example",), False)):
        async with serving(sample(), origins=allowed) as listener:
            answer = await ask(listener, REFUSED[status])
        assert int(answer[9:12]) == status
        line = b"\r\nAccess-Control-Allow-Origin: https://app.example\r\n"
        assert (line in answer) is readable
