"""Where answers and bodies end, and with them their connections."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from deployd.transport.http import HttpLimits
from support.http_server import (
    CHUNKED,
    GET_DEAF,
    SIZED,
    UPGRADE,
    crash,
    deaf,
    echo,
    pieces,
    sample,
    serving,
    until,
)
from support.raw import ask, connect, everything

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
