from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deployd.tools.common import (
    AccessDenied,
    Address,
    BadAddress,
    Declined,
    NotAPod,
    Unreachable,
    ask,
    parse_address,
)
from deployd.tools.common import address as address_module


class Answers(ThreadingHTTPServer):
    """A server that notes what it is asked and answers as it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = 200, b"{}"
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []

    @property
    def address(self) -> Address:
        return Address("http", "127.0.0.1", self.server_port)


class _Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["X-Master-Key"]))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - not our name
        pass


@pytest.fixture
def server() -> Iterator[Answers]:
    with Answers() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:2403", Address("http", "localhost", 2403)),
        ("http://localhost:2403/", Address("http", "localhost", 2403)),
        ("https://pod.example/pods/1/", Address("https", "pod.example", None, "/pods/1")),
        ("http://[::1]:80", Address("http", "::1", 80)),
    ],
)
def test_the_url_of_a_pod_is_understood(url: str, expected: Address) -> None:
    assert parse_address(url) == expected
    assert str(expected) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:2403",
        "file:///etc/passwd",
        "ws://localhost",
        "http://",
        "http://localhost:port",
        "http://localhost:99999",
        "http://user:password@localhost",
        "http://user:password@localhost:port",
        "http://user:password@[::1",
        "http://localhost/?a=b",
        "http://localhost/#a",
        "http://localhost/a b",
        "http://localhost/a\r\nX-Evil: 1",
        "http://[::1",
        "http://münchen.example",
    ],
)
def test_what_is_no_url_of_a_pod_is_refused_with_the_form_to_write(url: str) -> None:
    with pytest.raises(BadAddress, match=r"write http://HOST:PORT") as caught:
        parse_address(url)
    assert "password" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.0.2.1", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    assert Address("http", host, 80).is_loopback is expected


def test_the_answer_is_the_document(server: Answers) -> None:
    server.body = b'{"path": "pod"}'
    prefixed = parse_address(f"http://127.0.0.1:{server.server_port}/one/")
    assert ask(prefixed, "/x", None) == {"path": "pod"}
    assert server.asked == [("/one/x", None)]


def test_the_key_is_sent_when_there_is_one(server: Answers) -> None:
    ask(server.address, "/x", "the-key")
    assert server.asked == [("/x", "the-key")]


def test_the_key_goes_nowhere_else_when_the_answer_redirects(server: Answers) -> None:
    server.status, server.headers = 302, {"Location": f"{server.address}/elsewhere"}
    with pytest.raises(NotAPod, match="it answers 302"):
        ask(server.address, "/x", "the-key")
    assert server.asked == [("/x", "the-key")]


def test_the_key_does_not_go_through_a_proxy(
    server: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(server.address, "/x", "the-key") == {}


def test_a_key_that_no_header_can_carry_is_not_sent(server: Answers) -> None:
    for key in ("a\r\nb", "schlüssel"):
        with pytest.raises(AccessDenied, match="copy it anew"):
            ask(server.address, "/x", key)
    assert server.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_tells_how_to_give_a_key(server: Answers, status: int) -> None:
    server.status = status
    with pytest.raises(AccessDenied, match="--key"):
        ask(server.address, "/x", None)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(404, b"{}", "404"), (500, b"{}", "500"), (200, b"<html>", "no JSON"), (200, b"", "no JSON")],
)
def test_what_is_no_pod_is_named(server: Answers, status: int, body: bytes, reason: str) -> None:
    server.status, server.body = status, body
    with pytest.raises(NotAPod, match=reason):
        ask(server.address, "/x", None)


def test_an_answer_without_end_is_cut_off(server: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_module, "MAX_ANSWER", 10)
    server.body = b"[" + b"1," * 10 + b"1]"
    with pytest.raises(NotAPod, match="more than 10 bytes"):
        ask(server.address, "/x", None)


def test_nobody_there_is_told_with_the_remedy() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Address("http", "127.0.0.1", free.getsockname()[1])
        with pytest.raises(Unreachable, match=r"Connection refused.*deployd serve.*--url"):
            ask(nobody, "/x", None)


def test_somebody_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address("http", "127.0.0.1", silent.getsockname()[1])
        with pytest.raises(Unreachable, match="timed out"):
            ask(address, "/x", None, timeout=0.01)


def test_something_that_speaks_no_http_is_no_pod() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(NotAPod, match="no HTTP"):
            ask(Address("http", "127.0.0.1", listener.getsockname()[1]), "/x", None)
        thread.join(5)


def test_who_shows_a_token_is_told_what_the_pod_says_of_it(server: Answers) -> None:
    server.status, server.body = 401, b'{"error": "The token has expired."}'
    with pytest.raises(Declined, match=r"The token has expired\."):
        ask(server.address, "/", None, token="t.o.k")
    server.status, server.body = 403, b'{"error": "Not there.", "code": "forbidden"}'
    with pytest.raises(Declined, match=r"Not there\."):
        ask(server.address, "/", "key")
