"""Attempts that are counted for each address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import Attempts


def test_an_address_has_so_many_attempts_and_then_waits_for_the_next() -> None:
    attempts = Attempts(limit=3, period=60)
    assert [attempts.attempt("a", now=0) for _ in range(4)] == [0, 0, 0, pytest.approx(20)]
    assert attempts.attempt("a", now=20) == 0
    assert attempts.attempt("a", now=20) == pytest.approx(20)


def test_each_address_has_its_own() -> None:
    attempts = Attempts(limit=1, period=60)
    assert attempts.attempt("a", now=0) == 0
    assert attempts.attempt("b", now=0) == 0
    assert attempts.attempt("a", now=0) > 0


def test_of_too_many_addresses_the_one_that_tried_longest_ago_is_forgotten() -> None:
    attempts = Attempts(limit=1, period=60, max_addresses=2)
    for address in ("a", "b", "a", "c"):  # b is the oldest when c comes
        attempts.attempt(address, now=0)
    assert len(attempts) == 2
    assert attempts.attempt("a", now=0) > 0
    assert attempts.attempt("b", now=0) == 0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=60),
    st.integers(1, 5),
)
def test_no_address_ever_has_more_than_the_limit_and_what_came_back_since(
    tries: list[tuple[str, float]], limit: int
) -> None:
    attempts, now, taken = Attempts(limit, period=10), 0.0, dict.fromkeys("abc", 0)
    for address, pause in tries:
        now += pause
        taken[address] += attempts.attempt(address, now) == 0
        assert taken[address] <= limit + limit / 10 * now + 1e-6
