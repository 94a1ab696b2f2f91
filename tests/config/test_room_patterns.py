from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from deployd.config import PatternMap, matches


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_means_the_same_wherever_it_comes_from(pattern: str, name: str) -> None:
    assert matches(pattern, name) == (PatternMap({pattern: True}).match(name) is True)


def test_no_pattern_that_somebody_sends_takes_long() -> None:
    began = time.perf_counter()
    assert not matches("*a" * 500 + "*b", "a" * 1024)
    assert time.perf_counter() - began < 0.5
