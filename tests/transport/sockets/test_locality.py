"""Who asks: a developer of this machine, or a page or a proxy on another's behalf."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from deployd.transport import Premises, is_loopback
from support.signs import SIGNS

PORT = 2403
PREMISES = Premises(port=lambda: PORT, dev=True, relayed=lambda _, __: False)
HERE = ("host", "localhost:2403")
BROWSER = (
    HERE, ("connection", "keep-alive"), ("sec-ch-ua", '"Chromium"'), ("sec-ch-ua-mobile", "?0"),
    ("user-agent", "Mozilla/5.0"), ("accept", "*/*"), ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("accept-encoding", "gzip, br, zstd"),
    ("referer", "http://localhost:2403/_dashboard/"), ("accept-language", "de"), ("dnt", "1"),
    ("origin", "http://localhost:2403"), ("cookie", "a=b"), ("priority", "u=1"), ("pragma", ""),
    ("cache-control", "no-cache"), ("content-type", "application/json"), ("content-length", "2"),
    ("upgrade-insecure-requests", "1"), ("if-none-match", '"x"'), ("authorization", "Bearer x"),
)  # fmt: skip
CURL = (HERE, ("user-agent", "curl/7.88.1"), ("accept", "*/*"))
SOCKET = (
    HERE, ("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
    ("sec-websocket-key", "x"), ("sec-websocket-extensions", "permessage-deflate"),
    ("origin", "http://localhost:2403"),
)  # fmt: skip
NODE = (HERE, ("connection", "keep-alive"), ("accept-language", "*"), ("sec-fetch-mode", "cors"))


def own(*fields: tuple[str, str], peer: str = "127.0.0.1", **changes: Any) -> bool:
    return evolve(PREMISES, **changes).own((peer, 50_000), fields)


@pytest.mark.parametrize("client", [BROWSER, CURL, SOCKET, NODE], ids=range(4))
def test_what_a_developers_own_clients_send_is_a_developers_own(
    client: tuple[tuple[str, str], ...],
) -> None:
    assert own(*client)


@pytest.mark.parametrize("sign", SIGNS)
def test_every_sign_of_a_proxy_closes_it(sign: str) -> None:
    assert not own(*CURL, (sign.lower(), "127.0.0.1"))


@pytest.mark.parametrize(
    ("peer", "good"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:7f00:1", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("2001:db8::127.0.0.1", False),
        ("", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_only_loopback_is_this_machine_also_over_ipv6(peer: str, *, good: bool) -> None:
    assert own(*CURL, peer=peer) is good
    assert is_loopback(peer) is good


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("localhost:2403", True),
        ("LOCALHOST:2403", True),
        ("127.0.0.1:2403", True),
        ("[::1]:2403", True),
        ("[::ffff:127.0.0.1]:2403", True),
        ("app.localhost:2403", True),
        ("localhost", False),  # what HAProxy passes on for whoever says it there
        ("localhost:80", False),
        ("127.0.0.1:2404", False),
        ("rebound.example:2403", False),
        ("localhost.example:2403", False),
        ("localhost.:2403", False),
        ("127.0.0.1.nip.io:2403", False),
        ("192.0.2.1:2403", False),
        ("0.0.0.0:2403", False),
        ("user@localhost:2403", False),
        ("localhost:2403, evil.example", False),
        ("localhost:2403/", False),
        ("localhost:", False),
        ("", False),
    ],
)
def test_the_host_has_to_be_this_machine_at_the_pods_port(host: str, *, good: bool) -> None:
    assert own(("host", host)) is good


def test_without_one_host_there_is_none() -> None:
    assert not own(("accept", "*/*"))
    assert not own(HERE, HERE)
    assert own(("host", "localhost"), port=lambda: 80)
    assert own(("host", "localhost"), port=lambda: 443, tls=True)


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("http://localhost:2403", True),
        ("http://localhost:5173", True),  # a page of the developer's other server
        ("https://127.0.0.1", True),
        ("http://[::1]:2403", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://192.0.2.1", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_page_has_to_be_of_this_machine(origin: str, *, good: bool) -> None:
    assert own(*CURL, ("origin", origin)) is good
    assert own(*CURL, ("origin", "http://localhost:2403"), ("origin", origin)) is good


def test_neither_a_page_of_another_site_nor_old_http_nor_a_pod_behind_proxies() -> None:
    assert not own(*CURL, ("sec-fetch-site", "cross-site"))
    assert not PREMISES.own(("127.0.0.1", 50_000), CURL, "1.0")
    assert not own(*CURL, proxied=True)
    assert not own(*CURL, dev=False)
    assert not own(*CURL, relayed=lambda peer, port: (peer, port) == (("127.0.0.1", 50_000), PORT))


# -- borrowed names --------------------------------------------------------------------------


def misdirected(host: str, *, websocket: bool = False, **changes: Any) -> bool:
    premises = evolve(Premises(port=lambda: PORT, loopback=True), **changes)
    fields = [("host", host), ("origin", f"http://{host}")]
    return premises.misdirected("127.0.0.1", fields, websocket=websocket) is not None


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("localhost:2403", False),
        ("LocalHost", False),
        ("127.0.0.1:2403", False),
        ("[::1]:2403", False),
        ("192.0.2.1", False),  # an address is borrowed by nobody
        ("pod", False),  # nor is a name that only this network has
        ("app.localhost:5173", False),
        ("evil.example:2403", True),
        ("evil.example", True),
        ("EVIL.example.", True),
        ("localhost.evil.example", True),
        ("127.0.0.1.nip.io:2403", True),
        ("localhost@evil.example", True),
        ("evil.example, localhost", True),
        ("evil.example/localhost", True),
        ("127.1", True),
        ("\xe9vil.example", True),
    ],
)
def test_where_only_this_machine_reaches_it_a_pod_answers_to_no_borrowed_name(
    host: str, *, refused: bool
) -> None:
    for websocket in (False, True):
        assert misdirected(host, websocket=websocket) is refused
        assert misdirected(host, websocket=websocket, loopback=False, dev=True) is refused


def test_it_answers_to_any_where_others_reach_it_or_somebody_answers_for_the_name() -> None:
    evil = "evil.example:2403"
    assert not misdirected(evil, loopback=False)
    assert not misdirected(evil, proxied=True)
    assert not misdirected(evil, tls=True)
    remote = Premises(port=lambda: PORT, dev=True)
    assert remote.misdirected("192.0.2.1", [("host", evil)]) is None


def test_who_names_nobody_and_who_is_no_browser_is_let_be() -> None:
    premises = Premises(port=lambda: PORT, loopback=True)
    assert premises.misdirected("127.0.0.1", []) is None  # HTTP/1.0
    assert premises.misdirected("127.0.0.1", [("host", "")]) is None
    host = [("host", "evil.example")]
    assert premises.misdirected("127.0.0.1", host, websocket=True) is None
    assert premises.misdirected("127.0.0.1", host) is not None


def test_names_that_are_given_are_answered_to_and_others_by_nobody() -> None:
    hosts = frozenset(("pod.example", "xn--strae-oqa.de"))
    places: list[dict[str, Any]] = [{}, {"loopback": False}, {"proxied": True}, {"tls": True}]
    for changes in places:
        for known in ("pod.example", "POD.example:8443", "xn--strae-oqa.de", "10.0.0.7", "pod"):
            assert not misdirected(known, hosts=hosts, **changes)
        assert misdirected("evil.example", hosts=hosts, **changes)
    assert Premises(port=lambda: PORT, hosts=hosts).misdirected(
        "192.0.2.1", [("host", "evil.example")]
    )


def test_the_sentence_names_the_remedy_and_no_more_of_the_name_than_fits() -> None:
    premises = Premises(port=lambda: PORT, loopback=True)
    sentence = premises.misdirected("127.0.0.1", [("host", "x." * 5000)])
    assert sentence is not None
    assert len(sentence) < 300
    assert "server.hosts" in sentence
    assert "server.trustedProxies" in sentence
