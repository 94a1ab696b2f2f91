"""The checker of what crosses from pod to pod notices every planted error."""

from __future__ import annotations

from support.crossing import Gap, Heard, Said, Verdict, gaps, judge


def said(
    number: int, scope: str | None = "cluster", room: str = "tea", *, buffered: bool = False
) -> Said:
    return Said(room, number, float(number), number + 0.1, scope, buffered)


def heard(*numbers: int, room: str = "tea") -> list[Heard]:
    return [Heard(room, number) for number in numbers]


def test_what_all_came_in_order_is_clean() -> None:
    verdict = judge([said(n) for n in range(3)], heard(0, 1, 2), [])
    assert verdict == Verdict()
    assert verdict.clean


def test_a_promise_to_all_that_was_not_kept_is_noticed() -> None:
    verdict = judge([said(1), said(2)], heard(1), [])
    assert verdict.false_cluster == verdict.undeclared == (said(2),)
    assert not verdict.clean


def test_a_gap_that_the_hearer_declares_excuses_only_what_was_under_way_in_it() -> None:
    events = [said(n) for n in range(6)]
    verdict = judge(events, heard(0, 5), [Gap(2.05, 3.5)])
    assert verdict.in_gap == (events[2], events[3])
    assert verdict.false_cluster == (events[1], events[4])


def test_a_gap_that_goes_on_has_no_end() -> None:
    assert judge([said(9)], [], [Gap(3.0)]).clean


def test_a_loss_that_the_receipt_admits_is_counted_apart() -> None:
    events = [said(1, "local"), said(2, "rejected")]
    verdict = judge(events, [], [])
    assert verdict.admitted == tuple(events)
    assert verdict.clean


def test_an_event_without_a_receipt_that_did_not_come_is_an_undeclared_loss() -> None:
    event = said(1, None)
    assert judge([event], [], [Gap(0.0, 9.0)]).undeclared == (event,)
    assert judge([event], heard(1), []).clean


def test_what_was_promised_to_be_replayed_may_not_be_missing_even_in_a_gap() -> None:
    event = said(1, "queued", buffered=True)
    verdict = judge([event], [], [Gap(0.0, 9.0)])
    assert verdict.missing == verdict.undeclared == (event,)
    assert judge([event], [Heard("tea", 1, replayed=True)], []).clean


def test_what_comes_twice_is_noticed_and_is_no_disorder() -> None:
    verdict = judge([said(1), said(2)], heard(1, 2, 1), [])
    assert verdict.duplicate == (Heard("tea", 1),)
    assert verdict.disordered == ()
    assert not verdict.clean


def test_what_comes_behind_a_later_one_of_its_room_is_noticed() -> None:
    events = [said(1), said(2), said(3)]
    verdict = judge(events, heard(1, 3, 2), [])
    assert verdict.disordered == (Heard("tea", 2),)
    assert not verdict.clean


def test_rooms_have_orders_of_their_own() -> None:
    events = [said(1), said(2, room="pub")]
    assert judge(events, [Heard("pub", 2), Heard("tea", 1)], []).clean


def test_what_nobody_said_is_noticed() -> None:
    verdict = judge([said(1)], [*heard(1), Heard("pub", 1)], [])
    assert verdict.invented == (Heard("pub", 1),)
    assert not verdict.clean


def test_notices_become_gaps() -> None:
    notices = [
        ("system:healed", {"since": 0.0}, 0.5),
        ("system:degraded", {"since": 1.0}, 1.5),
        ("system:degraded", {"since": 1.2}, 1.6),
        ("system:healed", {"since": 1.0}, 4.0),
        ("system:degraded", {"since": 7.0}, 7.5),
    ]
    assert gaps(notices) == [Gap(1.0, 4.0), Gap(7.0)]
    assert gaps(notices[:4]) == [Gap(1.0, 4.0)]
