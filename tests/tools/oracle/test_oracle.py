"""Histories that break a rule, one for each: the oracle cannot be talked out of it."""

from __future__ import annotations

import pytest

from deployd.tools.oracle import (
    RULES,
    TAKEN,
    Answered,
    Befell,
    Began,
    Calm,
    Carried,
    Entered,
    Gone,
    Hearing,
    Met,
    Paused,
    Record,
    Resumed,
    Spoken,
    Told,
    View,
    judge,
)

A, B = "a", "b"
BEGIN: list[Record] = [
    *(Began(0.0, 0), Began(0.0, 1), Met(0.1, 0, 1), Met(0.1, 1, 0)),
    *(Entered(1.0, A, 0, "r"), Entered(1.0, B, 1, "r"), Befell(1.4, "cut", 1.4, True)),
]
END: list[Record] = [View(30.0, 0, 1, 2, ""), View(30.0, 1, 1, 2, "")]


def said(number: int, at: float, scope: str = "cluster") -> list[Record]:
    """Say something, hear it oneself, and get the receipt."""
    receipt = Answered(at + 0.02, A, number, scope)
    return [Spoken(at, A, 0, "r", number), Hearing(at + 0.01, A, "r", A, number), receipt]


def heard(number: int, at: float, by: str = B) -> Hearing:
    return Hearing(at, by, "r", A, number)


def told(
    at: float, since: float, until: float | None = None, room: str | None = "r", who: str = B
) -> Told:
    return Told(at, who, room, "missed" if room else "cut_off", since, until, 1)


def broken(*records: Record | list[Record], end: list[Record] = END) -> set[str]:
    middle = [one for some in records for one in (some if isinstance(some, list) else [some])]
    return {violation.rule for violation in judge([*BEGIN, *middle, *end])}


def test_a_history_in_which_all_is_well_breaks_no_rule() -> None:
    assert not broken(said(1, 2.0), heard(1, 2.1), said(2, 3.0), heard(2, 3.1))


def test_a_hole_that_was_declared_in_time_breaks_no_rule() -> None:
    assert not broken(said(1, 2.0), told(4.0, 1.9), told(5.0, 1.9, 4.9))
    assert not broken(said(1, 2.0), told(4.0, 1.9, room=None), told(5.0, 1.9, 4.9, room=None))


@pytest.mark.parametrize(
    ("rule", "records"),
    [
        ("order", [*said(1, 2.0), *said(2, 2.2), heard(2, 3.0), heard(1, 3.1)]),
        ("duplicate", [*said(1, 2.0), heard(1, 2.1), heard(1, 2.2)]),
        ("invention", [heard(9, 2.0)]),
        ("receipt", [Spoken(2.0, A, 0, "r", 1), heard(1, 2.1, A), heard(1, 2.1)]),
        ("receipt", [*said(1, 2.0), heard(1, 2.1), Answered(2.2, A, 1, "local")]),
        ("false receipt", [*said(1, 2.0, "rejected"), heard(1, 2.1)]),
        ("late", [*said(1, 2.0), told(5.1, 1.9), told(6.0, 1.9, 5.9)]),
        ("healing", [*said(1, 2.0), told(4.0, 1.9)]),
        ("reach", [Calm(1.5), *said(1, 2.0), told(4.0, 1.9), told(5.0, 1.9, 4.9)]),
        ("reach", [Calm(1.5), *said(1, 2.0, "local"), heard(1, 2.1)]),
        ("claim", [*said(1, 2.0), heard(1, 2.1), Carried(2.05, A, 1, (0, 1))]),
        ("claim", [*said(1, 2.0), heard(1, 2.1), Carried(2.05, A, 2, (0, 1))]),
        ("kept", [*said(1, 2.0, "queued"), heard(1, 2.1), Carried(2.0, B, 1, (0, 1))]),
        ("kept", [*said(1, 2.0, "queued"), heard(1, 9.1), Carried(9.0, A, 1, (0,))]),
    ],
)
def test_a_history_that_breaks_one_rule_breaks_just_that(rule: str, records: list[Record]) -> None:
    assert broken(records) == {rule}


def test_what_never_came_and_of_which_nobody_was_told_is_undeclared_and_its_receipt_false() -> None:
    assert broken(said(1, 2.0)) == {"undeclared", "false receipt"}
    assert broken(said(1, 2.0, "local")) == {"undeclared"}


@pytest.mark.parametrize(
    "notice",
    [
        told(4.0, 2.5, 2.9),  # of a time that began later
        told(4.0, 1.0, 1.9),  # of one that was over
        told(4.0, 1.9, 2.9, room="another"),
        told(4.0, 1.9, 2.9, who=A),
    ],
)
def test_a_hole_is_declared_by_what_covers_it_alone(notice: Told) -> None:
    assert "undeclared" in broken(said(1, 2.0), notice)


def test_a_pod_that_counts_wrong_in_the_end_or_stays_degraded_breaks_a_rule() -> None:
    assert broken(end=[View(30.0, 0, 2, 2, ""), END[1]]) == {"membership"}
    assert broken(end=[View(30.0, 0, 1, 2, "cut_off"), END[1]]) == {"healing"}


def test_who_was_not_in_the_room_has_missed_nothing() -> None:
    assert not broken(said(1, 0.5)[:1], Answered(0.6, A, 1, "cluster"))
    assert not broken(Gone(1.5, B, "r"), said(1, 2.0))
    assert not broken(said(1, 2.0), Gone(3.0, B, None))


def test_who_slept_is_told_in_time_after_it_woke() -> None:
    slept: list[Record] = [Paused(2.5, 1), Resumed(12.5, 1)]
    assert not broken(said(1, 2.0), slept, told(14.9, 1.9), told(15.0, 1.9, 14.9))
    assert broken(said(1, 2.0), slept, told(15.2, 1.9), told(15.3, 1.9, 15.2)) == {"late"}


def test_who_knows_of_no_other_pod_is_told_in_time_after_it_could() -> None:
    anew: list[Record] = [Gone(1.1, B, None), Began(1.2, 1), Entered(1.5, B, 1, "r")]
    told_late: list[Record] = [told(14.9, 1.9), told(15.0, 1.9, 14.9)]
    assert not broken(anew, said(1, 2.0), Met(12.0, 1, 0), told_late)
    assert broken(anew, said(1, 2.0), Met(11.5, 1, 0), told_late) == {"late"}
    assert broken(anew, said(1, 2.0), Met(11.5, 1, 0)) == {"undeclared", "false receipt"}
    assert not broken(anew, said(1, 2.0))
    assert "undeclared" in broken(Gone(1.1, B, None), anew[2], said(1, 2.0))


def test_each_rule_can_be_asked_alone() -> None:
    history = [*BEGIN, *said(1, 2.0), *END]
    assert {v.rule for v in judge(history, ["undeclared"])} == {"undeclared"}
    assert not judge(history, ["order"])
    assert all(rule.__doc__ for rule in RULES.values())


def counted(number: int, at: float, answered: float, scope: str, members: int) -> list[Record]:
    """Say something in a room whose receipts say who has heard."""
    receipt = Answered(answered, A, number, scope, members)
    return [Spoken(at, A, 0, "r", number), Hearing(at, A, "r", A, number), receipt]


def unheard(*records: Record | list[Record]) -> bool:
    return "unheard" in broken(*records)


def test_a_receipt_that_says_that_all_have_heard_comes_after_all_have() -> None:
    before, after = heard(1, 2.1), heard(1, 2.3)
    [spoken, own, receipt] = counted(1, 2.0, 2.2, "cluster", 2)
    assert not unheard(spoken, own, before, receipt)
    assert unheard(spoken, own, receipt, after)
    assert unheard(spoken, own, receipt)


def test_a_receipt_says_no_more_members_than_have_heard() -> None:
    [spoken, own, receipt] = counted(1, 2.0, 2.2, "partial", 1)
    assert not unheard(spoken, own, receipt, heard(1, 2.3))
    [spoken, own, receipt] = counted(1, 2.0, 2.2, "partial", 2)
    assert unheard(spoken, own, receipt, heard(1, 2.3))


def test_who_is_just_leaving_may_be_counted_and_not_have_heard_where_ways_have_a_length() -> None:
    [spoken, own, receipt] = counted(1, 2.0, 2.2, "cluster", 2)
    for left in (1.9, 2.1):
        history = [*BEGIN, spoken, own, Gone(left, B, None), receipt, *END]
        history.sort(key=lambda record: record.at)
        assert not judge(history, ["unheard"], slack=0.25)
        assert judge(history, ["unheard"])
    long_gone = [*BEGIN, Gone(1.5, B, None), spoken, own, receipt, *END]
    assert judge(long_gone, ["unheard"], slack=0.25)
    assert judge([*BEGIN, spoken, own, receipt, *END], ["unheard"], slack=0.25)


def test_who_was_told_that_its_pod_is_alone_need_not_have_heard() -> None:
    [spoken, own, receipt] = counted(1, 2.0, 2.2, "cluster", 1)
    alone = told(1.5, 1.4, room=None)
    assert not unheard(alone, spoken, own, receipt)
    assert unheard(told(1.5, 1.4), spoken, own, receipt)
    assert unheard(spoken, own, told(2.1, 1.4, room=None), receipt)


def test_what_is_said_again_too_early_breaks_no_rule_where_it_says_so() -> None:
    early: list[Record] = [*said(1, 2.0, "queued"), heard(1, 9.1), Carried(9.0, A, 1, (0,))]
    owned_up = Told(9.5, A, None, "cut_off", 1.9, 9.4, 0, unheard=1)
    assert not broken(early, owned_up)
    assert not broken(said(1, 2.0, "queued"), heard(1, 9.1), Carried(9.0, A, 1, (0, 1)))


def test_what_is_queued_may_be_lost_when_that_is_told_and_with_its_pod() -> None:
    kept: list[Record] = [*said(1, 2.0, "queued"), heard(1, 2.1), Carried(2.0, B, 1, (0, 1))]
    assert not broken(kept, Told(9.5, A, None, "cut_off", 1.9, 9.4, 0, lost=1))
    assert not broken(kept, Began(5.0, 0))
    assert not broken(kept, Gone(5.0, A, None))


def test_nobody_is_told_that_it_is_cut_off_where_nothing_is_wrong() -> None:
    alone: list[Record] = [told(1.2, 1.1, room=None), told(1.3, 1.1, 1.3, room=None)]
    assert broken(alone) == {"cause"}
    assert not broken(Befell(1.15, "kill", 2.0, True), alone)
    assert broken(Befell(1.15, "deny", 2.0, False), alone) == {"cause"}


def test_all_is_heard_until_something_goes_wrong() -> None:
    late = Befell(9.0, "cut", 9.0, True)
    declared: list[Record] = [*said(1, 2.0), told(4.0, 1.9), told(5.0, 1.9, 4.9)]
    calm = [one for one in BEGIN if not isinstance(one, Befell)]
    assert {v.rule for v in judge([*calm, *declared, late, *END])} == {"well"}
    assert not judge([*calm, Befell(2.9, "cut", 2.9, True), *declared, *END])


def test_all_is_heard_when_everybody_is_told_that_it_is_over() -> None:
    healed: list[Record] = [told(1.5, 1.4, room=None), told(1.8, 1.4, 1.8, room=None)]
    declared: list[Record] = [*said(1, 2.0), told(4.0, 1.9), told(5.0, 1.9, 4.9)]
    assert broken(healed, declared) == {"well"}
    assert not broken(healed, told(1.9, 1.9, room=None, who=A), declared,
                      told(6.0, 1.9, 5.9, room=None, who=A))  # fmt: skip
    assert not broken(healed, Befell(2.5, "kill", 3.0, True), declared)


def test_a_receipt_that_says_nothing_of_who_hears_claims_nothing_and_excuses_nothing() -> None:
    calm = Calm(10.0)
    assert broken(calm, said(1, 11.0, TAKEN), heard(1, 11.1)) == set()
    assert broken(calm, said(1, 11.0, TAKEN)) == {"undeclared", "reach"}
