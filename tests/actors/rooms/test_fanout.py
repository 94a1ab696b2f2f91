from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployd.actors import Member
from deployd.actors.rooms.fanout import Batch, Batching
from deployd.actors.runtime.ref import ActorRef
from deployd.transport import FAN_OUT, Histogram
from support.sinks import FakeSink


def members(count: int) -> tuple[list[Member], list[FakeSink]]:
    sinks = [FakeSink() for _ in range(count)]
    ref: ActorRef[object] = ActorRef.__new__(ActorRef)
    return [Member(str(n), ref, sink, "here") for n, sink in enumerate(sinks)], sinks


def test_broadcasts_are_joined_into_one_write_of_the_same_bytes_for_every_member() -> None:
    people, sinks = members(3)
    batch = Batch(Batching(64), Histogram(FAN_OUT))
    for frame in (b"a", b"b", b"c"):
        batch.add(frame)
    assert batch.write(people) == 9
    assert [sink.pieces for sink in sinks] == [[(b"abc", 3)]] * 3
    assert sinks[0].pieces[0][0] is sinks[1].pieces[0][0]
    assert len(batch) == 0
    assert batch.write(people) == 0


@given(st.lists(st.tuples(st.sampled_from(["all", "to", "but"]), st.integers(0, 2)), max_size=30))
def test_each_member_gets_its_frames_in_the_order_they_were_said(
    plan: list[tuple[str, int]],
) -> None:
    people, sinks = members(3)
    batch = Batch(Batching(1000), Histogram(FAN_OUT))
    expected = [b"", b"", b""]
    for number, (kind, who) in enumerate(plan):
        frame = bytes([number])
        to = people[who] if kind == "to" else None
        but = people[who] if kind == "but" else None
        batch.add(frame, to=to, but=but)
        for index in range(3):
            if (kind == "to") <= (index == who) and not (kind == "but" and index == who):
                expected[index] += frame
    deliveries = batch.write(people)
    assert [sink.data for sink in sinks] == expected
    assert deliveries == sum(len(text) for text in expected)
    assert deliveries == sum(count for sink in sinks for _, count in sink.pieces)


def test_a_batch_is_full_by_messages_or_by_bytes() -> None:
    batch = Batch(Batching(2), Histogram(FAN_OUT))
    fullness = []
    for frame in (b"a", b"b"):
        batch.add(frame)
        fullness.append(batch.full)
    batch.write([])
    fullness.append(batch.full)
    batch.add(bytes(Batching().max_bytes))
    assert [*fullness, batch.full] == [False, True, False, True]
