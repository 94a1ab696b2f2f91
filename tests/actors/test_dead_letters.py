"""Dead letters: all counted, few logged, no contents."""

from __future__ import annotations

import structlog
from hypothesis import given
from hypothesis import strategies as st

from deployd.actors import DeadLetter, DeadLetters, LogLimiter


class Secret:
    def __repr__(self) -> str:
        return "hunter2"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_letters_are_counted_by_reason_and_the_last_are_kept() -> None:
    letters = DeadLetters(keep=2)
    for reason in ("dead", "stopped", "dead"):
        letters.report("pod/a", Secret(), reason)
    statistics = letters.statistics()
    assert statistics.total == 3
    assert statistics.by_reason == {"dead": 2, "stopped": 1}
    assert statistics.recent == (
        DeadLetter("Secret", "pod/a", "stopped"),
        DeadLetter("Secret", "pod/a", "dead"),
    )


def test_a_storm_is_logged_at_a_limited_rate_and_the_rest_is_counted() -> None:
    clock = Clock()
    with structlog.testing.capture_logs() as lines:
        letters = DeadLetters(clock=clock, burst=2, period=10)
        for _ in range(50):
            letters.report("pod/a", Secret(), "dead")
        assert [line["suppressed"] for line in lines] == [0, 0]
        clock.now = 10
        letters.report("pod/a", Secret(), "dead")
    assert [line["suppressed"] for line in lines] == [0, 0, 48]
    assert letters.statistics().total == 51


def test_contents_are_never_logged() -> None:
    with structlog.testing.capture_logs() as lines:
        DeadLetters().report("pod/a", Secret(), "dead")
    assert len(lines) == 1
    assert lines[0]["message_type"] == "Secret"
    assert "hunter2" not in repr(lines)


def test_reasons_do_not_grow_without_bound() -> None:
    letters = DeadLetters()
    for number in range(1000):
        letters.report("pod/a", Secret(), f"reason {number}")
    statistics = letters.statistics()
    assert len(statistics.by_reason) <= 65
    assert statistics.total == sum(statistics.by_reason.values()) == 1000
    assert statistics.by_reason["other"] == 936


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
