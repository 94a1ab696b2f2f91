"""What a proxy reads in what it carries: the same bytes, and the same frames in any slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import commands
from pamqp.frame import marshal
from pamqp.header import ContentHeader, ProtocolHeader
from pamqp.heartbeat import Heartbeat

from deployd.tools.chaos.proxy.frames import MAX_FRAME, Frame, FrameReader, Piece, readers

SLICED = settings(max_examples=60, deadline=None)


def words(*parts: str | bytes) -> bytes:
    """Write a command of Redis."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    head = b"*%d\r\n" % len(encoded)
    return head + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded)


def confirmation(what: str, channel: str, count: int, kind: bytes = b"*") -> bytes:
    return words(what, channel).replace(b"*2", kind + b"3") + b":%d\r\n" % count


def content(channel: int, method: commands.Basic.Publish, body: bytes, part: int = 10) -> bytes:
    """Write a message of AMQP, its body in parts."""
    header = ContentHeader(properties=commands.Basic.Properties(), body_size=len(body))
    parts = [body[at : at + part] for at in range(0, len(body), part)]
    bodies = [b"\x03%b%b%b\xce" % (number(channel, 2), number(len(one), 4), one) for one in parts]
    return marshal(method, channel) + marshal(header, channel) + b"".join(bodies)


def number(value: int, nbytes: int) -> bytes:
    return value.to_bytes(nbytes, "big")


SENT = {
    "redis": b"".join(
        [
            words("HELLO", "3"),
            b"PING\r\n",
            words("SUBSCRIBE", "a", "b"),
            words("PUBLISH", "room.x", b"\r\n*3\r\n$7\r\n"),
            words("SUBSCRIBE", "c"),
            words("PUBLISH", "room.y", ""),
        ]
    ),
    "nats": b"CONNECT {}\r\nSUB room.* q 1\r\n"
    b"PUB room.x 5\r\n\r\nPUB\r\nPUB ask _INBOX.1 2\r\nhi\r\n"
    b"HPUB room.y 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\nunsub 1\r\n",
    "rabbitmq": marshal(ProtocolHeader(), 0)
    + marshal(commands.Confirm.Select(), 1)
    + content(1, commands.Basic.Publish(exchange="room", routing_key="x"), b"hi" * 40)
    + marshal(commands.Queue.Bind(queue="q", exchange="room", routing_key="x"), 2)
    + content(1, commands.Basic.Publish(exchange="room", routing_key="y"), b"")
    + marshal(Heartbeat(), 0),
}
ANSWERED = {
    "redis": b"".join(
        [
            b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n",
            b"+PONG\r\n",
            confirmation("subscribe", "a", 1, b">"),
            words("message", "a", "hi").replace(b"*", b">", 1),
            confirmation("subscribe", "b", 2, b">"),
            b":1\r\n",
            confirmation("subscribe", "c", 3, b">"),
            b"-ERR no\r\n",
        ]
    ),
    "nats": b'INFO {"max_payload":1}\r\nMSG room.x 1 5\r\n\r\nMSG\r\nMSG _INBOX.1 2 2\r\nhi\r\n'
    b"HMSG room.y 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\nPING\r\n-ERR 'no'\r\n",
    "rabbitmq": marshal(commands.Confirm.SelectOk(), 1)
    + marshal(commands.Basic.Ack(delivery_tag=1), 1)
    + marshal(commands.Queue.BindOk(), 2)
    + content(1, commands.Basic.Publish(exchange="room", routing_key="x"), b"hi")
    + marshal(commands.Basic.Nack(delivery_tag=2), 1),
}
ANY = [(name, way) for name in SENT for way in (0, 1)]


def bytes_of(pieces: Iterable[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def read(protocol: str, way: int, slices: Sequence[bytes]) -> list[Piece]:
    """Read one way, what the client has sent having come before what is answered."""
    both = readers(protocol)
    if way == 1:
        both[0].feed(SENT[protocol])
    return fed(both[way], slices)


def fed(reader: FrameReader, slices: Iterable[bytes]) -> list[Piece]:
    pieces = [piece for part in slices for piece in reader.feed(part)]
    return [*pieces, *reader.rest()]


def sliced(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize(("protocol", "way"), ANY)
@SLICED
@given(cuts=st.lists(st.integers(0, 10_000), max_size=30))
def test_frames_are_the_same_whatever_the_slices(protocol: str, way: int, cuts: list[int]) -> None:
    data = (SENT, ANSWERED)[way][protocol]
    whole = read(protocol, way, [data])
    assert all(piece.frame is not None for piece in whole)
    assert read(protocol, way, sliced(data, cuts)) == whole
    assert read(protocol, way, [bytes([byte]) for byte in data]) == whole


@pytest.mark.parametrize(("protocol", "way"), ANY)
@SLICED
@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=9))
def test_bytes_of_any_kind_pass_as_they_came(
    protocol: str, way: int, data: bytes, cuts: list[int]
) -> None:
    begun = (SENT, ANSWERED)[way][protocol]
    for stream in (data, begun[: len(data)] + data, begun + data):
        pieces = read(protocol, way, sliced(stream, cuts))
        assert bytes_of(pieces) == stream
        assert [one for one in pieces if one.frame] == [
            one for one in read(protocol, way, [stream]) if one.frame
        ]


@pytest.mark.parametrize("slice_bytes", [1000, 64 * 1024, 10 * MAX_FRAME])
@pytest.mark.parametrize(
    ("protocol", "large", "after"),
    [
        ("redis", words("PUBLISH", "x", b"a" * MAX_FRAME), words("PUBLISH", "y", "z")),
        ("redis", words("SUBSCRIBE", *["channel"] * 90_000), words("PUBLISH", "y", "z")),
        ("nats", b"PUB x %d\r\n%b\r\n" % (MAX_FRAME, b"a" * MAX_FRAME), b"PUB y 1\r\nz\r\n"),
        (
            "rabbitmq",
            content(1, commands.Basic.Publish(exchange="x"), b"a" * MAX_FRAME, 100_000),
            content(1, commands.Basic.Publish(exchange="y"), b"z"),
        ),
    ],
    ids=["redis", "redis-words", "nats", "rabbitmq"],
)
def test_what_is_too_large_to_wait_for_passes_in_parts_and_counts_all_the_same(
    protocol: str, large: bytes, after: bytes, slice_bytes: int
) -> None:
    reader = readers(protocol)[0]
    stream = large + after
    pieces = fed(reader, sliced(stream, range(0, len(stream), slice_bytes)))
    assert bytes_of(pieces) == stream
    assert [piece.frame for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    last = pieces[-1].frame
    assert last is not None
    assert last.number == (2 if large[:20].split()[0] not in (b"*90001",) else 1)
    assert max(len(piece.data) for piece in pieces[:-1]) <= max(MAX_FRAME + 100_000, slice_bytes)


def frames(protocol: str, way: int) -> list[Frame]:
    data = (SENT, ANSWERED)[way][protocol]
    return [piece.frame for piece in read(protocol, way, [data]) if piece.frame]


def test_a_reply_of_redis_is_known_by_its_command_and_what_is_pushed_is_no_reply() -> None:
    assert frames("redis", 0)[2:5] == [
        Frame("SUBSCRIBE", ("a", "b"), number=1),
        Frame("PUBLISH", ("room.x",), number=1),
        Frame("SUBSCRIBE", ("c",), number=2),
    ]
    assert frames("redis", 1) == [
        Frame("reply", ("3",), reply_to="HELLO", number=1),
        Frame("reply", (), reply_to="PING", number=1),
        Frame("subscribe", ("a",), reply_to="SUBSCRIBE", number=1),
        Frame("message", ("a",)),
        Frame("subscribe", ("b",), reply_to="SUBSCRIBE", number=1),
        Frame("reply", ("room.x",), reply_to="PUBLISH", number=1),
        Frame("subscribe", ("c",), reply_to="SUBSCRIBE", number=2),
        Frame("error", ("room.y",), reply_to="PUBLISH", number=2),
    ]


def test_with_the_older_protocol_of_redis_messages_are_lists_as_replies_are() -> None:
    sent, answered = readers("redis")
    sent.feed(words("PSUBSCRIBE", "r*") + words("LRANGE", "l", "0", "1") + words("UNSUBSCRIBE"))
    answers = [
        confirmation("psubscribe", "r*", 1),
        words("pmessage", "r*", "room", "hi"),
        words("one", "two"),
        confirmation("unsubscribe", "a", 1),
        confirmation("unsubscribe", "b", 0),
    ]
    assert [piece.frame for answer in answers for piece in answered.feed(answer)] == [
        Frame("psubscribe", ("r*",), reply_to="PSUBSCRIBE", number=1),
        Frame("pmessage", ("room", "r*")),
        Frame("reply", ("l",), reply_to="LRANGE", number=1),
        Frame("unsubscribe", ("a",), reply_to="UNSUBSCRIBE", number=1),
        Frame("unsubscribe", ("b",), reply_to="UNSUBSCRIBE", number=1),
    ]


def test_a_subscription_that_the_server_ends_by_itself_answers_nothing() -> None:
    sent, answered = readers("redis")
    sent.feed(words("SSUBSCRIBE", "a") + words("PUBLISH", "b", ""))
    moved = confirmation("sunsubscribe", "c", 0, b">")
    answers = moved + confirmation("ssubscribe", "a", 1, b">") + moved + b":0\r\n"
    assert [piece.frame for piece in answered.feed(answers)] == [
        Frame("sunsubscribe", ("c",)),
        Frame("ssubscribe", ("a",), reply_to="SSUBSCRIBE", number=1),
        Frame("sunsubscribe", ("c",)),
        Frame("reply", ("b",), reply_to="PUBLISH", number=1),
    ]


def test_a_reply_of_nats_is_known_by_its_inbox_and_a_pong_by_its_ping() -> None:
    assert frames("nats", 0) == [
        Frame("CONNECT", number=1),
        Frame("SUB", ("room.*",), number=1),
        Frame("PUB", ("room.x",), number=1),
        Frame("PUB", ("ask",), number=2),
        Frame("HPUB", ("room.y",), number=1),
        Frame("PING", number=1),
        Frame("UNSUB", ("room.*",), number=1),
    ]
    assert frames("nats", 1) == [
        Frame("INFO"),
        Frame("MSG", ("room.x",)),
        Frame("MSG", ("_INBOX.1", "ask"), reply_to="PUB", number=2),
        Frame("HMSG", ("room.y",)),
        Frame("PONG", reply_to="PING", number=1),
        Frame("PING"),
        Frame("-ERR"),
    ]


def test_a_message_of_amqp_is_one_frame_and_a_confirm_is_known_by_its_message() -> None:
    publish = Frame("basic.publish", ("room",), "x", number=1)
    assert frames("rabbitmq", 0) == [
        Frame("AMQP"),
        Frame("confirm.select", number=1),
        publish,
        Frame("queue.bind", ("q", "room"), "x", number=1),
        Frame("basic.publish", ("room",), "y", number=2),
        Frame("heartbeat"),
    ]
    assert frames("rabbitmq", 1) == [
        Frame("confirm.select-ok", reply_to="confirm.select", number=1),
        Frame("basic.ack", ("room",), "x", reply_to="basic.publish", number=1),
        Frame("queue.bind-ok", ("q", "room"), "x", reply_to="queue.bind", number=1),
        Frame("basic.publish", ("room",), "x"),
        Frame("basic.nack", ("room",), "y", reply_to="basic.publish", number=2),
    ]


def test_a_confirm_of_many_messages_of_amqp_is_that_of_the_last_and_no_other_channel() -> None:
    sent, answered = readers("rabbitmq")
    for channel in (1, 2):
        sent.feed(marshal(commands.Confirm.Select(), channel))
    for key in "abc":
        for channel in (1, 2):
            sent.feed(
                content(channel, commands.Basic.Publish(exchange="room", routing_key=key), b"hi")
            )
    acks = [(1, 2, True), (1, 3, False), (2, 1, False), (1, 1, False)]
    found = [
        answered.feed(marshal(commands.Basic.Ack(tag, multiple=multiple), channel))[0].frame
        for channel, tag, multiple in acks
    ]
    assert [frame.key if frame else None for frame in found] == ["b", "c", "a", ""]


def test_what_another_channel_says_in_the_middle_of_a_message_is_carried_in_it() -> None:
    whole = content(1, commands.Basic.Publish(exchange="room", routing_key="x"), b"hi" * 10)
    other = marshal(commands.Queue.Declare(queue="q"), 2)
    middle = len(whole) - 18
    stream = whole[:middle] + other + whole[middle:]
    [piece] = readers("rabbitmq")[0].feed(stream)
    assert piece == Piece(stream, Frame("basic.publish", ("room",), "x", number=1))


ENCRYPTED = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256))


@pytest.mark.parametrize(("protocol", "way"), ANY)
@pytest.mark.parametrize("strange", [ENCRYPTED, b"\x16\x03\x01\x00\x02\x01\x02", b"HTTP/1.1 200"])
def test_what_is_no_such_protocol_passes_as_bytes_at_once_and_for_good(
    protocol: str, way: int, strange: bytes
) -> None:
    if (protocol, way, strange[:4]) == ("redis", 0, b"HTTP"):
        return  # it may be a command, as far as anybody knows
    reader = readers(protocol)[way]
    assert reader.feed(strange) == [Piece(strange)]
    assert reader.feed(SENT[protocol]) == [Piece(SENT[protocol])]
    assert reader.lost


ENDLESS: dict[str, Callable[[], bytes]] = {
    "redis": lambda: b"*1\r\n$" + b"1" * 70_000,
    "nats": lambda: b"INFO " + b"x" * 70_000,
    "rabbitmq": lambda: b"\x01\x00\x01\xff\xff\xff\xff" + b"x" * 70_000,
}


@pytest.mark.parametrize("protocol", ENDLESS)
def test_a_line_that_has_no_end_is_not_waited_for(protocol: str) -> None:
    reader = readers(protocol)[1]
    data = ENDLESS[protocol]()
    assert (
        bytes_of(
            piece for part in sliced(data, range(0, 80_000, 999)) for piece in reader.feed(part)
        )
        == data
    )
    assert reader.lost


def test_where_nothing_is_read_each_chunk_is_a_frame() -> None:
    [piece] = readers("")[0].feed(b"anything")
    assert piece.frame == Frame("chunk")
