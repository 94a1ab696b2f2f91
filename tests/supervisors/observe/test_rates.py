from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.supervisors.observe import Sample, Samples


def samples(*counts: tuple[float, float]) -> Samples:
    kept = Samples()
    for at, count in counts:
        kept.add(Sample(at, {"said": count}, {"took": (int(count), 1)}))
    return kept


def test_nothing_to_compare_with_is_no_movement() -> None:
    assert samples().rates("said") == {"1": 0.0, "10": 0.0, "60": 0.0}
    assert samples((5, 100)).rates("said") == {"1": 0.0, "10": 0.0, "60": 0.0}
    assert samples((5, 100), (5, 200)).rate("said", 1) == 0.0
    assert samples((5, 100), (6, 200)).rates("unheard") == {"1": 0.0, "10": 0.0, "60": 0.0}


def test_each_window_has_its_own_rate() -> None:
    kept = samples(
        *((float(at), float(at if at <= 95 else 95 + 7 * (at - 95))) for at in range(101))
    )
    assert kept.rates("said") == {"1": 7.0, "10": 4.0, "60": 1.5}


def test_a_young_pod_compares_with_its_start() -> None:
    assert samples((0, 0), (1, 10), (2, 10)).rates("said") == {"1": 0.0, "10": 5.0, "60": 5.0}


def test_a_sample_that_comes_late_is_compared_with_the_one_before() -> None:
    assert samples((0, 0), (1.0, 10), (2.2, 22)).rate("said", 1) == pytest.approx(10)
    assert samples((0, 0), (1.0, 10), (31.0, 40)).rate("said", 1) == pytest.approx(1)


def test_buckets_count_what_the_last_minute_brought() -> None:
    assert samples().observed("took") == []
    assert samples((0, 5), (1, 7), (2, 11)).observed("took") == [6, 0]
    kept = samples(*((float(at), float(at)) for at in range(200)))
    assert kept.observed("took") == [60, 0]
    assert kept.observed("unheard") == []


STEPS = st.lists(st.tuples(st.floats(0.9, 1.4), st.integers(0, 10_000)), min_size=2, max_size=150)


@given(STEPS)
def test_whatever_comes_is_bounded_and_rates_lie_within_what_moved(
    steps: list[tuple[float, int]],
) -> None:
    kept, at, count = Samples(), 0.0, 0
    for seconds, more in steps:
        at, count = at + seconds, count + more
        kept.add(Sample(at, {"said": count}))
    assert len(kept) <= 61
    fastest = max(more / seconds for seconds, more in steps)
    slowest = min(more / seconds for seconds, more in steps)
    for seconds in (1, 10, 60):
        assert slowest - 1e-6 <= kept.rate("said", seconds) <= fastest + 1e-6


@given(st.floats(0, 1000), st.integers(2, 150))
def test_what_moves_evenly_has_one_rate_in_every_window(rate: float, count: int) -> None:
    kept = samples(*((float(at), rate * at) for at in range(count)))
    assert [kept.rate("said", seconds) for seconds in (1, 10, 60)] == pytest.approx([rate] * 3)
