"""What is read from the URL of a pod."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.client import BadUrl
from deployd.client.address import read_url


@pytest.mark.parametrize(
    ("url", "host", "port", "encrypted", "resource"),
    [
        ("http://localhost:2403", "localhost", 2403, False, "/socket.io/"),
        ("ws://localhost:2403/socket.io/", "localhost", 2403, False, "/socket.io/"),
        ("ws://localhost:2403/socket.io", "localhost", 2403, False, "/socket.io/"),
        ("https://a.example", "a.example", 443, True, "/socket.io/"),
        ("wss://a.example/pods/", "a.example", 443, True, "/pods/socket.io/"),
        ("ws://[::1]:80/?a=b", "::1", 80, False, "/socket.io/?a=b"),
    ],
)
def test_urls_as_people_write_them(
    url: str, host: str, port: int, encrypted: bool, resource: str
) -> None:
    address = read_url(url)
    assert (address.host, address.port, address.encrypted) == (host, port, encrypted)
    assert address.resource == resource


def test_the_host_header_has_brackets_and_no_usual_port() -> None:
    assert read_url("ws://[::1]:2403").header == "[::1]:2403"
    assert read_url("ws://[::1]").header == "[::1]"
    assert read_url("wss://a.example").header == "a.example"
    assert read_url("wss://a.example:80").header == "a.example:80"


@pytest.mark.parametrize(
    "url", ["localhost:2403", "ftp://a", "ws://", "ws://a:x", "ws://a b", "", "ws://[::1", "//a"]
)
def test_what_is_no_url_of_a_pod_says_how_to_write_one(url: str) -> None:
    with pytest.raises(BadUrl, match="write ws://HOST:PORT"):
        read_url(url)


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(BadUrl, match="token") as caught:
        read_url("ws://ada:secret@localhost")
    assert "secret" not in str(caught.value)


@given(st.text(max_size=40))
def test_whatever_is_given_it_is_a_url_or_says_so(url: str) -> None:
    with contextlib.suppress(BadUrl):
        read_url(url)
