"""What every protocol of clients must pass: the promises of `ClientProtocol`, for anybody's tests.

Each check takes a protocol and raises `ProtocolBroken` (an `AssertionError`) with the promise that
is not kept::

    @pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
    def test_my_protocol(check):
        check(MyProtocol())
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import orjson

from ..errors import WireError
from .contract import ClientProtocol
from .messages import (
    Authenticated,
    Connected,
    Event,
    Failed,
    Joined,
    Left,
    PodMessage,
    Pong,
    Problem,
    Reach,
    Receipted,
    RequestId,
    Scope,
)

__all__ = ["CHECKS", "MESSAGES", "ProtocolBroken"]

Check: TypeAlias = Callable[[ClientProtocol], None]

SPARE: Final = 256
"""Bytes that an event may be larger than its data and six times its names' characters."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_NOW: Final = 1_764_072_000.75
_NAMES: Final = ("tea", "collection:kaffee-über", "名" * 20)
_IDS: Final[tuple[RequestId, ...]] = (None, "", "a-1", 'sagt "nein"\n', 7, -1, 1.5)
_DATA: Final = (None, 1, "", "zwei\nZeilen", {"a": [1, {"b": "ü \u2028"}]}, "x" * 10_000)
_GARBAGE: Final = (
    *("", " ", "\n", "\x00", "{", "[]", "null", "7", '{"type":', '{"type":5}', "{" * 500, "☕"),
    *("join", "join tea", "JOIN\n", "emit tea said {", '{"type":"join"}', "\ufeff", "a" * 70_000),
)


class ProtocolBroken(AssertionError):
    """A protocol of clients does not keep a promise of its contract."""


def _messages() -> Iterator[PodMessage]:
    yield Connected("0f3c", 65_536, _NOW)
    for request_id in _IDS:
        yield Authenticated("u-1", False, _NOW, request_id)
        yield Pong(_NOW, request_id)
        for room in _NAMES:
            yield Joined(room, _NOW, request_id)
            yield Left(room, _NOW, request_id)
            yield Failed(Problem("room_busy", "Try\nagain.", room, 0.5), _NOW, request_id)
            yield Receipted(Scope.QUEUED, "9f3c-81", _NOW, request_id, room)
            told = Problem("refused", "Bid more.", room, data={"least": 5, "by": ["ü", None]})
            yield Failed(told, _NOW, request_id)
            for answer in (b"null", b'{"leads":"\xc3\xbc"}'):
                yield Receipted(Scope.LOCAL, "9f3c-81", _NOW, request_id, room, None, answer)
        yield Failed(Problem("bad_json", "Send JSON."), _NOW, request_id)
        yield Receipted(Scope.CLUSTER, "9f3c-81", _NOW, request_id)
        heard = Reach(Scope.PARTIAL, 2, 3, 17)
        yield Receipted(Scope.PARTIAL, "9f3c-81", _NOW, request_id, "tea", heard)
    yield Left("tea", _NOW, reason="token expired")
    for data in _DATA:
        encoded = orjson.dumps(data)
        yield Event(None, "system:healed", encoded, "9f3c-1", 0, _NOW)
        for room in _NAMES:
            yield Event(room, "said", encoded, "9f3c-82", 7, _NOW, replayed=1)


MESSAGES: Final[tuple[PodMessage, ...]] = tuple(_messages())
"""One at least of everything that a pod says."""


def check_name(protocol: ClientProtocol) -> None:
    """Hold that it can be asked for."""
    _expect(_TOKEN.fullmatch(protocol.name) is not None, "its name is a token (RFC 9110)")


def check_garbage(protocol: ClientProtocol) -> None:
    """Hold that whatever a client sends is a message or a `WireError` with a sentence."""
    for text in _GARBAGE:
        try:
            protocol.decode(text.encode() if protocol.binary else text)
        except WireError as error:
            _expect(
                bool(error.code and error.sentence), f"it says what is wrong with {text[:20]!r}"
            )
        except Exception as error:
            raise ProtocolBroken(f"decode raises WireError only, not {error!r}") from error


def check_messages(protocol: ClientProtocol) -> None:
    """Hold that everything that a pod says can be said, the same each time."""
    for message in MESSAGES:
        try:
            payload = protocol.encode(message)
        except Exception as error:
            raise ProtocolBroken(f"encode raises nothing, but {error!r} for {message}") from error
        _check_payload(protocol, payload)
        _expect(protocol.encode(message) == payload, "it remembers nothing between two messages")


def check_size(protocol: ClientProtocol) -> None:
    """Hold that an event is no larger than what is reckoned with."""
    for event in MESSAGES:
        if isinstance(event, Event):
            most = len(event.encoded) + 6 * len(event.name + (event.room or "")) + SPARE
            size = len(protocol.encode(event))
            _expect(
                size <= most, f"an event of {len(event.encoded)} bytes takes {most}, not {size}"
            )


def check_signs(protocol: ClientProtocol) -> None:
    """Hold that its ping and its farewell are messages, where it has its own."""
    for payload in (protocol.ping, protocol.farewell(1012, "retry_after=1.5")):
        if payload is not None:
            _check_payload(protocol, payload)


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "name": check_name,
        "garbage": check_garbage,
        "messages": check_messages,
        "size": check_size,
        "signs": check_signs,
    }
)


def _check_payload(protocol: ClientProtocol, payload: bytes) -> None:
    _expect(type(payload) is bytes and bool(payload), "a message is bytes, and not empty")
    if not protocol.binary:
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            raise ProtocolBroken("a message that is not binary is UTF-8") from error


def _expect(kept: bool, promise: str) -> None:
    if not kept:
        raise ProtocolBroken(promise)
