"""The HTTP edge of a running pod under what no honest client sends: each answer is a sentence."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import trio
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import MASTER, collections_config, running_collections, write_collection

PATIENCE = 20.0
SCRIPTS = {
    "validate": "def run(ctx):\n    pass\n",
    "delete": "def run(ctx):\n    pass\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_collection(tmp_path, "todos", {"properties": {"n": {"type": "number"}}})
    write_collection(tmp_path, "scripted", {}, SCRIPTS)
    parts = "def run(ctx):\n    ctx.set_response(ctx.parts)\n"
    write_collection(tmp_path, "parts", {"noStore": True}, {"get": parts})
    return tmp_path


async def say(port: int, request: bytes, *, half_close: bool = False) -> tuple[int, bytes]:
    """Send bytes on a connection of their own; return the status and the body that come back."""
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(request)
            if half_close:
                await stream.send_eof()
            answer = b""
            async for chunk in stream:
                answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def told(body: bytes) -> str:
    """Return the sentence that a refusal is, and make sure that it is nothing else."""
    answer = json.loads(body)
    assert set(answer) <= {"error", "errors"}
    sentence = answer["error"]
    assert isinstance(sentence, str)
    assert sentence.endswith((".", "!"))
    assert "Traceback" not in sentence
    return sentence


def request(
    target: bytes, method: bytes = b"GET", *headers: bytes, body: bytes | None = None
) -> bytes:
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: pod", b"Connection: close", *headers]
    if body is not None:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body or b""])


PATHS: list[tuple[bytes, int]] = [
    (b"//todos", 404),
    (b"//", 404),
    (b"/todos/", 200),
    (b"/todos//kept", 200),
    (b"/%74odos", 200),
    (b"/todos%2fkept", 404),
    (b"/%2ftodos", 404),
    (b"/todos/%2f", 404),
    (b"/todos/a%2fb", 404),
    (b"/todos/%6bept", 200),
    (b"/todos/kept%00", 404),
    (b"/users/a%0Ab", 401),
    (b"/users%0A", 404),
    (b"/auth/me%0A", 404),
    (b"/%0A", 404),
    (b"/todos/%ff", 404),
    (b"/todos/" + b"k" * 8000, 404),
    (b"/todos/kept/more", 404),
    (b"/scripted/a%00b", 404),
    (b"/%2e%2e/%2e%2e/etc/passwd", 404),
    (b"/../todos", 404),
    (b"/todos/..", 404),
    (b"/%00", 404),
    (b"/%ff", 404),
    (b"/TODOS", 404),
    (b"/todos;x=1", 404),
    (b"*", 404),
    (b"http://elsewhere/todos", 200),
    (b"http://[::1/todos", 400),
    (b"/collections/", 404),
    (b"/auth", 404),
    (b"/auth/login/", 404),
    (b"/socket.io/x", 404),
    (b"/todos?" + b"&".join([b"a=1"] * 200), 200),
    (b"/todos?" + b"&".join([b"a=1"] * 201), 400),
    (b"/todos?%ff=1", 400),
    (b"/todos?a=%00", 400),
    (b"/todos?%00=a", 400),
    (b"/todos?=", 400),
    (b"/todos?&&&", 200),
    (b"/todos?n=1e400", 400),
    (b"/todos?m=1e400", 200),
    (b"/todos?n=" + b"9" * 4000, 400),
    (b"/todos?m=" + b"9" * 4000, 200),
    (b"/todos?$limit=1e400", 400),
    (b"/todos?$skip=99999999999999999999", 400),
    (b"/todos?$sort=[", 400),
    (b"/todos?a=" + b"%5B" * 1000, 400),
    (b"/todos?a" + b".b" * 3000 + b"=1", 400),
    (b"/parts/a%2fb/%00/%ff", 200),
    (b"/todos/\xff", 400),
    (b"/todos/a b", 400),
    (b"/todos/\0", 400),
]


async def test_every_path_is_an_answer_or_a_sentence(folder: Path) -> None:
    async with running_collections(folder) as (pod, http):
        await http.post("/todos", json={"id": "kept"})
        for target, status in PATHS:
            answered, body = await say(pod.port, request(target))
            assert answered == status, (target[:80], answered, body)
            if status != 200:
                told(body)
        assert (await http.get("/parts/a%2fb/%00")).json() == ["a/b", "\0"]


HEADERS: list[tuple[tuple[bytes, ...], int]] = [
    ((b"X-Master-Key: a", b"X-Master-Key: b"), 401),
    ((b"Authorization: Bearer a", b"Authorization: Bearer b"), 401),
    ((b"Authorization: Bearer \xff\xfe",), 401),
    ((b"X-Master-Key: \xff",), 401),
    ((b"Authorization:",), 200),
    ((b"Host: other",), 400),
    ((b"X-A: a\0b",), 400),
    ((b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 200),
    ((b"Content-Length: -1",), 400),
    ((b"Content-Length: " + b"9" * 4000,), 400),
    ((b"Transfer-Encoding: gzip",), 400),
    ((b"X-A: " + b"a" * 200_000,), 431),
]


async def test_every_header_is_an_answer_or_a_sentence(folder: Path) -> None:
    async with running_collections(folder) as (pod, _):
        for headers, status in HEADERS:
            answered, body = await say(pod.port, request(b"/todos", b"GET", *headers))
            assert answered == status, (headers, answered, body[:200])
            if status != 200:
                told(body)


async def test_no_client_changes_to_http_2_on_any_request(folder: Path) -> None:
    async with running_collections(folder) as (pod, _):
        first = b"GET /health/live HTTP/1.1\r\nHost: pod\r\n\r\n"
        asked = request(b"/todos", b"GET", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
        for second in (asked, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            _, rest = await say(pod.port, first + second)
            assert b"HTTP/1.1 101" not in rest
            assert b"HTTP/1.1 " in rest


POST = (
    b"POST /todos HTTP/1.1\r\nHost: pod\r\nConnection: close\r\nContent-Type: application/json\r\n"
)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"Content-Length: 20\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\nnot a number\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}",
    ],
    ids=ascii,
)
async def test_a_body_whose_length_is_in_doubt_is_refused_in_a_sentence(
    folder: Path, rest: bytes
) -> None:
    async with running_collections(folder) as (pod, http):
        status, body = await say(pod.port, POST + rest, half_close=True)
        assert status == 400
        told(body)
        assert (await http.get("/todos")).json() == []


BODIES: list[tuple[bytes, str, int]] = [
    (b"{}", "application/json; charset=utf-8", 200),
    (b"{}", "APPLICATION/JSON", 200),
    (b"{}", "application/vnd.api+json", 200),
    (b"{}", "text/json", 415),
    (b"{}", "application/json,text/plain", 415),
    (b"{}", "", 415),
    ('{"a":1}'.encode("utf-16"), "application/json; charset=utf-16", 400),
    (b"\xef\xbb\xbf{}", "application/json", 400),
    (b"", "application/json", 400),
    (b"{} {}", "application/json", 400),
    (b"null", "application/json", 400),
    (b"[" * 300_000, "application/json", 400),
    (b'{"a":' * 63 + b"[1]" + b"}" * 63, "application/json", 200),
    (b'{"a":' * 64 + b"[1]" + b"}" * 64, "application/json", 400),
    (b'"' * 300_001, "application/json", 400),
    (b'{"n":1e400}', "application/json", 400),
    (b'{"n":' + b"9" * 300_000 + b"}", "application/json", 400),
    (b'{"n":18446744073709551616}', "application/json", 200),
    (b'{"n":NaN}', "application/json", 400),
    (b'{"a":1,"a":2}', "application/json", 200),
    (b'{"a":"\\ud800"}', "application/json", 200),  # U+FFFD, as browsers encode it
    (b'{"a":"\\u0000"}', "application/json", 400),
    (b'{"\\u0000":1}', "application/json", 400),
    (b'{"":1}', "application/json", 400),
    (b'{"$a":1}', "application/json", 400),
    (b'{"' + b"k" * 257 + b'":1}', "application/json", 400),
    (b'{"id":"count"}', "application/json", 400),
    (b'{"id":["a"]}', "application/json", 400),
    (b'{"createdAt":{},"updatedAt":5}', "application/json", 200),
]


async def test_every_body_is_kept_or_refused_in_a_sentence(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        for content, kind, status in BODIES:
            for path in ("/todos", "/scripted"):
                answer = await http.post(path, content=content, headers={"Content-Type": kind})
                assert answer.status_code == status, (path, content[:60], kind, answer.text)
                if status != 200:
                    told(answer.content)


async def test_of_two_values_of_one_key_the_last_is_kept(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        headers = {"Content-Type": "application/json"}
        made = await http.post("/todos", content=b'{"a":1,"a":2}', headers=headers)
        assert made.json()["a"] == 2


async def hostile_ids(http: httpx.AsyncClient) -> None:
    """Ask for ids that no document can have, in all ways there are; nothing must break."""
    for path in ("/todos", "/scripted"):
        for id_ in ("a%00b", "%ff", "k" * 5000, "%ed%a0%80"):
            for method in ("GET", "PUT", "DELETE"):
                body = {"a": 1} if method == "PUT" else None
                answer = await http.request(method, f"{path}/{id_}", json=body)
                assert answer.status_code == 404, (method, path, id_[:20], answer.text)
        assert (await http.post(path, json={"id": "kept"})).status_code == 200
    login = {"username": "a\0b", "password": "of no importance"}
    assert (await http.post("/auth/login", json=login)).status_code == 401


async def test_ids_that_no_document_can_have_are_not_there(folder: Path) -> None:
    async with running_collections(folder) as (_, http):
        await hostile_ids(http)


async def test_they_are_not_there_in_postgresql_either(folder: Path, postgres_url: str) -> None:
    config = collections_config(folder)
    config = evolve(config, store=evolve(config.store, url=postgres_url))
    async with running_collections(folder, config) as (pod, http):
        await hostile_ids(http)
        headers = {"Authorization": f"Bearer {pod.tokens.sign(chr(0), ttl=60)}"}
        assert (await http.get("/auth/me", headers=headers)).status_code == 401


_segments = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(quote)
_targets = st.builds(
    lambda start, segments, query: (start + "/".join(segments) + query).encode()[:4000],
    st.sampled_from(["/", "//", "/todos/", "/scripted/", "/users/", "/parts/", "/auth/"]),
    st.lists(_segments | st.sampled_from(["..", ".", "%2e", "%2f", "%00", "%ff", ""]), max_size=4),
    st.sampled_from(["", "?", "?%00", "?$limit=", "?a[]=1", "?$or=1", "?a.b.c=%5B1%5D", "?=&="]),
)
_bodies = st.none() | st.binary(max_size=40) | st.sampled_from([b"{}", b'{"a":', b"[]", b"1e9"])


async def test_nothing_made_up_is_an_error_of_the_pods(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_collections(folder) as (pod, _):

        @settings(
            max_examples=150,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture],
        )
        @given(
            target=_targets,
            method=st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"X"]),
            body=_bodies,
            key=st.booleans(),
        )
        def ask(target: bytes, method: bytes, body: bytes | None, key: bool) -> None:
            headers = [f"X-Master-Key: {MASTER['X-Master-Key']}".encode()] if key else []
            sent = request(target, method, *headers, body=body)
            status, answer = trio.from_thread.run(say, pod.port, sent)
            assert status < 500, (target, method, body, answer)
            if status >= 400 and method != b"HEAD":
                told(answer)

        await trio.to_thread.run_sync(ask)
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]
