"""Connections of HTTP: how they live, what they may send, and what an answer costs."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

import httpx
import pytest
import trio
import trio.testing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from deployd.transport import UpgradeRequest
from deployd.transport.http import HttpLimits, exchange
from deployd.transport.http.exchange import send_all
from support.http_server import (
    CHUNK,
    CHUNKED,
    GET_DEAF,
    SIZED,
    UPGRADE,
    answer_of,
    pieces,
    sample,
    serving,
    until,
)
from support.raw import ask, connect, everything


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
