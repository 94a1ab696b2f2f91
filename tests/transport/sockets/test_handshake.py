from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import Opening, Refusal, is_websocket_path, refuse_upgrade, response_bytes
from deployd.transport.sockets.handshake import answer_opening, choose_route
from deployd.transport.sockets.request import HeadReader, RequestHead

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
    enabled: bool = True,
) -> Refusal | None:
    return refuse_upgrade(
        headers,
        allowed=allowed,
        allow_missing=allow_missing,
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


def test_switched_off_there_is_nothing_here() -> None:
    assert status(refuse(PAGE, enabled=False)) == 404


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


def route_of(data: bytes) -> Opening | Refusal | None:
    head = read(data)
    assert head is not None
    return head if isinstance(head, Refusal) else choose_route(head)


def answer_to(data: bytes) -> int | None:
    """Return the status that a request is answered with, 101 for a WebSocket, None by HTTP."""
    route = route_of(data)
    return 101 if isinstance(route, Opening) else status(route)


def test_the_specified_health_check_is_an_upgrade() -> None:
    head = read(CURL)
    assert isinstance(head, RequestHead)
    assert (head.method, head.path, head.query, head.version) == ("GET", "/socket.io/", "", "1.1")
    assert ("sec-websocket-version", "13") in head.texts()
    assert choose_route(head) == Opening("SGVsbG8gV2ViU29ja2V0IQ==")


@given(st.lists(st.integers(0, len(CURL)), max_size=8))
def test_a_head_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    reader, places = HeadReader(1000), [0, *sorted(cuts), len(CURL)]
    pieces = [CURL[a:b] for a, b in itertools.pairwise(places) if a < b]
    results = [reader.feed(piece) for piece in pieces]
    assert results[-1] == read(CURL)
    assert set(results[:-1]) <= {None}
    assert reader.http.trailing_data[0] == b""


def test_what_follows_the_head_is_kept() -> None:
    reader = HeadReader(1000)
    assert isinstance(reader.feed(CURL + b"\x81\x80abcd"), RequestHead)
    assert reader.http.trailing_data[0] == b"\x81\x80abcd"


def test_an_empty_line_before_a_request_is_passed_over() -> None:
    reader = HeadReader(1000)
    assert reader.feed(b"\r\n") is None
    assert not reader.begun
    assert reader.feed(CURL) == read(CURL) == read(b"\r\n" + CURL)


@pytest.mark.parametrize("pieces", [1, 2, 3, 1000])
def test_empty_lines_before_a_request_are_passed_over_however_they_come(pieces: int) -> None:
    reader, sent = HeadReader(1000), b"\r\n\r\n" + CURL
    answers = [reader.feed(sent[at : at + pieces]) for at in range(0, len(sent), pieces)]
    assert answers[-1] == read(CURL)
    assert answers[:-1] == [None] * (len(answers) - 1)


LINE = b"GET /a?b HTTP/1.1\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: a\r\n"

NO_REQUESTS = {
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "a lone CR before a line": (b"\r" + CURL, 400),
    "a target with a fragment": (LINE.replace(b"?b", b"#b") + b"Host: a\r\n\r\n", 400),
    "no line": (b"hello\r\n\r\n", 400),
    "no Host": (LINE + b"\r\n", 400),
    "no Host in absolute form": (b"GET http://a/ HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (LINE + b"Host: a\r\nHost: b\r\n\r\n", 400),
    "the same Host twice": (LINE + b"Host: a\r\nHost: a\r\n\r\n", 400),
    "two Hosts in HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "a Host with a path": (LINE + b"Host: a/b\r\n\r\n", 400),
    "a Host with a user": (LINE + b"Host: u@a\r\n\r\n", 400),
    "a Host of two words": (LINE + b"Host: a b\r\n\r\n", 400),
    "a Host that is a list": (LINE + b"Host: a, b\r\n\r\n", 400),
    "a Host with a strange port": (LINE + b"Host: a:http\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    "a target of another scheme": (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a target without a host": (b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a target with a user": (b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a target that is a name": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "an authority": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "an asterisk and more": (b"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bytes in the target": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a bare LF": (LINE + b"Host: a\nX: y\r\n\r\n", 400),
    "a bare LF behind the line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LFs alone": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a bare LF at the end": (LINE + b"Host: a\r\n\n", 400),
    "a bare CR": (LINE + b"Host: a\r\nX: y\rZ: z\r\n\r\n", 400),
    "a CR too many": (LINE + b"Host: a\r\r\n\r\n", 400),
    "a folded line": (LINE + b"Host: a\r\nX: y\r\n z\r\n\r\n", 400),
    "a line folded with a tab": (LINE + b"Host: a\r\nX: y\r\n\tz\r\n\r\n", 400),
    "a folded line first": (LINE + b" X: y\r\nHost: a\r\n\r\n", 400),
    "a NUL": (LINE + b"Host: a\r\nX: \0\r\n\r\n", 400),
    "a blank before the colon": (LINE + b"Host : a\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "the same length twice": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    "a list of lengths": (POST + b"Content-Length: 1, 1\r\n\r\n", 400),
    "a length that is none": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "a signed length": (POST + b"Content-Length: +1\r\n\r\n", 400),
    "a length in hex": (POST + b"Content-Length: 0x1\r\n\r\n", 400),
    "length and chunks": (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunks and length": (POST + b"Transfer-Encoding: chunked\r\ncontent-length:1\r\n\r\n", 400),
    "chunks in HTTP/1.0": (
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "another coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
    "a hidden coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
    "two codings": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        400,
    ),
    "too long": (LINE + b"Host: a\r\nX: " + b"x" * 2000, 431),
    "too long and whole": (LINE + b"Host: a\r\nX: " + b"x" * 2000 + b"\r\n\r\n", 431),
    "too long a word": (b"G" * 2000, 431),
}


@pytest.mark.parametrize("what", NO_REQUESTS)
def test_what_two_readers_could_read_in_two_ways_is_refused(what: str) -> None:
    data, answer = NO_REQUESTS[what]
    refusal = read(data)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.status == answer
    assert refusal.sentence.endswith(".")


@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        (b"/a/b?c=d?e", "h", "/a/b", "c=d?e"),
        (b"http://other/a?b", "other", "/a", "b"),
        (b"HTTPS://Other:8443/a", "Other:8443", "/a", ""),
        (b"http://[::1]:80/", "[::1]:80", "/", ""),
        (b"http://other", "other", "/", ""),
        (b"http://other?b", "other", "/", "b"),
        (b"//a", "h", "//a", ""),
    ],
)
def test_the_absolute_form_says_for_whom_a_request_is(
    target: bytes, host: str, path: str, query: str
) -> None:
    head = read(b"GET " + target + b" HTTP/1.1\r\nX: y\r\nHost: h\r\n\r\n")
    assert isinstance(head, RequestHead)
    assert (head.values(b"host"), head.path, head.query) == ([host], path, query)
    assert head.values(b"x") == ["y"]


def test_the_whole_server_may_be_asked_for_its_options() -> None:
    head = read(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
    assert isinstance(head, RequestHead)
    assert head.path == "*"


def head_of(line: str, *fields: str) -> bytes:
    return "\r\n".join([line, "Host: a", *fields, "", ""]).encode("latin-1")


UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: WebSocket")
KEY = "Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ=="
OF_13 = "Sec-WebSocket-Version: 13"
ASKED = "GET /socket.io/ HTTP/1.1"


@pytest.mark.parametrize(
    ("line", "fields", "answer"),
    [
        (ASKED, UPGRADE, 101),
        ("GET /socket.io?a=b HTTP/1.1", UPGRADE, 101),
        ("GET http://a/socket.io/ HTTP/1.1", UPGRADE, 101),
        ("GET http://a/socket.io?a=b HTTP/1.1", UPGRADE, 101),
        (ASKED, ("Connection: Upgrade", "Connection: keep-alive", UPGRADE[1]), 101),
        (ASKED, ("Connection: keep-alive", "Connection: ,UPGRADE", UPGRADE[1]), 101),
        (ASKED, (UPGRADE[0], "Upgrade: h2c, websocket"), 101),
        (ASKED, (UPGRADE[0], "Upgrade: websocket", "Upgrade: h2c"), 101),
        (ASKED, (UPGRADE[0], "Upgrade: h2c", "Upgrade: a,websocket"), 101),
        (ASKED, (), 426),
        (ASKED, UPGRADE[1:], 426),
        (ASKED, UPGRADE[:1], 426),
        (ASKED, ("Connection: Upgrade", "Upgrade: h2c"), 426),
        (ASKED, ("Connection: Upgrade", "Upgrade: websocket2"), 426),
        (ASKED, ("Connection: close", UPGRADE[1]), 426),
        ("POST /socket.io/ HTTP/1.1", UPGRADE, 426),
        ("GET /socket.io/ HTTP/1.0", UPGRADE, 426),
        ("GET / HTTP/1.1", (), None),
        ("POST /anything HTTP/1.1", (), None),
        ("GET / HTTP/1.0", (), None),
        ("GET /elsewhere HTTP/1.0", UPGRADE, None),
        ("GET /elsewhere HTTP/1.1", UPGRADE, 404),
        ("PRI * HTTP/2.0", (), 505),
    ],
)
def test_every_request_has_one_way_to_go(
    line: str, fields: tuple[str, ...], answer: int | None
) -> None:
    assert answer_to(head_of(line, *fields, KEY, OF_13)) == answer


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ((KEY, OF_13), 101),
        ((KEY, OF_13, "Content-Length: 0"), 101),
        ((KEY, OF_13, "Sec-WebSocket-Extensions: \xff", "Sec-WebSocket-Protocol: \xe9"), 101),
        ((KEY, OF_13, "Content-Length: 5"), 400),
        ((KEY, OF_13, "Transfer-Encoding: chunked"), 400),
        ((KEY,), 400),
        ((OF_13,), 400),
        ((KEY, OF_13, OF_13), 400),
        ((KEY, OF_13, "Sec-WebSocket-Version: 8"), 400),
        ((KEY, "Sec-WebSocket-Version: 8"), 426),
        ((KEY, "Sec-WebSocket-Version: 14"), 426),
        ((KEY, "Sec-WebSocket-Version: 13, 8"), 426),
        ((KEY, "Sec-WebSocket-Version:"), 426),
        ((KEY, KEY, OF_13), 400),
        ((KEY, "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==", OF_13), 400),
        *(
            ((f"Sec-WebSocket-Key: {key}", OF_13), 400)
            for key in (
                "",
                "x",
                "SGVsbG8gV2ViU29ja2V0IQ",  # not padded
                "SGVsbG8gV2ViU29ja2V0IQ===",
                "SGVsbG8gV2ViU29ja2V0",  # 15 bytes
                "SGVsbG8gV2ViU29ja2V0ISE=",  # 17 bytes
                "SGVsbG8gV2ViU29ja2V0!!==",
                "SGVsbG8gV2ViU29ja2V0_-==",
                "SGVsbG8g V2ViU29ja2V0I==",
                "SGVsbG8gV2ViU29ja2V0IQ==, SGVsbG8gV2ViU29ja2V0IQ==",
                "\xe9GVsbG8gV2ViU29ja2V0IQ==",
            )
        ),
    ],
)
def test_the_opening_is_judged_by_the_standard_and_once(
    fields: tuple[str, ...], answer: int
) -> None:
    assert answer_to(head_of(ASKED, *UPGRADE, *fields)) == answer


@pytest.mark.parametrize(
    "host",
    [
        "xn--strae-oqa.de",
        "xn--mgba3gch31f060k.com",
        "XN--MNCHEN-3YA.de:8443",
        "[::1]:2403",
        "a_b",
        "",
        "straße.de".encode().decode("latin-1"),
    ],
)
def test_hosts_of_every_alphabet_are_connected_to(host: str) -> None:
    data = head_of(ASKED, *UPGRADE, KEY, OF_13).replace(
        b"Host: a", b"Host: " + host.encode("latin-1")
    )
    assert answer_to(data) == 101


def test_what_a_client_offers_is_a_list_however_it_is_written() -> None:
    field = "Sec-WebSocket-Extensions: "
    route = route_of(head_of(ASKED, *UPGRADE, KEY, OF_13, f"{field}a; b=c, d", f"{field}e,,"))
    assert isinstance(route, Opening)
    assert route.offers == ("a; b=c", "d", "e")


@pytest.mark.parametrize("fields", [(), (*UPGRADE, KEY, "Sec-WebSocket-Version: 8")])
def test_who_speaks_something_else_is_told_what_is_spoken(fields: tuple[str, ...]) -> None:
    refusal = route_of(head_of(ASKED, *fields))
    assert isinstance(refusal, Refusal)
    assert "WebSocket" in refusal.sentence
    response = response_bytes(refusal)
    for line in (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"):
        assert b"\r\n" + line + b"\r\n" in response


@given(st.data())
def test_no_bytes_are_read_as_anything_but_a_request_a_refusal_or_a_part(
    data: st.DataObject,
) -> None:
    at = data.draw(st.integers(0, len(CURL)))
    junk = data.draw(
        st.binary(max_size=20) | st.sampled_from([b"\xff", b"\r\n", b"\0", b",", b":"])
    )
    cut = data.draw(st.integers(0, 10))
    head = read(CURL[:at] + junk + CURL[at + cut :])
    if isinstance(head, RequestHead):
        route = choose_route(head)
        if isinstance(route, Opening):
            response, _ = answer_opening(route, deflates=True)
            assert response.startswith(b"HTTP/1.1 101 ")
