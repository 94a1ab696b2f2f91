"""Dead letters: all counted, few logged, no contents."""

from __future__ import annotations

import structlog

from deployd.actors import DeadLetter, DeadLetters


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
