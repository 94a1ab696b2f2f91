"""The client's half of the protocol reads what the pod's half writes, and the other way round."""

from __future__ import annotations

import contextlib

import orjson
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import (
    JSON,
    NATIVE,
    Auth,
    ClientMessage,
    Emit,
    Event,
    Join,
    Leave,
    Ping,
    PodMessage,
    RequestId,
    WireError,
)
from deployd.transport.protocols import ClientEvent, decode_from_pod, encode_to_pod
from deployd.transport.protocols.conformance import MESSAGES

whole = st.characters(exclude_categories=["Cs"])
ids = st.none() | st.integers(0, 2**53) | st.text(whole, max_size=10)
names = st.text(whole, min_size=1, max_size=20)
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(whole),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(whole), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_all_that_a_pod_says_is_read_as_it_was_meant(message: PodMessage) -> None:
    read = decode_from_pod(NATIVE.encode(message).decode())
    if isinstance(message, Event):
        room, name, encoded, event_id, sequence, time, _, _, replayed = message
        said = orjson.loads(encoded)
        assert read == ClientEvent(room, name, said, event_id, sequence, int(time), bool(replayed))
    else:
        assert read == evolve(message, time=int(message.time))


@given(ids, names, names | st.none(), data)
def test_all_that_a_client_says_is_read_as_it_was_meant(
    request: RequestId, name: str, room: str | None, said: JSON
) -> None:
    messages: list[ClientMessage] = [
        Auth(name, request),
        Join(name, request),
        Join(name, request, {"seat": 3}),
        Leave(name, request),
        Emit(name, said, room, request),
        Ping(request),
    ]
    for message in messages:
        assert NATIVE.decode(encode_to_pod(message)) == message


def test_data_that_is_not_json_is_refused() -> None:
    with pytest.raises(WireError, match="cannot be sent as JSON"):
        encode_to_pod(Emit("said", {1, 2}))  # type: ignore[arg-type]


def test_what_a_newer_pod_says_is_passed_over() -> None:
    assert decode_from_pod('{"type":"presence","data":{}}') is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"data":1}', '{"type":7}', '{"type":"connect"}'),
        *('{"type":"receipt","data":{"scope":"far","id":"1"}}', '{"type":"join"}'),
        '{"type":"receipt","data":{"scope":"local","id":"1","pods":"2"}}',
        '{"type":"join","room":"a","id":[]}',
        '{"type":"emit","event":"a","meta":{"timestamp":"now"}}',
    ],
)
def test_what_no_pod_says_is_refused(text: str) -> None:
    with pytest.raises(WireError) as caught:
        decode_from_pod(text)
    assert caught.value.code == "not_a_pod"


@given(st.text() | st.builds(lambda value: orjson.dumps(value).decode(), data))
def test_whatever_comes_is_a_message_or_refused(text: str) -> None:
    with contextlib.suppress(WireError):
        decode_from_pod(text)
