from __future__ import annotations

from deployd.actors.conduct import STRIKE_FOR_HASTE, Conduct, Verdict
from deployd.config import Limits


def test_a_client_over_its_rate_is_told_once_a_second_and_otherwise_dropped() -> None:
    conduct = Conduct(Limits(message_rate_limit=2), now=0.0)
    verdicts = [conduct.judge(0.0) for _ in range(5)]
    assert verdicts == [Verdict.PASS, Verdict.PASS, Verdict.TELL, Verdict.DROP, Verdict.DROP]
    assert conduct.judge(0.5) is Verdict.PASS
    assert conduct.judge(0.9) is Verdict.DROP
    assert [conduct.judge(1.0), conduct.judge(1.0)] == [Verdict.PASS, Verdict.TELL]


def test_without_a_limit_everything_passes() -> None:
    conduct = Conduct(Limits(message_rate_limit=0), now=0.0)
    assert {conduct.judge(0.0) for _ in range(10_000)} == {Verdict.PASS}


def test_errors_are_forgiven_over_time_and_too_many_at_once_are_not() -> None:
    limits = Limits(abuse_limit=3, abuse_period=30)
    conduct = Conduct(limits, now=0.0)
    assert [conduct.strike(0.0) for _ in range(4)] == [False, False, False, True]
    assert [conduct.strike(10.0), conduct.strike(10.0)] == [False, True]


def test_haste_weighs_less_than_an_error() -> None:
    conduct = Conduct(Limits(abuse_limit=1, abuse_period=1), now=0.0)
    strikes = [conduct.strike(0.0, STRIKE_FOR_HASTE) for _ in range(11)]
    assert strikes.count(True) <= 2
    assert strikes[-1] is True
