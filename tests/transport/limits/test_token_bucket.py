from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import TokenBucket


def test_a_full_bucket_gives_its_burst_and_no_more() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=100)
    assert [bucket.take(100) for _ in range(5)] == [True, True, True, False, False]


def test_tokens_come_back_at_the_rate() -> None:
    bucket = TokenBucket(rate=10, burst=1, now=0)
    assert bucket.take(0)
    assert not bucket.take(0.05)
    assert bucket.retry_after(0.05) == pytest.approx(0.05)
    assert bucket.take(0.1)


def test_a_refused_amount_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=5, now=0)
    assert bucket.take(0, 3)
    assert not bucket.take(0, 3)
    assert bucket.take(0, 2)


def test_idle_time_never_fills_beyond_the_burst() -> None:
    bucket = TokenBucket(rate=10, burst=2, now=0)
    assert [bucket.take(1_000_000) for _ in range(3)] == [True, True, False]


def test_a_rate_of_zero_means_no_limit() -> None:
    bucket = TokenBucket(rate=0, burst=0, now=0)
    assert all(bucket.take(0, 1e9) for _ in range(100))
    assert bucket.retry_after(0, 1e9) == 0


def test_nothing_waits_when_enough_is_there() -> None:
    assert TokenBucket(rate=1, burst=2, now=0).retry_after(0, 2) == 0


def test_more_than_the_burst_never_comes() -> None:
    assert TokenBucket(rate=1, burst=2, now=0).retry_after(0, 3) == math.inf


def test_time_that_runs_backwards_is_not_counted_twice() -> None:
    bucket = TokenBucket(rate=1, burst=10, now=0)
    assert bucket.take(0, 10)
    assert bucket.take(10, 10)
    assert not bucket.take(0)
    assert not bucket.take(10)
    assert bucket.take(11)


def test_time_that_runs_backwards_takes_nothing_away() -> None:
    bucket = TokenBucket(rate=1, burst=5, now=100)
    assert bucket.take(0, 5)


@given(
    rate=st.floats(0.1, 1000),
    burst=st.floats(1, 100),
    times=st.lists(st.floats(0, 100), max_size=200),
)
def test_no_order_of_times_gives_more_than_burst_and_rate(
    rate: float, burst: float, times: list[float]
) -> None:
    bucket = TokenBucket(rate, burst, now=0)
    taken = sum(bucket.take(now) for now in times)
    assert taken <= burst + rate * max(times, default=0) + 1e-6


@given(rate=st.floats(0.1, 1000), wanted=st.floats(0.5, 5))
def test_retry_after_is_when_it_works(rate: float, wanted: float) -> None:
    bucket = TokenBucket(rate, burst=5, now=0)
    bucket.take(0, 5)
    assert bucket.take(bucket.retry_after(0, wanted) + 1e-6, wanted)
