"""A client's protocol says whether its messages are texts or binary; the other kind is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, Event, Ping, TextMessage

from deployd.transport import NATIVE, ClientProtocol, binary_frame, text_frame
from deployd.transport.sockets.client_frames import ClientFrames
from deployd.transport.sockets.handshake import Opening, answer_opening, choose_route
from deployd.transport.sockets.request import HeadReader, RequestHead
from support.heard_frames import HeardFrames
from support.lines import LINES, Lines

KEY = "SGVsbG8gV2ViU29ja2V0IQ=="
HEAD = (
    "GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    f"Upgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
)
OFFER = "Sec-WebSocket-Protocol: chat, lines\r\n"


class Octets(Lines):
    name = "octets"
    binary = True


OCTETS = Octets()


def said(protocol: ClientProtocol, *events: Event) -> tuple[list[str | bytes], list[int]]:
    """Return the messages that are delivered, and the codes with which the pod closes."""
    heard = HeardFrames(ClientFrames(1000, 50, clock=lambda: 0.0, binary=protocol.binary))
    client = Connection(ConnectionType.CLIENT)
    heard.take(b"".join(client.send(event) for event in events))
    got = [message for message, _ in heard.messages]
    return got, [] if heard.ended is None else [heard.ended[0]]


@pytest.mark.parametrize(
    ("protocol", "event", "delivered", "codes"),
    [
        (NATIVE, TextMessage("grüße"), ["grüße"], []),
        (NATIVE, BytesMessage(b"\xff"), [], [1003]),
        (OCTETS, BytesMessage(b"\xff\x00"), [b"\xff\x00"], []),
        (OCTETS, BytesMessage(b""), [b""], []),
        (OCTETS, TextMessage("grüße"), [], [1003]),
    ],
)
def test_one_kind_of_messages_is_taken(
    protocol: ClientProtocol, event: Event, delivered: list[str | bytes], codes: list[int]
) -> None:
    assert said(protocol, event) == (delivered, codes)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=9))
def test_a_binary_message_in_parts_is_delivered_whole(parts: list[bytes]) -> None:
    events: list[Event] = []
    for number, part in enumerate(parts, start=1):
        events += [BytesMessage(part, message_finished=number == len(parts)), Ping()]
    assert said(OCTETS, *events) == ([b"".join(parts)], [])


def test_a_binary_message_is_bounded_as_a_text_is() -> None:
    assert said(OCTETS, BytesMessage(b"x" * 1001)) == ([], [1009])


def test_a_frame_says_which_it_is() -> None:
    assert text_frame(b"a") == b"\x81\x01a"
    assert binary_frame(b"a") == b"\x82\x01a"


def head_of(*fields: str) -> RequestHead:
    head = HeadReader(1000).feed("".join([HEAD, *fields, "\r\n"]).encode())
    assert isinstance(head, RequestHead)
    return head


@pytest.mark.parametrize(
    ("fields", "protocol", "agreed"), [([], NATIVE, None), ([OFFER], LINES, "lines")]
)
def test_the_opening_of_a_websocket_says_what_will_be_spoken(
    fields: list[str], protocol: ClientProtocol, agreed: str | None
) -> None:
    opening = choose_route(head_of(*fields), protocols=[NATIVE, LINES])
    assert isinstance(opening, Opening)
    assert (opening.protocol, opening.agreed) == (protocol, agreed)
    response, _ = answer_opening(opening, deflates=False)
    assert (b"\r\nSec-WebSocket-Protocol: lines\r\n" in response) is (agreed is not None)


def test_a_pod_that_speaks_one_protocol_agrees_on_nothing_else() -> None:
    assert choose_route(head_of(OFFER)) == Opening(KEY)
