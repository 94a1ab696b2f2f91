"""Single frames that toxics choose: by what they are, what they answer, and which it is."""

from __future__ import annotations

import pytest

from deployd.tools.chaos.proxy import (
    Bandwidth,
    CutFrame,
    DelayFrames,
    DropFrames,
    DuplicateFrames,
    FlipBits,
    FrameToxic,
    ReorderFrames,
    Slicer,
    Toxic,
)
from deployd.tools.chaos.proxy.frames import readers
from deployd.tools.chaos.proxy.toxic import Uses
from deployd.tools.chaos.proxy.way import Way
from support.ways import CLOSE, END, RESET, data_of, passed, way_of


def publish(subject: str, data: bytes = b"hi") -> bytes:
    return b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(data), data)


def struck(toxic: FrameToxic, *frames: bytes) -> list[bytes]:
    """Return the frames that come out, one by one."""
    written = passed(way_of(toxic, protocol="nats"), b"".join(frames))
    out = readers("nats")[0].feed(data_of(written))
    return [piece.data for piece in out]


A, B, C, D = (publish(name) for name in ("room.a", "room.b", "c", "room.d"))


def test_every_second_message_into_some_rooms_is_dropped() -> None:
    toxic = DropFrames(verb="pub", subject="room.*", every=2)
    assert struck(toxic, A, C, B, A, D, C) == [A, C, A, C]


def test_one_message_of_many_is_dropped() -> None:
    assert struck(DropFrames(nth=3), A, B, C, D) == [A, B, D]


def test_a_share_of_messages_is_dropped() -> None:
    left = struck(DropFrames(share=0.25), *[A] * 1000)
    assert 680 < len(left) < 820


def test_what_is_done_so_many_times_is_done_no_more_on_any_connection() -> None:
    uses = Uses()
    left = b""
    for seed in "12":
        way = Way(readers("nats")[0], "upstream", seed)
        way.put("0", DropFrames(times=3), uses, 0.0)
        left += data_of(passed(way, A, B))
    assert left == B


def test_a_message_is_delayed_and_what_follows_waits() -> None:
    way = way_of(DelayFrames(subject="c", delay=100), protocol="nats")
    assert passed(way, A + C + B) == [(0.0, A), (0.1, C + B)]


def test_messages_are_repeated() -> None:
    assert struck(DuplicateFrames(subject="room.b", copies=2), A, B, C) == [A, B, B, B, C]


def test_messages_are_overtaken_by_the_next_one() -> None:
    assert struck(ReorderFrames(subject="room.a"), A, B, C, A, D) == [B, A, C, D, A]
    # Who overtakes is counted, too: of these the second and the fourth wait.
    assert struck(ReorderFrames(every=2), A, B, C, D, A, B) == [A, C, B, A, D, B]


def test_a_message_that_nothing_overtakes_does_not_wait_for_ever() -> None:
    way = way_of(ReorderFrames(wait=200), protocol="nats")
    assert passed(way, A) == [(0.2, A)]
    way = way_of(ReorderFrames(wait=200), protocol="nats")
    assert passed(way, A, end=True) == [(0.0, A), (0.0, END)]


def test_a_connection_is_cut_in_the_middle_of_a_message() -> None:
    way = way_of(CutFrame(subject="c", part=0.5), protocol="nats")
    assert passed(way, A + C + B)[:2] == [(0.0, A + C[: len(C) // 2]), (0.0, CLOSE)]
    way = way_of(CutFrame(subject="c", part=0, reset=True), protocol="nats")
    assert passed(way, A + C)[:2] == [(0.0, A), (0.0, RESET)]


def test_the_reply_to_the_third_subscribe_is_dropped_with_all_its_confirmations() -> None:
    sent, answered = readers("redis")
    way = Way(answered, "downstream", "1")
    way.put("0", DropFrames(reply_to="SUBSCRIBE", nth=3), Uses(), 0.0)
    for channels in (b"a", b"b", b"c d", b"e"):
        sent.feed(b"SUBSCRIBE " + channels + b"\r\n")
    replies = [b"*3\r\n$9\r\nsubscribe\r\n$1\r\n%c\r\n:1\r\n" % letter for letter in b"abcde"]
    assert passed(way, *replies) == [(0.0, replies[0] + replies[1] + replies[4])]


@pytest.mark.parametrize("cutter", [Slicer(average_size=1, delay=1), Bandwidth(rate=0.02)])
def test_frames_are_chosen_before_anything_cuts_them_up(cutter: Toxic) -> None:
    way = way_of(cutter, DropFrames(subject="c"), protocol="nats")
    assert data_of(passed(way, A + C + B)) == A + B


def test_slices_are_made_last_or_they_would_not_be_written_one_by_one() -> None:
    written = passed(way_of(Slicer(average_size=1), FlipBits(), Bandwidth(rate=1)), b"x" * 300)
    assert len(written) == 300


def test_chunks_are_chosen_by_their_number_where_nothing_is_read() -> None:
    assert data_of(passed(way_of(DropFrames(nth=2)), b"a", b"b", b"c")) == b"ac"
