from __future__ import annotations

from deployd.actors.clients.conduct import STRIKE_FOR_HASTE, Conduct, Haste
from deployd.config import LimitSettings


def limits_of(haste: Haste | None) -> str | None:
    return None if haste is None else haste.limit


def test_a_client_over_its_rate_is_told_once_a_second_and_otherwise_dropped() -> None:
    conduct = Conduct(LimitSettings(message_rate_limit=2), now=0.0)
    found = [conduct.judge(0.0, 10) for _ in range(5)]
    assert [haste and haste.told for haste in found] == [None, None, False, True, True]
    assert conduct.judge(0.5, 10) is None
    hasty = [conduct.judge(now, 10) for now in (0.9, 1.0, 1.0)]
    assert [haste and haste.told for haste in hasty] == [True, None, False]


def test_it_is_told_when_the_same_would_pass() -> None:
    conduct = Conduct(LimitSettings(message_rate_limit=2), now=0.0)
    for _ in range(2):
        assert conduct.judge(0.0, 10) is None
    haste = conduct.judge(0.0, 10)
    assert haste is not None
    assert haste.retry_after == 0.5
    assert conduct.judge(0.5, 10) is None


def test_without_a_limit_everything_passes() -> None:
    limits = LimitSettings(message_rate_limit=0, join_rate_limit=0, byte_rate_limit=0)
    conduct = Conduct(limits, now=0.0)
    for joins in (False, True):
        assert {conduct.judge(0.0, 60_000, joins=joins) for _ in range(10_000)} == {None}


def test_whoever_comes_back_joins_all_its_rooms_at_once_whatever_the_rate_of_messages() -> None:
    conduct = Conduct(LimitSettings(message_rate_limit=1, join_rate_limit=5), now=0.0)
    told = [limits_of(conduct.judge(0.0, 40, joins=True)) for _ in range(101)]
    assert told == [None] * 100 + ["joins"]
    assert conduct.judge(0.0, 40) is None  # and speaks
    assert limits_of(conduct.judge(0.1, 40, joins=True)) == "joins"
    assert conduct.judge(0.2, 40, joins=True) is None


def test_bytes_have_a_rate_and_the_largest_message_always_passes_some_time() -> None:
    limits = LimitSettings(message_rate_limit=3, byte_rate_limit=1000, max_message_bytes=4000)
    conduct = Conduct(limits, now=0.0)
    assert conduct.judge(0.0, 4000) is None
    haste = conduct.judge(0.0, 500)
    assert haste is not None
    assert (haste.limit, haste.retry_after) == ("bytes", 0.5)
    assert [limits_of(conduct.judge(0.0, n)) for n in (500, 500, 500, 0)] == ["bytes"] * 3 + [None]
    assert conduct.judge(4.0, 4000) is None


def test_errors_are_forgiven_over_time_and_too_many_at_once_are_not() -> None:
    limits = LimitSettings(abuse_limit=3, abuse_period=30)
    conduct = Conduct(limits, now=0.0)
    assert [conduct.strike(0.0) for _ in range(4)] == [False, False, False, True]
    assert [conduct.strike(10.0), conduct.strike(10.0)] == [False, True]


def test_haste_weighs_less_than_an_error() -> None:
    conduct = Conduct(LimitSettings(abuse_limit=1, abuse_period=1), now=0.0)
    strikes = [conduct.strike(0.0, STRIKE_FOR_HASTE) for _ in range(11)]
    assert strikes.count(True) <= 2
    assert strikes[-1] is True
