from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import Refusal, is_websocket_path, refuse_upgrade, response_bytes
from deployd.transport.handshake import HeadReader, RequestHead, Route, choose_route

# The specification's health check, as curl sends it.
CURL = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost:2403\r\nUser-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PAGE = ("host", "pod.example:2403")


def refuse(
    *headers: tuple[str, str],
    allowed: tuple[str, ...] = (),
    allow_missing: bool = True,
    open_connections: int = 0,
    enabled: bool = True,
) -> Refusal | None:
    return refuse_upgrade(
        headers,
        allowed=allowed,
        allow_missing=allow_missing,
        open_connections=open_connections,
        max_connections=10,
        enabled=enabled,
    )


def status(refusal: Refusal | None) -> int | None:
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("host", "origin", "good"),
    [
        ("pod.example:2403", "http://pod.example:2403", True),
        ("POD.example:2403", "http://pod.EXAMPLE:2403", True),
        ("pod.example", "http://pod.example", True),
        ("pod.example", "https://pod.example", True),
        ("pod.example:443", "https://pod.example", True),
        ("pod.example", "https://pod.example:443", True),
        ("pod.example:80", "http://pod.example", True),
        ("[::1]:2403", "http://[::1]:2403", True),
        ("xn--strae-oqa.de", "https://xn--strae-oqa.de", True),
        ("XN--STRAE-OQA.de", "https://xn--strae-oqa.de", True),
        ("strasse.de", "https://xn--strae-oqa.de", False),
        ("pod.example", "http://" + "x" * 300, False),
        ("127.0.0.1:2403", "http://127.0.0.1:2403", True),
        ("pod.example:80", "https://pod.example", False),
        ("pod.example:2403", "http://pod.example", False),
        ("pod.example", "http://pod.example:2403", False),
        ("pod.example", "http://evil.example", False),
        ("pod.example", "http://pod.example.evil.example", False),
        ("pod.example", "http://evilpod.example", False),
        ("pod.example", "http://sub.pod.example", False),
        ("pod.example", "http://pod.example@evil.example", False),
        ("pod.example", "http://pod.example:80@evil.example", False),
        ("pod.example", "http://evil.example/pod.example", False),
        ("pod.example", "http://evil.example#pod.example", False),
        ("pod.example", "http://evil.example\\pod.example", False),
        ("pod.example", "http://pod.example/", False),
        ("pod.example", "http://pod.example.", False),
        ("pod.example", "pod.example", False),
        ("pod.example", "//pod.example", False),
        ("pod.example", "file://pod.example", False),
        ("pod.example", "http://pod.example:", False),
        ("pod.example/x", "http://pod.example", False),
        ("pod.example, evil.example", "http://pod.example", False),
        ("pod.example", "http://pod.example, http://pod.example", False),
        ("pod.example", "http://pod.example http://evil.example", False),
        ("null", "null", False),
        ("", "", False),
        ("pod.example", "", False),
        ("", "http://", False),
    ],
)
def test_without_a_list_only_the_same_host_may_connect(
    host: str, origin: str, *, good: bool
) -> None:
    refusal = refuse(("host", host), ("origin", origin))
    assert status(refusal) == (None if good else 403)


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("https://app.example", True),
        ("https://APP.example", True),
        ("https://app.example:443", True),
        ("http://localhost:5173", True),
        ("capacitor://localhost", True),
        ("https://xn--strae-oqa.de", True),
        ("https://xn--mgba3gch31f060k.com", True),
        ("https://strasse.de", False),
        ("http://app.example", False),
        ("https://app.example:8443", False),
        ("https://app.example.evil", False),
        ("https://evil-app.example", False),
        ("https://appxexample", False),
        ("http://localhost", False),
        ("http://localhost:51730", False),
        ("http://pod.example:2403", False),  # the same host, but not in the list
        ("null", False),
        ("*", False),
    ],
)
def test_with_a_list_exactly_its_origins_may_connect(origin: str, *, good: bool) -> None:
    allowed = (
        "https://app.example",
        "http://localhost:5173",
        "capacitor://localhost",
        "https://Straße.de:443",
        "https://نامه\u200cای.com",
    )
    assert status(refuse(PAGE, ("origin", origin), allowed=allowed)) == (None if good else 403)


@pytest.mark.parametrize("listed", ["null", "*", "app.example", ""])
def test_a_list_entry_that_is_no_origin_lets_nobody_in(listed: str) -> None:
    assert status(refuse(PAGE, ("origin", listed), allowed=(listed,))) == 403
    assert status(refuse(PAGE, ("origin", "http://app.example"), allowed=(listed,))) == 403


@pytest.mark.parametrize(("allow_missing", "answer"), [(True, None), (False, 403)])
def test_clients_that_are_no_browsers_send_no_origin(
    *, allow_missing: bool, answer: int | None
) -> None:
    assert status(refuse(PAGE, allow_missing=allow_missing)) == answer
    assert status(refuse(PAGE, allowed=("http://a.b",), allow_missing=allow_missing)) == answer


def test_several_origins_are_none() -> None:
    origin = ("origin", "http://pod.example:2403")
    assert status(refuse(PAGE, origin, ("origin", "http://evil.example"))) == 403
    assert status(refuse(PAGE, origin, origin)) == 403


def test_two_hosts_are_no_host_to_compare_with() -> None:
    assert status(refuse(PAGE, PAGE, ("origin", "http://pod.example:2403"))) == 403
    assert status(refuse(("origin", "http://pod.example:2403"))) == 403


def test_the_origin_header_decides_also_in_the_list_when_absent_is_fine() -> None:
    assert status(refuse(PAGE, ("origin", "http://evil.example"), allow_missing=True)) == 403


def test_a_full_pod_says_when_to_come_back() -> None:
    assert refuse(PAGE, open_connections=9) is None
    refusal = refuse(PAGE, open_connections=10)
    assert refusal is not None
    assert refusal.status == 503
    assert dict(refusal.headers)["Retry-After"].isdigit()
    assert "10" in refusal.sentence


def test_a_forbidden_page_is_not_told_to_come_back_to_a_full_pod() -> None:
    evil = ("origin", "http://evil.example")
    assert status(refuse(PAGE, evil, open_connections=10)) == 403


def test_switched_off_there_is_nothing_here() -> None:
    assert status(refuse(PAGE, enabled=False, open_connections=10)) == 404


@given(st.text(max_size=50), st.text(max_size=50))
def test_no_headers_do_more_than_be_refused(host: str, origin: str) -> None:
    refusal = refuse(("host", host), ("origin", origin))
    if refusal is None:
        assert origin.lower().startswith(("http://", "https://"))


@pytest.mark.parametrize(
    ("target", "websocket"),
    [
        ("/socket.io", True),
        ("/socket.io/", True),
        ("/socket.io/?EIO=4&transport=websocket", True),
        ("/socket.io?x=/", True),
        ("/", False),
        ("/socket.io/x", False),
        ("/socket.iox", False),
        ("//socket.io/", False),
        ("/?/socket.io/", False),
        ("*", False),
    ],
)
def test_the_websocket_path_is_exact_but_for_its_query(target: str, *, websocket: bool) -> None:
    assert is_websocket_path(target) is websocket


def test_a_refusal_is_a_whole_response_that_closes() -> None:
    sentence = "Come back later, “please”."
    head, _, body = response_bytes(Refusal(503, sentence, (("Retry-After", "5"),))).partition(
        b"\r\n\r\n"
    )
    lines = head.decode("ascii").split("\r\n")
    assert lines[0] == "HTTP/1.1 503 Service Unavailable"
    assert {"Retry-After: 5", "Connection: close", f"Content-Length: {len(body)}"} <= set(lines)
    assert json.loads(body) == {"error": sentence}


def read(data: bytes, max_bytes: int = 1000) -> RequestHead | Refusal | None:
    return HeadReader(max_bytes).feed(data)


def test_the_specified_health_check_is_an_upgrade() -> None:
    head = read(CURL)
    assert isinstance(head, RequestHead)
    assert (head.method, head.target, head.version) == ("GET", "/socket.io/", "1.1")
    assert ("sec-websocket-version", "13") in head.headers
    assert choose_route(head) is Route.WEBSOCKET


@given(st.lists(st.integers(0, len(CURL)), max_size=8))
def test_a_head_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    reader, places = HeadReader(1000), [0, *sorted(cuts), len(CURL)]
    pieces = [CURL[a:b] for a, b in itertools.pairwise(places) if a < b]
    results = [reader.feed(piece) for piece in pieces]
    assert results[-1] == read(CURL)
    assert set(results[:-1]) <= {None}
    assert reader.raw == CURL


def test_what_follows_the_head_is_kept() -> None:
    reader = HeadReader(1000)
    assert isinstance(reader.feed(CURL + b"\x81\x80abcd"), RequestHead)
    assert reader.raw == CURL + b"\x81\x80abcd"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded: \0\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000, 431),
        (b"G" * 2000, 431),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, answer: int) -> None:
    refusal = read(data)
    assert isinstance(refusal, Refusal)
    assert refusal.status == answer


def head_of(line: str, *fields: str) -> RequestHead:
    head = read("\r\n".join([line, "Host: a", *fields, "", ""]).encode())
    assert isinstance(head, RequestHead)
    return head


UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: WebSocket")


@pytest.mark.parametrize(
    ("line", "fields", "route"),
    [
        ("GET /socket.io/ HTTP/1.1", UPGRADE, Route.WEBSOCKET),
        ("GET /socket.io?a=b HTTP/1.1", UPGRADE, Route.WEBSOCKET),
        ("GET /socket.io/ HTTP/1.1", (), 426),
        ("GET /socket.io/ HTTP/1.1", UPGRADE[1:], 426),
        ("GET /socket.io/ HTTP/1.1", UPGRADE[:1], 426),
        ("GET /socket.io/ HTTP/1.1", ("Connection: Upgrade", "Upgrade: h2c"), 426),
        ("POST /socket.io/ HTTP/1.1", UPGRADE, 426),
        ("GET / HTTP/1.1", (), Route.HTTP),
        ("POST /anything HTTP/1.1", (), Route.HTTP),
        ("GET / HTTP/1.0", (), Route.HTTP),
        ("GET /elsewhere HTTP/1.1", UPGRADE, 404),
        ("PRI * HTTP/2.0", (), 505),
    ],
)
def test_every_request_has_one_way_to_go(
    line: str, fields: tuple[str, ...], route: Route | int
) -> None:
    chosen = choose_route(head_of(line, *fields))
    assert (chosen.status if isinstance(chosen, Refusal) else chosen) == route


def test_a_plain_request_to_the_websocket_is_told_what_to_speak() -> None:
    chosen = choose_route(head_of("GET /socket.io/ HTTP/1.1"))
    assert isinstance(chosen, Refusal)
    assert "WebSocket" in chosen.sentence
    assert b"\r\nUpgrade: websocket\r\n" in response_bytes(chosen)
