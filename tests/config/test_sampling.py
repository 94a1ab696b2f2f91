"""Lines of which there may be too many: few are let through, none is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployd.config import LogLimiter, LogSampler


@given(st.integers(1, 5), st.lists(st.floats(0, 3), max_size=50))
def test_the_limiter_forgets_nothing_and_keeps_to_its_rate(burst: int, steps: list[float]) -> None:
    limiter = LogLimiter(burst, period=5.0)
    now, told, pending = 0.0, [], 0
    for step in steps:
        now += step
        suppressed = limiter.admit(now)
        if suppressed is None:
            pending += 1
        else:
            assert suppressed == pending
            pending = 0
            told.append(now)
    # 2 * burst + 1 lines span three periods, so the whole of the middle one.
    for earlier, later in zip(told, told[2 * burst :], strict=False):
        assert later - earlier >= 5.0 - 1e-9


def test_a_quiet_time_saves_up_no_lines() -> None:
    limiter = LogLimiter(burst=3, period=5.0)
    for quiet in (0.0, 5.0, 10.0):
        assert limiter.admit(quiet) == 0
    assert [limiter.admit(15.0) for _ in range(5)] == [0, 0, 0, None, None]


def test_a_storm_of_one_kind_hides_no_line_of_another() -> None:
    now = 0.0
    sampler = LogSampler(burst=2, period=10.0, clock=lambda: now)
    assert [sampler.admit("a") for _ in range(4)] == [0, 0, None, None]
    assert sampler.admit("b") == 0
    now = 10.0
    assert [sampler.admit("a"), sampler.admit("b")] == [2, 0]


def test_names_are_bounded_and_those_beyond_share_a_limit() -> None:
    sampler = LogSampler(burst=1, period=10.0, clock=lambda: 0.0)
    told = [sampler.admit(f"name {number}") for number in range(200)]
    assert told.count(0) == 65
    assert sampler.admit("name 0") is None
