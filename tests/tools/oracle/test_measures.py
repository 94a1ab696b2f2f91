"""What a run came to, counted in histories that were written by hand."""

from __future__ import annotations

import pytest

from deployd.tools.oracle import (
    TAKEN,
    Answered,
    Began,
    Dropped,
    Entered,
    Gone,
    Hearing,
    Linked,
    Measures,
    Mended,
    Met,
    Paused,
    Record,
    Resumed,
    Spoken,
    Struck,
    Told,
    View,
    judge,
    measure,
)

A, B, C = "a", "b", "c"
BEGIN: list[Record] = [
    *(Began(0.0, 0), Began(0.0, 1), Met(0.1, 0, 1), Met(0.1, 1, 0)),
    *(Linked(0.2, 0, "closed", 1), Linked(0.2, 1, "closed", 1)),
    *(Entered(1.0, A, 0, "r"), Entered(1.0, B, 1, "r"), Entered(1.0, C, 0, "r")),
]
END: list[Record] = [View(30.0, 0, 1, 2, ""), View(30.0, 1, 1, 2, "")]


def measured(*records: Record | list[Record]) -> Measures:
    middle = [one for some in records for one in (some if isinstance(some, list) else [some])]
    history = sorted([*BEGIN, *middle, *END], key=lambda record: record.at)
    return measure(history, judge(history))


def said(number: int, at: float, *, heard: str = "abc", scope: str = "cluster") -> list[Record]:
    """Have A say something, who hears it after 10 ms, as all do that are named."""
    words = [Hearing(at + 0.01, who, "r", A, number) for who in heard]
    return [Spoken(at, A, 0, "r", number), *words, Answered(at + 0.02, A, number, scope)]


def told(at: float, since: float, until: float | None = None, room: str | None = None) -> Told:
    return Told(at, B, room, "missed" if room else "cut_off", since, until, 1)


def test_words_are_counted_by_whether_they_were_heard_where_they_were_said() -> None:
    found = measured(said(1, 2.0), said(2, 3.0))
    assert (found.sent, found.here, found.elsewhere) == (2, 4, 2)
    assert (found.declared, found.undeclared, found.false_receipts) == (0, 0, 0)


def test_what_was_missed_is_declared_or_not() -> None:
    found = measured(
        said(1, 2.0, heard="ac", scope="local"),
        *(told(3.5, 1.9), told(4.0, 1.9, 3.9)),
        said(2, 5.0, heard="ac", scope="local"),
    )
    assert (found.declared, found.undeclared) == (1, 1)
    assert found.told_after == pytest.approx(1.5, abs=0.02)


def test_a_receipt_that_says_more_than_what_came_about_is_false() -> None:
    assert measured(said(1, 2.0, heard="ac")).false_receipts == 1


def test_a_false_receipt_counts_once_by_whichever_rule_and_whoever_did_not_hear() -> None:
    words: list[Record] = [Spoken(2.0, A, 0, "r", 1), Hearing(2.01, A, "r", A, 1)]
    found = measured(words, Answered(2.02, A, 1, "cluster", 3))
    assert (found.undeclared, found.false_receipts) == (2, 1)


def test_a_receipt_that_says_nothing_of_who_hears_is_neither_false_nor_a_sign_of_trouble() -> None:
    found = measured(fault(10.0, 12.0), said(1, 11.0, heard="ac", scope=TAKEN))
    assert (found.undeclared, found.false_receipts) == (1, 0)
    assert (found.detected, found.noticed) == (None, False)


def test_what_comes_twice_or_after_later_words_is_counted() -> None:
    found = measured(
        *(said(1, 2.0), said(2, 3.0)), Hearing(4.0, B, "r", A, 1), Dropped(5.0, C, 4008)
    )
    assert (found.duplicated, found.reordered, found.clients_dropped) == (1, 1, 1)


def test_a_client_that_is_cut_off_again_when_it_comes_back_is_one_client() -> None:
    found = measured(
        Dropped(2.0, "c0.1", 4502), Dropped(3.0, "c0.2", 4502), Dropped(4.0, "c1.1", 1)
    )
    assert found.clients_dropped == 2


def fault(begin: float, end: float, step: str = "dead") -> list[Record]:
    return [Struck(begin, step, "broker.kill"), Mended(end, step)]


def test_a_fault_is_noticed_by_a_link_told_to_a_client_and_healed_when_all_are_told() -> None:
    found = measured(
        fault(10.0, 14.0),
        *(Linked(10.5, 1, "open", 1), told(11.0, 9.9)),
        *(Linked(15.0, 1, "closed", 1), told(16.5, 9.9, 16.4)),
    )
    [window] = found.windows
    assert (window.begin, window.end, window.fault) == (10.0, 14.0, "broker.kill")
    assert (window.detected, window.told, window.healed) == (0.5, 1.0, 2.5)
    assert (found.detected, found.told, found.healed, found.noticed) == (0.5, 1.0, 2.5, True)


def test_a_pod_that_counts_too_few_others_has_noticed_and_one_that_is_dead_has_not() -> None:
    found = measured(
        fault(10.0, 14.0),
        *(Linked(10.1, 0, "ended", 0), Linked(12.5, 1, "closed", 0)),
        *(Linked(14.5, 0, "closed", 1), Linked(15.0, 1, "closed", 1)),
    )
    assert (found.detected, found.told, found.healed) == (2.5, None, 1.0)


def test_a_receipt_that_is_not_of_all_is_noticed_too() -> None:
    found = measured(
        fault(10.0, 12.0), said(1, 11.0, heard="ac", scope="local"), told(12.0, 10, 11.5)
    )
    assert found.detected == pytest.approx(1.02)


def test_what_nobody_noticed_has_no_times() -> None:
    found = measured(fault(10.0, 11.0), said(1, 10.5))
    assert (found.detected, found.told, found.healed, found.noticed) == (None, None, None, False)


def test_what_is_noticed_after_it_is_over_heals_from_then_on() -> None:
    found = measured(fault(10.0, 10.0), told(12.0, 9.9, None, "r"), told(13.0, 9.9, 12.9, "r"))
    assert (found.detected, found.healed) == (2.0, 1.0)


def test_what_was_wrong_already_when_a_fault_begins_is_not_its_own() -> None:
    found = measured(
        fault(10.0, 14.0, "first"),
        fault(12.0, 13.0, "second"),
        *(told(10.2, 9.9), told(15.0, 9.9, 14.9)),
    )
    first, second = found.windows
    assert first.detected == pytest.approx(0.2)
    assert first.healed == 1.0
    assert (second.detected, second.told, second.healed) == (None, None, None)


def test_an_outage_of_which_a_client_hears_no_more_ends_when_it_goes() -> None:
    found = measured(fault(10.0, 11.0), told(10.5, 9.9), Gone(12.0, B, None))
    assert found.healed == 1.0


def test_an_outage_of_the_link_ends_what_was_told_of_missing_pods_and_not_the_other_way() -> None:
    missing = Told(10.5, B, None, "partitioned", 9.9, None, 0)
    back = Told(13.0, B, None, "partitioned", 9.9, 12.9, 0)
    assert measured(fault(10.0, 11.0), missing, told(12.0, 9.9, 11.9)).healed == 1.0
    assert measured(fault(10.0, 11.0), told(10.5, 9.9), back).healed == pytest.approx(19.0)


def test_how_long_words_take_on_their_own_pod_is_told_for_each_phase() -> None:
    slow: list[Record] = [
        Spoken(11.0, A, 0, "r", 2),
        *(Hearing(11.0, A, "r", A, 2), Hearing(11.5, C, "r", A, 2), Hearing(11.0, B, "r", A, 2)),
        Answered(11.6, A, 2, "cluster"),
    ]
    local = measured(said(1, 2.0), fault(10.0, 12.0), slow, said(3, 20.0)).local
    assert local["before"].p99 == pytest.approx(0.01)
    assert local["after"].p50 == pytest.approx(0.01)
    assert local["during"].p50 == pytest.approx(0.5)


def test_a_pod_that_sleeps_and_a_join_that_waits_make_no_local_word_slow() -> None:
    late = Hearing(13.0, C, "r", A, 2)
    asleep: list[Record] = [Paused(11.0, 0), Resumed(12.9, 0)]
    words: list[Record] = [Spoken(10.9, A, 0, "r", 2), Hearing(13.0, A, "r", A, 2), late]
    assert measured(asleep, words).local == {}
    assert measured(words).local["before"].p50 == pytest.approx(2.1)
    early = Spoken(0.9, A, 0, "r", 2)
    assert measured(early, Hearing(1.1, C, "r", A, 2)).local == {}
