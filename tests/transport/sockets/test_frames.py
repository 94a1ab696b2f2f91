from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage

from deployd.transport import PING, CloseCode, close_frame, text_frame


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (1, b"\x81\x01"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (127, b"\x81\x7e\x00\x7f"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_text_frame_has_the_shortest_length_that_fits(size: int, header: bytes) -> None:
    payload = b"x" * size
    assert text_frame(payload) == header + payload


@given(st.lists(st.text()))
def test_joined_text_frames_are_read_as_the_same_messages(texts: list[str]) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(b"".join(text_frame(text.encode()) for text in texts))
    assert [event.data for event in client.events() if isinstance(event, TextMessage)] == texts


def test_the_ping_is_an_empty_ping() -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(PING)
    assert list(client.events()) == [Ping(payload=b"")]


@given(st.sampled_from(CloseCode), st.text())
def test_a_close_frame_carries_its_code_and_the_start_of_its_reason(
    code: CloseCode, reason: str
) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(close_frame(code, reason))
    [event] = client.events()
    assert isinstance(event, CloseConnection)
    assert event.code == code
    assert event.reason is not None
    assert reason.startswith(event.reason)
    assert len(event.reason.encode()) > 119 or event.reason == reason


def test_a_reason_is_cut_between_two_characters() -> None:
    assert close_frame(1000, "x" * 122 + "é") == b"\x88\x7c\x03\xe8" + b"x" * 122
    assert close_frame(1000, "x" * 121 + "é") == b"\x88\x7d\x03\xe8" + b"x" * 121 + b"\xc3\xa9"


def test_a_reason_that_is_no_unicode_is_sent_all_the_same() -> None:
    assert close_frame(1000, "a\udc80b") == b"\x88\x05\x03\xe8a?b"


def test_the_range_of_a_private_close_code_says_whether_to_come_back() -> None:
    private = {code for code in CloseCode if code >= 4000}
    assert {code for code in private if code.reconnect} == {
        CloseCode.SLOW_CONSUMER,
        CloseCode.PONG_TIMEOUT,
        CloseCode.DEAD_CLIENT,
    }
    assert all(code < 4500 for code in private if code.reconnect)
    assert all(4500 <= code < 5000 for code in private if not code.reconnect)


@pytest.mark.parametrize(
    ("code", "reconnect"),
    [
        (CloseCode.NORMAL, True),
        (CloseCode.SERVICE_RESTART, True),
        (CloseCode.TRY_AGAIN_LATER, True),
        (CloseCode.PROTOCOL_ERROR, False),
        (CloseCode.POLICY_VIOLATION, False),
        (CloseCode.MESSAGE_TOO_BIG, False),
    ],
)
def test_a_standard_close_code_says_whether_to_come_back(code: CloseCode, reconnect: bool) -> None:
    assert code.reconnect is reconnect


def test_every_close_code_tells_a_remedy_in_one_sentence() -> None:
    for code in CloseCode:
        assert code.remedy[0].isupper()
        assert code.remedy.endswith(".")
        assert CloseCode(int(code)) is code
