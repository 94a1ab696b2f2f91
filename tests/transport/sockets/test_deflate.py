"""permessage-deflate (RFC 7692), against a client's half that wsproto's authors wrote."""

from __future__ import annotations

import json
import tracemalloc
import zlib

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from websockets.trio.client import connect
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Message, Ping, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

from deployd.config import Performance
from deployd.transport import Deflater, text_frame
from deployd.transport.sockets.client_frames import ClientFrames
from deployd.transport.sockets.frames import payload_of
from deployd.transport.sockets.handshake import answer_opening
from support import pod_config, running_pod
from support.heard_frames import HeardFrames
from support.raw import opening

MOST = 100_000
HEAD = (
    "GET /socket.io/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n"
)
OFFER = "permessage-deflate; client_max_window_bits"
AGREED = "server_no_context_takeover; client_no_context_takeover"


class Pair:
    """A server's protocol with what it delivers, and a client that speaks to it."""

    def __init__(self, offer: str = OFFER) -> None:
        good, _ = opening(f"{HEAD}Sec-WebSocket-Extensions: {offer}\r\n\r\n".encode())
        response, deflates = answer_opening(good, deflates=True)
        self.answer = response.decode()
        self.server = HeardFrames(ClientFrames(MOST, 50, lambda: 0.0, deflates=deflates))
        self.heard = self.server.messages

    def send(self, data: bytes, piece: int = 4096) -> tuple[int, str] | None:
        """Let the server read in pieces; return how it ends the connection, if it does."""
        for at in range(0, len(data), piece):
            self.server.take(data[at : at + piece])
            if self.server.ended is not None:
                break
        return self.server.ended


def client() -> WSConnection:
    """Return a client's half that has agreed on what the pod agrees on."""
    ours = PerMessageDeflate()
    half = WSConnection(ConnectionType.CLIENT)
    request = half.send(Request(host="a", target="/socket.io/", extensions=[ours]))
    half.receive_data(answer_opening(opening(request)[0], deflates=True)[0])
    (accepted,) = half.events()
    assert isinstance(accepted, AcceptConnection)
    assert ours.enabled()
    assert ours.client_no_context_takeover
    assert ours.server_no_context_takeover
    return half


def masked(payload: bytes, first: int = 0xC1) -> bytes:
    size = len(payload).to_bytes(8, "big")
    return (
        bytes([first, 0xFF]) + size + bytes(4) + payload
        if len(payload) > 65535
        else (
            bytes([first, 0xFE]) + size[6:] + bytes(4) + payload
            if len(payload) > 125
            else bytes([first, 0x80 | len(payload)]) + bytes(4) + payload
        )
    )


def deflated(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


# What the pod sends -------------------------------------------------------------------------


@given(st.lists(st.text(max_size=300).map(lambda text: text * 9), min_size=1, max_size=5))
def test_a_client_reads_what_was_said_compressed_or_not(said: list[str]) -> None:
    frames = [text_frame(text.encode()) for text in said]
    half = client()
    half.receive_data(Deflater(threshold=100).pack(frames))
    texts, parts = [], ""
    for event in half.events():
        assert isinstance(event, TextMessage)
        parts += event.data
        if event.message_finished:
            texts.append(parts)
            parts = ""
    assert texts == said


def test_only_what_is_large_and_shrinks_is_compressed() -> None:
    small, large = text_frame(b"a" * 99), text_frame(b"a" * 5000)
    noise = text_frame(zlib.compress(b"".join(str(n**3).encode() for n in range(500)), 9))
    deflater = Deflater(threshold=100)
    assert deflater.pack([small]) == small
    assert deflater.pack([noise]) == noise
    packed = deflater.pack([small, large])
    assert packed.startswith(small)
    assert len(packed) < len(small) + 100


def test_a_client_needs_to_remember_no_more_than_it_may_have_asked_for() -> None:
    noise = "".join(chr(97 + n * n * n % 7919 % 26) for n in range(6000)).encode()
    packed = Deflater(threshold=1).pack([text_frame(noise * 2)])
    # In pieces, for zlib looks as far back as the piece it has just made goes.
    inflate, rest, text = zlib.decompressobj(-12), payload_of(packed) + b"\0\0\xff\xff", b""
    while rest:
        text += inflate.decompress(rest, 100)
        rest = inflate.unconsumed_tail
    assert text == noise * 2


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("permessage-deflate", AGREED),
        (OFFER, AGREED),
        ("permessage-deflate; client_max_window_bits=10", AGREED),
        (
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            f"{AGREED}; server_max_window_bits=12",
        ),
        ("permessage-deflate; server_max_window_bits=11, permessage-deflate", AGREED),
        ("permessage-deflate; server_max_window_bits=9", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; client_max_window_bits=16", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        ("permessage-deflate; nonsense", None),
        ("x-webkit-deflate-frame", None),
    ],
)
def test_what_is_offered_is_agreed_on_where_it_can_be_kept(offer: str, agreed: str | None) -> None:
    pair = Pair(offer)
    line = f"permessage-deflate; {agreed}\r\n".lower()
    assert (line in pair.answer.lower()) is (agreed is not None)
    assert ("sec-websocket-extensions" in pair.answer.lower()) is (agreed is not None)


def test_without_compression_nothing_is_agreed_on_and_a_compressed_frame_is_an_error() -> None:
    good, _ = opening(f"{HEAD}Sec-WebSocket-Extensions: {OFFER}\r\n\r\n".encode())
    response, deflates = answer_opening(good, deflates=False)
    assert (b"extensions" in response.lower(), deflates) == (False, False)
    pair = Pair("nothing-known")
    ended = pair.send(masked(deflated(b"a")))
    assert ended is not None
    assert ended[0] == 1002


# What the pod reads -------------------------------------------------------------------------


@given(
    st.lists(st.lists(st.text(max_size=200), min_size=1, max_size=4), max_size=4),
    st.integers(1, 60),
)
def test_what_a_client_compressed_is_heard_and_counted_as_it_was_said(
    messages: list[list[str]], piece: int
) -> None:
    pair, half = Pair(), client()
    for parts in messages:
        for part in parts[:-1]:
            sent = half.send(Message(data=part, message_finished=False)) + half.send(Ping(b"alive"))
            assert pair.send(sent, piece) is None
        assert pair.send(half.send(Message(data=parts[-1])), piece) is None
    said = ["".join(parts) for parts in messages]
    assert pair.heard == [(text, len(text.encode())) for text in said]


def test_a_client_that_may_compress_need_not() -> None:
    pair = Pair()
    assert pair.send(masked(b"plain", 0x81) + masked(deflated(b"not"))) is None
    assert pair.heard == [("plain", 5), ("not", 3)]


def test_a_bomb_is_refused_before_it_is_held() -> None:
    pair = Pair()
    bomb = masked(deflated(bytes(50_000_000)))
    assert len(bomb) < MOST
    tracemalloc.start()
    try:
        ended = pair.send(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10 * MOST
    finally:
        tracemalloc.stop()
    assert ended is not None
    assert (ended[0], pair.heard) == (1009, [])
    assert ended[1] == f"A message may have at most {MOST} bytes."


def test_a_message_may_have_as_many_bytes_as_without_compression() -> None:
    pair = Pair()
    assert pair.send(masked(deflated(b"a" * MOST))) is None
    assert pair.heard == [("a" * MOST, MOST)]
    ended = pair.send(masked(deflated(b"a" * (MOST + 1))))
    assert ended is not None
    assert ended[0] == 1009


def test_a_last_block_may_stand_in_a_message_but_not_hundreds() -> None:
    # RFC 7692 section 7.2.3.4
    example = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
    pair = Pair()
    assert pair.send(masked(example)) is None
    assert pair.heard == [("Hello", 5)]
    ended = pair.send(masked(b"\x03\x00" * 1000))
    assert ended is not None
    assert ended[0] == 1008


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(b"\xff\xff\xff"), 1007),
        (masked(deflated(b"\xff\xfe")), 1007),  # no UTF-8
        (masked(deflated(b"a"), 0xE1), 1002),  # another reserved bit
        (masked(deflated(b"a"), 0xC9), 1002),  # a ping
        (masked(b"a", 0x01) + masked(b"b", 0xC0), 1002),  # a later frame
    ],
)
def test_what_is_wrong_ends_the_connection_with_its_code(data: bytes, code: int) -> None:
    pair = Pair()
    ended = pair.send(data)
    assert ended is not None
    assert (ended[0], pair.heard) == (code, [])


@given(st.binary(max_size=400))
def test_no_bytes_crash_it(data: bytes) -> None:
    Pair().send(masked(data))


# A pod --------------------------------------------------------------------------------------


async def test_who_takes_it_gets_less_and_everybody_the_same() -> None:
    data = "many words " * 2000
    async with running_pod() as pod:
        uri = f"ws://localhost:{pod.port}/socket.io/"
        async with connect(uri) as packs, connect(uri, compression=None) as plain:
            heard = []
            for one in (packs, plain):
                await one.recv()
                await one.send(json.dumps({"type": "join", "room": "tea"}))
                await one.recv()
            await packs.send(
                json.dumps({"type": "emit", "room": "tea", "event": "e", "data": data})
            )
            for one in (packs, plain):
                message = json.loads(await one.recv())
                while message["type"] != "emit":
                    message = json.loads(await one.recv())
                heard.append(message["data"])
            written = {
                member.sink.deflates: member.sink.written[1] for member in pod.members.values()
            }
    assert heard == [data, data]
    assert written[True] < 2000 < 20_000 < written[False]


async def test_a_pod_that_is_told_not_to_compresses_nothing() -> None:
    off = evolve(pod_config(), performance=Performance(compression_enabled=False))
    async with (
        running_pod(off) as pod,
        connect(f"ws://localhost:{pod.port}/socket.io/") as one,
    ):
        await one.recv()
        assert one.protocol.extensions == []
