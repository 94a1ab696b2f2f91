from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.supervisors.observe import quantile, summary
from deployd.transport import FAN_OUT, SECONDS, Histogram

BOUNDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ((0, 0, 0, 0), 0.5, None),
        ((10, 0, 0, 0), 0.5, 0.5),
        ((0, 10, 0, 0), 0.5, 1.5),
        ((0, 10, 0, 0), 1.0, 2.0),
        ((5, 5, 0, 0), 0.5, 1.0),
        ((5, 0, 5, 0), 0.75, 3.0),
        ((0, 0, 0, 3), 0.5, 4.0),
        ((99, 0, 0, 1), 0.99, 1.0),
        ((0, 1, 0, 0), 0.0, 1.0),
    ],
)
def test_a_quantile_is_linear_within_its_bucket(
    counts: tuple[int, ...], share: float, value: float | None
) -> None:
    assert quantile(BOUNDS, counts, share) == (value if value is None else pytest.approx(value))


def test_nothing_counted_has_no_quantiles() -> None:
    assert summary(BOUNDS, [0, 0, 0, 0]) == {"count": 0, "p50": None, "p90": None, "p99": None}


def test_a_bound_of_zero_is_a_value_of_its_own() -> None:
    histogram = Histogram(FAN_OUT)
    histogram.observe(0, 10)
    assert quantile(histogram.bounds, histogram.counts, 0.9) == 0


@given(st.lists(st.floats(0, 4.9), min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_value_it_stands_for(
    values: list[float], share: float
) -> None:
    histogram = Histogram(SECONDS)
    for value in values:
        histogram.observe(value)
    exact = sorted(values)[max(0, -(-int(share * len(values) * 10**9) // 10**9) - 1)]
    found = quantile(histogram.bounds, histogram.counts, share)
    bounds = (0.0, *SECONDS)
    bucket = bisect_left(SECONDS, exact)
    assert found is not None
    assert bounds[bucket] - 1e-9 <= found <= bounds[bucket + 1] + 1e-9


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4))
def test_quantiles_are_in_order(counts: list[int]) -> None:
    found = [quantile(BOUNDS, counts, share) for share in (0, 0.25, 0.5, 0.9, 0.99, 1)]
    if not sum(counts):
        assert found == [None] * 6
    else:
        values = [value for value in found if value is not None]
        assert values == sorted(values)
        assert 0 <= values[0] <= values[-1] <= BOUNDS[-1]
