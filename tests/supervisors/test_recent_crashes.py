"""Who crashes again and again."""

from __future__ import annotations

from deployd.supervisors.crashes import FalseStarts, RecentCrashes


def test_three_crashes_within_a_minute_of_each_other_are_a_loop() -> None:
    crashes = RecentCrashes()
    crashes.note("pod/rooms/tea", "ValueError: a", 100.0)
    crashes.note("pod/rooms/tea", "ValueError: b", 150.0)
    assert crashes.loops(150.0) == []
    crashes.note("pod/rooms/tea", "ValueError: c", 200.0)
    [loop] = crashes.loops(200.0)
    assert (loop.path, loop.count, loop.since, loop.last) == ("pod/rooms/tea", 3, 100.0, 200.0)
    assert loop.reason == "ValueError: c"
    assert crashes.loops(260.0) == [loop]
    assert crashes.loops(260.1) == []


def test_crashes_that_are_far_between_are_none() -> None:
    crashes = RecentCrashes()
    for number in range(50):
        crashes.note("pod/rooms/tea", "why", 61.0 * number)
        assert crashes.loops(61.0 * number) == []


def test_the_worst_comes_first_and_what_is_remembered_is_bounded() -> None:
    crashes = RecentCrashes()
    for number in range(1000):
        for _ in range(3 + number % 2):
            crashes.note(f"pod/rooms/{number}", "x" * 10_000, 1.0)
    loops = crashes.loops(1.0)
    assert len(loops) == 256
    assert [one.count for one in loops] == [4] * 128 + [3] * 128
    assert max(len(one.reason) for one in loops) == 300


def test_what_fails_to_start_in_the_same_way_is_told_once_and_then_once_a_minute() -> None:
    starts = FalseStarts()
    told = [starts.note("pod/rooms/tea", f"KeyError: {n}", n / 4) for n in range(500)]
    assert {n / 4: again for n, again in enumerate(told) if again is not None} == {
        0.0: 0,
        60.0: 239,
        120.0: 239,
    }
    assert starts.note("pod/rooms/tea", "ValueError: another", 125.0) == 0
    assert starts.note("pod/rooms/milk", "KeyError: 1", 125.0) == 0
    for number in range(1000):
        starts.note(f"pod/rooms/{number}", "KeyError", 130.0)
    assert starts.note("pod/rooms/tea", "KeyError: 1", 131.0) == 0  # it is forgotten
