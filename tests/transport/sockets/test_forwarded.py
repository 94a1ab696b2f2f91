"""Whose word on a client's address is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import client_address, networks

OURS = networks(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.9", ["203.0.113.5"], "198.51.100.9"),  # not ours: anybody can write it
        ("10.0.0.1", [], ""),  # it names nobody, so nobody is known
        ("10.0.0.1", [""], ""),
        ("10.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        (
            "10.0.0.1",
            ["1.1.1.1, 203.0.113.5"],
            "203.0.113.5",
        ),  # the left one is a lie
        ("10.0.0.1", ["1.1.1.1", "203.0.113.5, 10.0.0.2"], "203.0.113.5"),
        ("10.0.0.1", ["203.0.113.5, nonsense"], ""),
        ("10.0.0.1", ["203.0.113.5, nonsense, 10.0.0.2"], ""),
        ("10.0.0.1", ["203.0.113.5:4711"], "203.0.113.5"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["::ffff:203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # nobody but proxies of ours
        ("192.0.2.7", ["203.0.113.5"], "203.0.113.5"),
        ("192.0.2.8", ["203.0.113.5"], "192.0.2.8"),
    ],
)
def test_the_first_from_the_right_that_is_no_proxy_of_ours_is_the_client(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert client_address(peer, forwarded, OURS) == address


@given(st.ip_addresses().map(str), st.lists(st.text(max_size=40), max_size=5))
def test_without_trust_nothing_that_is_said_counts(peer: str, forwarded: list[str]) -> None:
    assert client_address(peer, forwarded, ()) == peer


@given(st.lists(st.text(max_size=20), max_size=4), st.ip_addresses(v=4, network="203.0.113.0/24"))
def test_what_a_client_writes_itself_never_becomes_its_address(
    lies: list[str], client: object
) -> None:
    forwarded = [*lies, str(client)]
    assert client_address("10.0.0.1", forwarded, OURS) == str(client)


@given(st.lists(st.text(max_size=60), max_size=6))
def test_any_text_leads_to_an_address_or_to_nobody(forwarded: list[str]) -> None:
    networks([client_address("10.0.0.1", forwarded, OURS) or "::"])
