from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.supervisors import Backoff, InvalidSpec

backoffs = st.builds(
    Backoff,
    base=st.floats(0.001, 1.0),
    factor=st.floats(1.0, 100.0),
    cap=st.floats(1.0, 60.0),
    reset_after=st.floats(0.0, 60.0),
    immediate=st.booleans(),
)


def almost_one() -> float:
    return 1.0 - 2**-53


@pytest.mark.parametrize(
    ("failures", "ceiling"),
    [(0, 0.05), (1, 0.1), (2, 0.2), (6, 3.2), (7, 5.0), (1000, 5.0)],
)
def test_the_longest_wait_doubles_up_to_the_cap(failures: int, ceiling: float) -> None:
    assert Backoff().ceiling(failures) == pytest.approx(ceiling)


def test_the_first_restart_is_immediate_unless_told_otherwise() -> None:
    assert Backoff().delay(0, almost_one) == 0.0
    assert Backoff(immediate=False).delay(0, almost_one) == pytest.approx(0.05)


def test_a_link_that_failed_for_a_week_does_not_overflow() -> None:
    assert Backoff(factor=100.0).delay(10**9, almost_one) == pytest.approx(5.0)


@given(backoffs, st.integers(0, 10**6), st.integers())
def test_a_wait_is_never_longer_than_its_ceiling(
    backoff: Backoff, failures: int, seed: int
) -> None:
    delay = backoff.delay(failures, random.Random(seed).random)
    assert 0.0 <= delay <= backoff.ceiling(failures) <= backoff.cap


@given(backoffs, st.integers(0, 1000))
def test_the_ceiling_never_falls(backoff: Backoff, failures: int) -> None:
    assert backoff.ceiling(failures) <= backoff.ceiling(failures + 1)


def test_full_jitter_uses_the_whole_range() -> None:
    backoff = Backoff()
    assert backoff.delay(7, lambda: 0.0) == 0.0
    assert backoff.delay(7, lambda: 0.5) == pytest.approx(2.5)


@pytest.mark.parametrize(
    "values",
    [
        {"base": 0.0},
        {"base": 6.0},
        {"factor": 0.5},
        {"factor": 1000.0},
        {"reset_after": -1.0},
    ],
)
def test_an_impossible_backoff_is_refused_with_a_remedy(values: dict[str, float]) -> None:
    with pytest.raises(InvalidSpec, match="give a"):
        Backoff(**values)  # type: ignore[arg-type]
