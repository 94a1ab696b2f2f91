"""How often pods beat, and when: against clocks that are passed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.actors.cluster.pace import interval, until_next

WALL = st.floats(0, 2e9, allow_nan=False)
SECONDS = st.sampled_from([1.0, 1.25, 2.5])


@pytest.mark.parametrize(
    ("others", "seconds"), [(0, 1.0), (1, 1.0), (100, 1.0), (101, 1.25), (125, 1.25), (1000, 10.0)]
)
def test_what_a_pod_hears_of_all_others_together_does_not_grow_beyond_a_hundred_a_second(
    others: int, seconds: float
) -> None:
    assert interval(others) == seconds
    assert others / seconds <= 100


@given(WALL, SECONDS)
def test_no_beat_is_more_than_a_quarter_early_or_a_tenth_late_whatever_the_clock_says(
    wall: float, seconds: float
) -> None:
    assert 0.75 * seconds <= until_next(wall, seconds) <= 1.1 * seconds + 1e-6


@given(WALL, SECONDS)
def test_the_fifth_beat_of_any_pod_is_in_step_and_so_are_those_after_it(
    wall: float, seconds: float
) -> None:
    for _ in range(4):
        wall += until_next(wall, seconds)
    for _ in range(3):
        assert abs(wall / seconds - round(wall / seconds)) < 1e-6
        wall += until_next(wall, seconds)


def test_a_beat_that_was_a_little_late_is_followed_by_one_in_time() -> None:
    assert until_next(100.25, 1.0) == 0.75
    assert until_next(100.125, 1.0) == 0.875
    assert until_next(99.9375, 1.0) == 1.0625
