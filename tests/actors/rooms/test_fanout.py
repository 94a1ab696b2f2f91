from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployd.actors import Member
from deployd.actors.rooms.fanout import Batch, Batching
from deployd.actors.runtime.ref import ActorRef
from deployd.transport import (
    FAN_OUT,
    NATIVE,
    ClientProtocol,
    Deflater,
    Event,
    Histogram,
    PodMessage,
    binary_frame,
    text_frame,
)
from support.lines import LINES
from support.sinks import FakeSink


def members(count: int) -> tuple[list[Member], list[FakeSink]]:
    sinks = [FakeSink() for _ in range(count)]
    ref: ActorRef[object] = ActorRef.__new__(ActorRef)
    return [Member(str(n), ref, sink, "here", NATIVE) for n, sink in enumerate(sinks)], sinks


def said(number: int) -> Event:
    return Event("tea", "said", b"%d" % number, f"pod-{number}", number, 0.0)


def frame(number: int, protocol: ClientProtocol = NATIVE) -> bytes:
    return text_frame(protocol.encode(said(number)))


def test_broadcasts_are_joined_into_one_write_of_the_same_bytes_for_every_member() -> None:
    people, sinks = members(3)
    batch = Batch(Batching(64), Histogram(FAN_OUT))
    for number in range(3):
        batch.add(said(number), 100)
    assert batch.write(people) == 9
    joined = frame(0) + frame(1) + frame(2)
    assert [sink.pieces for sink in sinks] == [[(joined, 3)]] * 3
    assert sinks[0].pieces[0][0] is sinks[1].pieces[0][0]
    assert len(batch) == 0
    assert batch.write(people) == 0


@given(st.lists(st.tuples(st.sampled_from(["all", "to", "but"]), st.integers(0, 2)), max_size=30))
def test_each_member_gets_its_frames_in_the_order_they_were_said(
    plan: list[tuple[str, int]],
) -> None:
    people, sinks = members(3)
    batch = Batch(Batching(1000), Histogram(FAN_OUT))
    expected: list[list[bytes]] = [[], [], []]
    for number, (kind, who) in enumerate(plan):
        to = [people[who]] if kind == "to" else None
        but = people[who] if kind == "but" else None
        batch.add(said(number), 100, to=to, but=but)
        for index in range(3):
            if (kind == "to") <= (index == who) and not (kind == "but" and index == who):
                expected[index].append(frame(number))
    deliveries = batch.write(people)
    assert [sink.data for sink in sinks] == [b"".join(frames) for frames in expected]
    assert deliveries == sum(map(len, expected))
    assert deliveries == sum(count for sink in sinks for _, count in sink.pieces)


def test_a_batch_is_full_by_messages_or_by_bytes() -> None:
    batch = Batch(Batching(2), Histogram(FAN_OUT))
    fullness = []
    for number in range(2):
        batch.add(said(number), 1)
        fullness.append(batch.full)
    batch.write([])
    fullness.append(batch.full)
    batch.add(said(2), Batching().max_bytes)
    assert [*fullness, batch.full] == [False, True, False, True]


class Counting:
    """A protocol that counts how often it is asked to encode."""

    name, binary, ping = LINES.name, LINES.binary, LINES.ping
    decode, farewell = LINES.decode, LINES.farewell

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, message: PodMessage) -> bytes:
        self.encoded += 1
        return LINES.encode(message)


def test_what_is_said_is_encoded_once_for_each_protocol_however_its_members_are_mixed() -> None:
    people, sinks = members(7)
    counting = Counting()
    for member in people[1::2]:
        member.protocol = counting
    batch = Batch(Batching(64), Histogram(FAN_OUT))
    batch.add(said(0), 100)
    batch.add(said(1), 100)
    assert batch.write(people) == 14
    assert counting.encoded == 2
    native, lines = frame(0) + frame(1), frame(0, LINES) + frame(1, LINES)
    assert [sink.data for sink in sinks] == [native, lines, native, lines, native, lines, native]
    assert len({id(sink.pieces[0][0]) for sink in sinks}) == 2


def test_what_is_large_is_compressed_once_for_those_of_each_protocol_who_take_it() -> None:
    people, sinks = members(6)
    for member in people[3:]:
        member.protocol = LINES
    for sink in sinks[1:3] + sinks[4:]:
        sink.deflates = True
    batch = Batch(Batching(64, deflater=Deflater(threshold=10)), Histogram(FAN_OUT))
    large = Event("tea", "said", b'"%s"' % (b"x" * 500), "pod-1", 1, 0.0)
    batch.add(large, 600)
    assert batch.write(people) == 6
    plain = [text_frame(protocol.encode(large)) for protocol in (NATIVE, LINES)]
    packed = [Deflater(threshold=10).pack([one]) for one in plain]
    assert [sink.data for sink in sinks] == [
        *(plain[0], packed[0], packed[0]),
        *(plain[1], packed[1], packed[1]),
    ]
    assert sinks[1].pieces[0][0] is sinks[2].pieces[0][0]


def test_a_protocol_of_binary_messages_gets_binary_frames() -> None:
    [member], [sink] = members(1)
    octets = Counting()
    octets.binary = True
    member.protocol = octets
    batch = Batch(Batching(64), Histogram(FAN_OUT))
    batch.add(said(0), 100)
    batch.write([member])
    member.say(said(1))
    assert sink.data == b"".join(binary_frame(LINES.encode(said(n))) for n in range(2))
    assert sink.data[0] == 0x82


def test_what_is_said_to_some_is_encoded_once_for_all_of_them() -> None:
    people, sinks = members(5)
    counting = Counting()
    for member in people:
        member.protocol = counting
    batch = Batch(Batching(64), Histogram(FAN_OUT))
    batch.add(said(0), 100, to=people[:4])
    assert batch.write(people) == 4
    assert counting.encoded == 1
    assert [sink.data for sink in sinks] == [frame(0, LINES)] * 4 + [b""]
