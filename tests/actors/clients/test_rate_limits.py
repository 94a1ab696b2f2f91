from __future__ import annotations

from deployd.actors.clients.rate_limits import STRIKE_FOR_EXCESS, RateExceeded, RateLimits
from deployd.config import Limits


def limits_of(excess: RateExceeded | None) -> str | None:
    return None if excess is None else excess.limit


def test_a_client_over_its_rate_is_told_once_a_second_and_otherwise_dropped() -> None:
    rate_limits = RateLimits(Limits(message_rate_limit=2), now=0.0)
    found = [rate_limits.judge(0.0, 10) for _ in range(5)]
    assert [excess and excess.told for excess in found] == [None, None, False, True, True]
    assert rate_limits.judge(0.5, 10) is None
    hasty = [rate_limits.judge(now, 10) for now in (0.9, 1.0, 1.0)]
    assert [excess and excess.told for excess in hasty] == [True, None, False]


def test_it_is_told_when_the_same_would_pass() -> None:
    rate_limits = RateLimits(Limits(message_rate_limit=2), now=0.0)
    for _ in range(2):
        assert rate_limits.judge(0.0, 10) is None
    excess = rate_limits.judge(0.0, 10)
    assert excess is not None
    assert excess.retry_after == 0.5
    assert rate_limits.judge(0.5, 10) is None


def test_without_a_limit_everything_passes() -> None:
    limits = Limits(message_rate_limit=0, join_rate_limit=0, byte_rate_limit=0)
    rate_limits = RateLimits(limits, now=0.0)
    for joins in (False, True):
        assert {rate_limits.judge(0.0, 60_000, joins=joins) for _ in range(10_000)} == {None}


def test_whoever_comes_back_joins_all_its_rooms_at_once_whatever_the_rate_of_messages() -> None:
    rate_limits = RateLimits(Limits(message_rate_limit=1, join_rate_limit=5), now=0.0)
    told = [limits_of(rate_limits.judge(0.0, 40, joins=True)) for _ in range(101)]
    assert told == [None] * 100 + ["joins"]
    assert rate_limits.judge(0.0, 40) is None  # and speaks
    assert limits_of(rate_limits.judge(0.1, 40, joins=True)) == "joins"
    assert rate_limits.judge(0.2, 40, joins=True) is None


def test_bytes_have_a_rate_and_the_largest_message_always_passes_some_time() -> None:
    limits = Limits(message_rate_limit=3, byte_rate_limit=1000, max_message_bytes=4000)
    rate_limits = RateLimits(limits, now=0.0)
    assert rate_limits.judge(0.0, 4000) is None
    excess = rate_limits.judge(0.0, 500)
    assert excess is not None
    assert (excess.limit, excess.retry_after) == ("bytes", 0.5)
    assert [limits_of(rate_limits.judge(0.0, n)) for n in (500, 500, 500, 0)] == ["bytes"] * 3 + [
        None
    ]
    assert rate_limits.judge(4.0, 4000) is None


def test_errors_are_forgiven_over_time_and_too_many_at_once_are_not() -> None:
    limits = Limits(abuse_limit=3, abuse_period=30)
    rate_limits = RateLimits(limits, now=0.0)
    assert [rate_limits.strike(0.0) for _ in range(4)] == [False, False, False, True]
    assert [rate_limits.strike(10.0), rate_limits.strike(10.0)] == [False, True]


def test_haste_weighs_less_than_an_error() -> None:
    rate_limits = RateLimits(Limits(abuse_limit=1, abuse_period=1), now=0.0)
    strikes = [rate_limits.strike(0.0, STRIKE_FOR_EXCESS) for _ in range(11)]
    assert strikes.count(True) <= 2
    assert strikes[-1] is True
