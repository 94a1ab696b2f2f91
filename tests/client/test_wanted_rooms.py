"""What is asked of the pod about rooms, whatever comes in whatever order."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.client.rooms import AT_ONCE, MOMENT, PASSING, Pace, Step, StepOutcome, WantedRooms
from deployd.transport import Problem

BUSY = Problem("room_busy", "Later.", "tea")
NO = Problem("forbidden", "No.", "tea")
FAST = Problem("too_fast", "Slower.", "tea", 3.0)


def rooms(*names: str) -> WantedRooms:
    found = WantedRooms(lambda: 0.5)
    for name in names:
        found.want(name)
    return found


def entered(*names: str, now: float = 0.0) -> WantedRooms:
    found = rooms(*names)
    for step in found.due(now):
        assert found.answered(step, None, now) is StepOutcome.ENTERED
    return found


JOIN, LEAVE = Step(True, "tea"), Step(False, "tea")


def test_a_room_that_is_wanted_is_asked_for_once() -> None:
    wanted = rooms("tea")
    assert wanted.due(0.0) == [JOIN]
    assert wanted.due(0.0) == []
    wanted.answered(JOIN, None, 1.0)
    assert wanted.is_in("tea")
    assert wanted.due(2.0) == []


def test_a_room_is_told_what_it_was_told_again_on_each_connection() -> None:
    wanted = rooms()
    wanted.want("tea", {"seat": 3})
    told = Step(True, "tea", {"seat": 3})
    assert wanted.due(0.0) == [told]
    wanted.answered(told, None, 0.0)
    wanted.lost()
    assert wanted.due(1.0) == [told]


def test_a_room_that_is_not_wanted_any_more_is_left_when_the_answer_has_come() -> None:
    wanted = rooms("tea")
    wanted.due(0.0)
    wanted.unwant("tea")
    assert wanted.due(0.0) == []
    wanted.answered(JOIN, None, 1.0)
    assert wanted.due(1.0) == [LEAVE]
    assert wanted.answered(LEAVE, None, 2.0) is StepOutcome.LEFT
    assert not wanted.holds("tea")


def test_a_first_refusal_ends_the_wish() -> None:
    for problem in (BUSY, NO):
        wanted = rooms("tea")
        wanted.due(0.0)
        assert wanted.answered(JOIN, problem, 0.0) is StepOutcome.REFUSED
        assert wanted.due(1e6) == []


def test_a_room_that_we_have_been_in_is_asked_for_again_while_that_may_help() -> None:
    wanted = entered("tea")
    wanted.lost()
    waits, now = [], 0.0
    for _ in range(8):
        assert wanted.due(now) == [JOIN]
        assert wanted.answered(JOIN, BUSY, now) is StepOutcome.LATER
        waits.append(wanted.next_at() - now)
        assert wanted.due(wanted.next_at() - 0.01) == []
        now = wanted.next_at()
    assert waits == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 10, 10])
    wanted.due(now)
    assert wanted.answered(JOIN, NO, now) is StepOutcome.REFUSED


def test_too_fast_slows_down_and_loses_no_wish() -> None:
    wanted = rooms(*(f"room-{n}" for n in range(40)))
    steps = wanted.due(0.0)
    assert len(steps) == AT_ONCE
    assert wanted.answered(steps[0], FAST, 0.0) is StepOutcome.LATER
    for step in steps[1:]:
        wanted.answered(step, None, 0.0)
    assert wanted.due(2.9) == []
    assert wanted.next_at() == 3.0
    assert 8 <= len(wanted.due(3.0)) < AT_ONCE
    assert len(wanted.wanted) == 40


def test_put_out_for_a_reason_that_passes_is_asked_for_again_and_no_other() -> None:
    wanted = entered("tea")
    wanted.put_out("tea", "it crashed", 1.0)
    assert not wanted.told(BUSY, 1.0)
    assert wanted.due(2.0) == [JOIN]
    wanted = entered("tea")
    wanted.put_out("tea", "rights have changed", 1.0)
    assert wanted.told(NO, 1.0)
    assert wanted.due(1e6) == []


def test_put_out_without_another_word_is_out() -> None:
    wanted = entered("tea")
    wanted.put_out("tea", "the host says so", 1.0)
    assert wanted.unexplained(1.0) == []
    assert wanted.next_at() == 1.0 + MOMENT
    [problem] = wanted.unexplained(1.0 + MOMENT)
    assert (problem.code, problem.room) == ("taken_out", "tea")
    assert "the host says so" in problem.message


def test_a_room_that_has_ended_is_not_asked_for_again() -> None:
    wanted = entered("tea")
    assert wanted.told(Problem("room_closed", "It has ended.", "tea"), 1.0)
    assert wanted.due(1e6) == []


def test_a_leave_that_was_not_heard_is_said_again_and_no_join() -> None:
    wanted = entered("tea")
    wanted.unwant("tea")
    assert wanted.due(1.0) == [LEAVE]
    assert wanted.answered(LEAVE, BUSY, 1.0) is StepOutcome.LATER
    assert wanted.due(wanted.next_at()) == [LEAVE]


def test_a_new_connection_begins_at_full_pace_and_forgets_what_nobody_wants() -> None:
    wanted = rooms(*(f"room-{n}" for n in range(AT_ONCE)), "tea")
    steps = wanted.due(0.0)
    wanted.unwant(steps[0].room)
    wanted.told(FAST, 0.0)
    wanted.lost()
    again = wanted.due(0.0)
    assert len(again) == AT_ONCE
    assert steps[0] not in again


def test_who_was_let_in_too_late_leaves() -> None:
    wanted = rooms()
    wanted.entered_late("tea")
    assert wanted.due(0.0) == [LEAVE]


names = st.sampled_from("abcd")
acts = st.lists(
    st.tuples(
        st.sampled_from(
            ["want", "unwant", "due", "yes", "no", "busy", "fast", "lost", "out", "closed", "wait"]
        ),
        names,
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(acts, st.integers(0, 2**32))
def test_in_the_end_the_pod_has_us_where_we_want_to_be(  # noqa: C901 - one branch an act
    acts: list[tuple[str, str]], seed: int
) -> None:
    wanted, now = WantedRooms(Random(seed).random), 0.0
    pending: list[Step] = []
    inside: set[str] = set()

    def answer(problem: Problem | None) -> None:
        if not pending:
            return
        step = pending.pop(0)
        if problem is None:
            (inside.add if step.joins else inside.discard)(step.room)
        wanted.answered(step, problem, now)

    for act, name in acts:
        match act:
            case "want":
                wanted.want(name)
            case "unwant":
                wanted.unwant(name)
            case "due":
                pending += wanted.due(now)
                assert len({step.room for step in pending}) == len(pending) <= AT_ONCE
            case "yes":
                answer(None)
            case "no":
                answer(NO)
            case "busy":
                answer(BUSY)
            case "fast":
                answer(FAST)
            case "lost":
                pending.clear()
                inside.clear()
                wanted.lost()
            case "out":
                if wanted.is_in(name):
                    inside.discard(name)
                wanted.put_out(name, "", now)
            case "closed":
                if wanted.is_in(name):
                    inside.discard(name)
                wanted.told(Problem("room_closed", "", name), now)
            case _:
                now += 0.7
                wanted.unexplained(now)
    for _ in range(200):
        now += 30.0
        wanted.unexplained(now)
        pending += wanted.due(now)
        while pending:
            answer(None)
    assert wanted.settled
    assert wanted.next_at() == math.inf
    assert {name for name in "abcd" if wanted.is_in(name)} == set(wanted.wanted)
    assert set(wanted.wanted) <= inside


@given(st.lists(st.booleans(), max_size=200))
def test_the_pace_stays_within_its_bounds(fast: list[bool]) -> None:
    pace = Pace()
    for number, is_fast in enumerate(fast):
        pace.out += 1
        pace.answered()
        if is_fast:
            pace.too_fast(float(number), None)
        assert 1 <= pace.at_once <= AT_ONCE
        assert pace.out == 0
        assert pace.free >= 1


def test_what_passes_is_what_the_browsers_client_takes_for_passing() -> None:
    assert {"timeout", "busy", "room_busy", "room_crashed", "cut_off"} == PASSING
