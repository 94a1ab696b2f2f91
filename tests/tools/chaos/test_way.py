"""What toxics do to one direction of a connection, on a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.tools.chaos.proxy import (
    BadToxic,
    Bandwidth,
    Blackhole,
    DelayFrames,
    DropFrames,
    DuplicateFrames,
    FlipBits,
    HalfOpen,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Stream,
    Timeout,
    Toxic,
)
from deployd.tools.chaos.proxy.toxic import Signal, Uses
from deployd.tools.chaos.proxy.way import MAX_WRITE
from support.ways import CLOSE, END, RESET, Written, data_of, passed, until_quiet, way_of


@settings(max_examples=100, deadline=None)
@given(chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=20))
def test_without_toxics_all_passes_at_once_as_it_came(chunks: list[bytes]) -> None:
    written = passed(way_of(), *chunks, end=True)
    assert data_of(written) == b"".join(chunks)
    assert written[-1] == (0.0, END)
    assert {at for at, _ in written} == {0.0}


HARMLESS: Sequence[Callable[[], Toxic]] = (
    lambda: Latency(latency=20, jitter=20),
    lambda: Bandwidth(rate=1),
    lambda: Slicer(average_size=5, size_variation=5, delay=100),
    lambda: SlowClose(delay=100),
    lambda: DelayFrames(delay=50, every=2),
    lambda: LimitData(bytes=10_000),
    lambda: DropFrames(nth=1000),
)


@settings(max_examples=60, deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=9),
    which=st.lists(st.sampled_from(HARMLESS), max_size=4),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.booleans()), max_size=6),
)
def test_what_only_takes_time_loses_and_reorders_nothing_however_it_is_changed(
    chunks: list[bytes], which: list[Callable[[], Toxic]], changes: list[tuple[float, int, bool]]
) -> None:
    way = way_of(*(make() for make in which))
    written: Written = []
    times = sorted(changes, key=lambda change: change[0])
    for chunk in chunks:
        way.feed(chunk, 0.0)
    for at, number, add in times:
        written += [(at, item) for item in way.advance(at)]
        if add:
            way.put(f"added {number}", HARMLESS[number](), Uses(), at)
        else:
            way.remove(str(number), at)
            way.remove(f"added {number}", at)
    way.end(1.0)
    written += until_quiet(way)
    assert data_of(written) == b"".join(chunks)
    assert [item for _, item in written if isinstance(item, Signal)] == [END]
    assert way.held == 0


def test_latency_delays_what_comes_and_the_end() -> None:
    assert passed(way_of(Latency(latency=100)), b"a", b"b", end=True) == [(0.1, b"ab"), (0.1, END)]


def test_jitter_is_drawn_for_each_chunk_and_never_lets_one_overtake_another() -> None:
    way = way_of(Latency(latency=100, jitter=90))
    written = passed(way, *(bytes([byte]) for byte in range(50)))
    assert data_of(written) == bytes(range(50))
    assert len(written) > 1
    assert all(0.01 <= at <= 0.19 for at, _ in written)


def test_two_latencies_add_up() -> None:
    assert passed(way_of(Latency(latency=100), Latency(latency=50)), b"a") == [(0.15, b"a")]


def test_a_bandwidth_lets_kilobytes_through_in_a_second_and_small_portions_at_a_time() -> None:
    written = passed(way_of(Bandwidth(rate=10)), b"x" * 10_000, b"y" * 10_000)
    assert written[-1][0] == pytest.approx(2.0)
    assert len(written) == 20


def test_a_bandwidth_of_nothing_keeps_all_until_it_is_gone() -> None:
    way = way_of(Bandwidth(rate=0))
    assert passed(way, b"a") == []
    assert way.held == 1
    way.remove("0", 5.0)
    assert way.advance(5.0) == [b"a"]


def test_a_slicer_cuts_into_pieces_that_are_written_one_by_one() -> None:
    written = passed(way_of(Slicer(average_size=10, size_variation=3, delay=1000)), b"x" * 100)
    assert data_of(written) == b"x" * 100
    assert all(7 <= len(item) <= 13 for _, item in written[:-1] if isinstance(item, bytes))
    assert [round(b - a, 6) for (a, _), (b, _) in pairwise(written)] == [0.001] * (len(written) - 1)
    assert len(passed(way_of(Slicer(average_size=1)), b"x" * 100)) == 100


def test_a_slow_close_delays_the_end_only() -> None:
    assert passed(way_of(SlowClose(delay=500)), b"a", end=True) == [(0.0, b"a"), (0.5, END)]


def test_a_timeout_loses_all_and_closes() -> None:
    assert passed(way_of(Timeout(timeout=500)), b"a") == [(0.5, CLOSE)]


def test_a_timeout_of_nothing_closes_when_it_is_taken_away() -> None:
    way = way_of(Timeout())
    assert passed(way, b"a") == []
    way.remove("0", 1.0)
    assert way.advance(1.0) == [CLOSE]


def test_the_end_of_a_stream_ends_a_timeout() -> None:
    assert passed(way_of(Timeout(timeout=500)), b"a", end=True) == [(0.0, CLOSE)]


def test_data_is_limited_from_when_the_toxic_was_put_on() -> None:
    way = way_of()
    way.feed(b"before", 0.0)
    way.put("0", LimitData(bytes=5), Uses(), 0.0)
    assert passed(way, b"abc", b"def") == [(0.0, b"beforeabcde"), (0.0, CLOSE)]


def test_a_reset_follows_the_first_bytes_which_are_lost() -> None:
    way = way_of(ResetPeer(timeout=100))
    assert until_quiet(way) == []
    assert passed(way, b"a", b"b") == [(0.1, RESET)]


def test_what_a_blackhole_has_swallowed_is_not_made_up_for() -> None:
    way = way_of(Blackhole())
    assert passed(way, b"a") == []
    way.remove("0", 1.0)
    way.feed(b"b", 1.0)
    way.end(1.0)
    assert way.advance(1.0) == [END]


def test_a_blackhole_that_swallowed_nothing_has_done_nothing() -> None:
    way = way_of(Blackhole())
    way.remove("0", 1.0)
    assert passed(way, b"b") == [(0.0, b"b")]


def test_a_blackhole_that_keeps_gives_back_with_the_end_in_its_place() -> None:
    way = way_of(Blackhole(keep=True))
    assert passed(way, b"a", b"b", end=True) == []
    way.remove("0", 1.0)
    assert way.advance(1.0) == [b"ab", END]


@pytest.mark.parametrize("reset", [False, True])
def test_half_open_tells_the_end_when_it_is_over(reset: bool) -> None:
    way = way_of(HalfOpen())
    way.feed(b"a", 0.0)
    way.end(0.0, reset=reset)
    assert until_quiet(way) == [(0.0, b"a")]
    way.remove("0", 1.0)
    assert way.advance(1.0) == [RESET if reset else END]


def test_bits_flip_at_the_same_places_whatever_the_slices_and_about_as_often_as_was_said() -> None:
    data = bytes(100_000)
    once = data_of(passed(way_of(FlipBits(every_bytes=500)), data))
    again = data_of(
        passed(
            way_of(FlipBits(every_bytes=500)),
            *(data[at : at + 999] for at in range(0, 100_000, 999)),
        )
    )
    assert once == again
    assert 100 < sum(byte.bit_count() for byte in once) < 350
    assert max(byte.bit_count() for byte in once) == 1


def test_what_is_drawn_is_drawn_from_the_seed() -> None:
    def drawn(seed: str) -> bytes:
        return data_of(passed(way_of(FlipBits(every_bytes=9), seed=seed), bytes(100)))

    assert drawn("1") == drawn("1") != drawn("2")


def test_a_change_lets_go_what_was_held_under_the_old_settings() -> None:
    way = way_of(Latency(latency=60_000))
    way.feed(b"a", 0.0)
    assert way.advance(1.0) == []
    way.put("0", Latency(latency=100), Uses(), 1.0)
    way.feed(b"b", 1.0)
    assert way.advance(1.0) == [b"a"]
    assert way.advance(1.1) == [b"b"]


def test_what_is_due_together_is_written_together_up_to_a_size() -> None:
    written = passed(way_of(Latency(latency=1)), *[b"x" * 60_000] * 9)
    sizes = [len(item) for _, item in written if isinstance(item, bytes)]
    assert max(sizes) <= MAX_WRITE
    assert len(sizes) == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Latency(latency=-1), "latency: latency is -1; it must be 0 or more."),
        (lambda: Latency(latency=float("nan")), "latency: latency is nan; it must be 0 or more."),
        (lambda: Slicer(), "slicer: average_size is 0; it must be 1 or more."),
        (lambda: Timeout(toxicity=2), "timeout: toxicity is 2; it must be from 0 to 1."),
        (lambda: Timeout(stream=cast(Stream, "both")), "stream was invalid"),
        (lambda: DuplicateFrames(copies=100), "duplicate: copies is 100; it must be from 1 to 10."),
    ],
)
def test_settings_that_make_no_sense_are_told_in_a_sentence(
    make: Callable[[], Toxic], said: str
) -> None:
    with pytest.raises(BadToxic) as raised:
        make()
    assert str(raised.value).startswith(said)
