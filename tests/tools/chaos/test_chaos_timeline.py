"""From the records of a run to bins, bands and marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.tools.chaos.report import (
    MOST_VIOLATIONS,
    Band,
    BandKind,
    FaultSpan,
    HoleMark,
    ScenarioVerdict,
    Timeline,
    recorded,
    timeline,
)
from deployd.tools.chaos.report.timeline import MOST_BINS
from deployd.tools.oracle import (
    Answered,
    Began,
    Entered,
    Gone,
    Hearing,
    Linked,
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
    *(Entered(1.0, A, 0, "r"), Entered(1.0, B, 1, "r"), Entered(1.0, C, 1, "r")),
]
END: list[Record] = [View(30.0, 0, 1, 2, ""), View(30.0, 1, 1, 2, "")]


def drawn(*records: Record, faults: tuple[FaultSpan, ...] = ()) -> Timeline:
    middle = sorted(records, key=lambda record: record.at)
    return timeline([*BEGIN, *middle, *END], faults)


def said(number: int, at: float, *hearers: str) -> list[Record]:
    records: list[Record] = [
        Spoken(at, A, 0, "r", number),
        Answered(at + 0.01, A, number, "cluster"),
    ]
    return records + [Hearing(at + 0.02, who, "r", A, number) for who in (A, *hearers)]


def told(at: float, who: str, code: str, until: float | None = None) -> Told:
    return Told(at, who, "r" if code == "missed" else None, code, at - 2.0, until, 1)


def test_deliveries_are_counted_by_when_and_where() -> None:
    made = drawn(*said(1, 2.0, B, C), *said(2, 2.1, B, C), *said(3, 9.0, B, C))
    assert made.step == 0.25
    assert made.seconds == 30.0
    assert made.pods == 2
    assert {at: count for at, count in enumerate(made.here) if count} == {8: 2, 36: 1}
    assert {at: count for at, count in enumerate(made.elsewhere) if count} == {8: 4, 36: 2}
    assert made.holes == ()


def test_what_nobody_said_is_no_delivery() -> None:
    assert sum(drawn(Hearing(2.0, B, "r", A, 9)).elsewhere) == 0


def test_a_hole_is_marked_when_it_happened_and_when_it_was_told() -> None:
    notices = (told(4.0, B, "missed"), told(4.5, C, "missed"))
    made = drawn(*said(1, 3.02), *said(2, 3.1), *notices)
    assert made.holes == (HoleMark(3.04, 3.12, 4.5, 4, 2, ("r",)),)


def test_a_hole_of_which_one_client_is_told_nothing_is_a_mark_of_its_own() -> None:
    made = drawn(*said(1, 3.02), told(4.0, B, "missed"))
    assert made.holes == (
        HoleMark(3.04, 3.04, 4.0, 1, 1, ("r",)),
        HoleMark(3.04, 3.04, None, 1, 1, ("r",)),
    )


def test_a_band_is_from_when_the_first_client_is_told_until_the_last_is() -> None:
    made = drawn(
        told(4.0, B, "cut_off"),
        told(4.2, C, "cut_off"),
        told(6.0, B, "cut_off", 5.9),
        told(6.1, C, "cut_off", 5.9),
    )
    assert made.bands == (Band(BandKind.BREAKER, 1, 4.0, 6.1, "cut_off"),)


def test_an_outage_of_the_link_takes_in_what_was_told_of_missing_pods() -> None:
    made = drawn(told(4.0, B, "partitioned"), told(5.0, B, "cut_off"), told(7.0, B, "cut_off", 6.9))
    assert made.bands == (
        Band(BandKind.MEMBERSHIP, 1, 4.0, 7.0, "partitioned"),
        Band(BandKind.BREAKER, 1, 5.0, 7.0, "cut_off"),
    )
    alone = drawn(
        told(4.0, B, "cut_off"), told(5.0, B, "partitioned", 4.9), told(7.0, B, "cut_off", 6.9)
    )
    assert alone.bands == (Band(BandKind.BREAKER, 1, 4.0, 7.0, "cut_off"),)


def test_a_band_ends_with_who_was_told_and_lasts_to_the_end_where_nothing_heals() -> None:
    assert drawn(told(4.0, B, "cut_off"), Gone(5.0, B, None)).bands[0].end == 5.0
    assert drawn(told(4.0, B, "cut_off"), Gone(5.0, B, "r")).bands[0].end == 30.0


def test_what_pods_say_of_themselves_are_bands_too() -> None:
    made = drawn(
        Linked(1.0, 0, "closed", 1),
        Linked(4.0, 0, "open", 0),
        Linked(5.0, 0, "half_open", 0),
        Linked(6.0, 0, "closed", 0),
        Linked(7.0, 0, "closed", 1),
        Linked(9.0, 1, "ended", 0),
        Linked(9.5, 1, "closed", 1),
    )
    assert made.bands == (
        Band(BandKind.BREAKER, 0, 4.0, 5.0, "open", sampled=True),
        Band(BandKind.BREAKER, 0, 5.0, 6.0, "half_open", sampled=True),
        Band(BandKind.MEMBERSHIP, 0, 6.0, 7.0, "hears 0 of 1", sampled=True),
        Band(BandKind.LIFE, 1, 9.0, 9.5, "down", sampled=True),
    )


def test_a_pod_that_sleeps_or_is_gone_has_a_band() -> None:
    made = drawn(Paused(3.0, 0), Resumed(4.0, 0), Gone(5.0, B, None), Gone(5.1, C, None),
                 Began(7.0, 1), Paused(8.0, 0))  # fmt: skip
    assert made.bands == (
        Band(BandKind.LIFE, 0, 3.0, 4.0, "paused"),
        Band(BandKind.LIFE, 1, 5.1, 7.0, "down"),
        Band(BandKind.LIFE, 0, 8.0, 30.0, "paused"),
    )


def test_faults_come_from_the_history_and_from_who_made_them() -> None:
    known = FaultSpan(2.0, 3.0, "kill", "kill node 0")
    made = drawn(Struck(1.5, "one", "broker.freeze"), Mended(4.0, "one"),
                 Struck(6.0, "two", "pod.kill"), faults=(known,))  # fmt: skip
    assert made.faults == (
        FaultSpan(1.5, 4.0, "broker.freeze", "broker.freeze"),
        known,
        FaultSpan(6.0, 30.0, "pod.kill", "pod.kill"),
    )


def test_two_steps_of_one_name_end_each_in_its_turn() -> None:
    made = drawn(
        Struck(1.5, "way.cut", "way.cut"),
        Mended(2.0, "way.cut"),
        Struck(3.0, "way.cut", "way.cut"),
        Mended(4.0, "way.cut"),
    )
    assert [(fault.begin, fault.end) for fault in made.faults] == [(1.5, 2.0), (3.0, 4.0)]


def test_a_fault_of_the_history_is_called_as_its_step_is() -> None:
    made = timeline(
        [*BEGIN, Struck(1.5, "one", "broker.freeze"), *END], steps={"one": "node 0 is frozen"}
    )
    assert made.faults == (FaultSpan(1.5, 30.0, "broker.freeze", "node 0 is frozen"),)


def test_what_was_seen_and_judged_is_recorded_with_its_timeline() -> None:
    history = [*BEGIN, *said(1, 3.0), *END]
    violations = judge(history)
    made = recorded(
        "a", history, measure(history, violations), passed=False, violations=violations * 30,
        unmet=["healed in 3 s, expected 1 s"], seed=7,
    )  # fmt: skip
    assert made.verdict is ScenarioVerdict.FAILED
    assert str(made.violations[0]) == "30.000 s expected: healed in 3 s, expected 1 s"
    assert made.violations[1] == violations[0]
    assert len(made.violations) == MOST_VIOLATIONS
    assert made.further == 1 + 30 * len(violations) - MOST_VIOLATIONS
    assert made.timeline == timeline(history)
    well = recorded("a", history, measure(history, []), passed=True)
    assert well.verdict is ScenarioVerdict.PASSED
    assert well.further == 0


@pytest.mark.parametrize("seconds", [0.0, 0.05, 12.0, 30.0, 31.0, 600.0, 500_000.0])
def test_a_timeline_is_bounded_however_long_a_run_is(seconds: float) -> None:
    made = timeline([Began(0.0, 0), View(seconds, 0, 0, 1, "")])
    assert 1 <= len(made.here) <= MOST_BINS
    assert len(made.here) * made.step >= seconds


def test_nothing_was_seen_of_a_run_of_nothing() -> None:
    made = timeline([])
    assert made.here == (0,)
    assert made.pods == 0


@given(st.lists(st.tuples(st.floats(1.0, 29.0), st.sampled_from([A, B, C, "cut_off", "healed"]))))
def test_no_delivery_is_counted_twice_or_forgotten(events: list[tuple[float, str]]) -> None:
    records: list[Record] = []
    for number, (at, what) in enumerate(sorted(events), start=1):
        if what == "cut_off":
            records.append(told(at, B, what))
        elif what == "healed":
            records.append(told(at, B, "cut_off", at))
        else:
            records += [Spoken(at, A, 0, "r", number), Hearing(at, what, "r", A, number)]
    made = drawn(*records)
    heard = [record.client for record in records if isinstance(record, Hearing)]
    assert sum(made.here) == heard.count(A)
    assert sum(made.elsewhere) == heard.count(B) + heard.count(C)
    assert all(0 <= band.begin <= band.end <= made.seconds for band in made.bands)
