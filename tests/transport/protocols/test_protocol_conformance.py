"""Every protocol of clients keeps the promises of the contract; one that breaks one is caught."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deployd.transport import (
    NATIVE,
    ClientMessage,
    ClientProtocol,
    Event,
    Ping,
    PodMessage,
    WireError,
    choose_protocol,
)
from deployd.transport.protocols.conformance import CHECKS, MESSAGES, ProtocolBroken
from support.lines import LINES, Lines

PROTOCOLS = {"native": NATIVE, "lines": LINES}


class Octets(Lines):
    """The same, in binary messages."""

    name = "octets"
    binary = True


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("protocol", [*PROTOCOLS.values(), Octets()], ids=[*PROTOCOLS, "octets"])
def test_a_protocol_keeps_each_promise(
    protocol: ClientProtocol, check: Callable[[ClientProtocol], None]
) -> None:
    check(protocol)


class Unnamed(Lines):
    name = "two words"


class Raising(Lines):
    def decode(self, message: str | bytes) -> ClientMessage:
        if not message:
            raise ValueError("empty")
        return super().decode(message)


class Silent(Lines):
    def decode(self, message: str | bytes) -> ClientMessage:
        raise WireError("", "")


class Empty(Lines):
    def encode(self, message: PodMessage) -> bytes:
        return b""


class Latin(Lines):
    def encode(self, message: PodMessage) -> bytes:
        return b"\xff" + super().encode(message)


class Deaf(Lines):
    def encode(self, message: PodMessage) -> bytes:
        if isinstance(message, Event):
            raise TypeError("events")
        return super().encode(message)


class Counting(Lines):
    said = 0

    def encode(self, message: PodMessage) -> bytes:
        self.said += 1
        return str(self.said).encode()


class Large(Lines):
    def encode(self, message: PodMessage) -> bytes:
        return super().encode(message) * 2


class Rude(Lines):
    ping = b""


class Odd(Lines):
    def farewell(self, code: int, reason: str) -> bytes | None:
        return b"\xff"


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        ("name", Unnamed()),
        ("garbage", Raising()),
        ("garbage", Silent()),
        ("messages", Empty()),
        ("messages", Latin()),
        ("messages", Deaf()),
        ("messages", Counting()),
        ("size", Large()),
        ("signs", Rude()),
        ("signs", Odd()),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_promise_that_is_broken_is_named(check: str, broken: ClientProtocol) -> None:
    with pytest.raises(ProtocolBroken):
        CHECKS[check](broken)


def test_all_that_a_pod_says_is_tried() -> None:
    assert {type(message) for message in MESSAGES} == set(PodMessage.__args__)


@pytest.mark.parametrize(
    ("offered", "spoken", "agreed"),
    [
        ([], NATIVE, None),
        (["lines"], LINES, "lines"),
        (["chat", "lines", "deployd"], LINES, "lines"),
        (["deployd", "lines"], NATIVE, "deployd"),
        (["chat"], NATIVE, None),
        (["LINES"], NATIVE, None),
    ],
)
def test_the_first_that_a_client_offers_and_the_pod_speaks_is_spoken(
    offered: list[str], spoken: ClientProtocol, agreed: str | None
) -> None:
    assert choose_protocol(offered, [NATIVE, LINES]) == (spoken, agreed)


def test_both_understand_the_same_ping() -> None:
    assert NATIVE.decode('{"type":"ping"}') == LINES.decode("ping") == Ping()
