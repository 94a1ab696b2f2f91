from __future__ import annotations

import attrs
import pytest

from deployd.actors import EnvironmentFailure, Exit
from deployd.supervisors import (
    Backoff,
    Decision,
    Intensity,
    InvalidSpec,
    Restart,
    RestartState,
    Strategy,
    Subject,
    came_up,
    decide,
    is_environment_failure,
)

BUG = Exit.crashed(ValueError("bug"))
REFUSED = Exit.crashed(EnvironmentFailure("connection refused"))
NORMAL = Exit.normal()
NOW = 100.0

PERMANENT, TRANSIENT, TEMPORARY = Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY
ONE, REST, ALL = Strategy.ONE_FOR_ONE, Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL


def half() -> float:
    return 0.5


def a_state(
    *kinds: Restart, strategy: Strategy = ONE, intensity: Intensity | None = None
) -> RestartState:
    """Children a, b, c…, all of them up for ten seconds."""
    children = tuple(
        Subject(name, kind, up_since=NOW - 10) for name, kind in zip("abcde", kinds, strict=False)
    )
    return RestartState(children, strategy, intensity or Intensity())


@pytest.mark.parametrize(
    ("kind", "ended", "start", "forget"),
    [
        (PERMANENT, BUG, ("a",), ()),
        (PERMANENT, NORMAL, ("a",), ()),
        (PERMANENT, Exit.shutdown(), ("a",), ()),
        (PERMANENT, Exit.killed(), ("a",), ()),
        (PERMANENT, REFUSED, ("a",), ()),
        (TRANSIENT, BUG, ("a",), ()),
        (TRANSIENT, NORMAL, (), ()),
        (TRANSIENT, Exit.shutdown(), (), ()),
        (TRANSIENT, Exit.killed(), ("a",), ()),
        (TRANSIENT, REFUSED, ("a",), ()),
        (TEMPORARY, BUG, (), ("a",)),
        (TEMPORARY, NORMAL, (), ("a",)),
        (TEMPORARY, Exit.killed(), (), ("a",)),
        (TEMPORARY, REFUSED, (), ("a",)),
    ],
)
def test_who_lives_again_depends_on_the_kind_and_the_exit(
    kind: Restart, ended: Exit, start: tuple[str, ...], forget: tuple[str, ...]
) -> None:
    _, decision = decide(a_state(kind), "a", ended, NOW, half)
    assert (decision.start, decision.forget) == (start, forget)
    assert (decision.stop, decision.escalate) == ((), None)


@pytest.mark.parametrize(
    ("strategy", "stop", "start"),
    [
        (ONE, (), ("b",)),
        (REST, ("d", "c"), ("b", "c", "d")),
        (ALL, ("d", "c", "a"), ("a", "b", "c", "d")),
    ],
)
def test_the_strategy_says_who_goes_with_it(
    strategy: Strategy, stop: tuple[str, ...], start: tuple[str, ...]
) -> None:
    state = a_state(*[PERMANENT] * 4, strategy=strategy)
    _, decision = decide(state, "b", BUG, NOW, half)
    assert decision == Decision(stop=stop, start=start, due=NOW)


@pytest.mark.parametrize("strategy", [REST, ALL])
def test_temporary_siblings_are_stopped_and_not_started(strategy: Strategy) -> None:
    state = a_state(PERMANENT, TEMPORARY, TRANSIENT, strategy=strategy)
    state, decision = decide(state, "a", BUG, NOW, half)
    assert decision == Decision(stop=("c", "b"), start=("a", "c"), due=NOW, forget=("b",))
    assert [child.name for child in state.children] == ["a", "c"]


@pytest.mark.parametrize("strategy", [REST, ALL])
def test_a_temporary_sibling_that_never_came_up_is_still_to_have_its_life(
    strategy: Strategy,
) -> None:
    children = (Subject("a", up_since=0.0), Subject("b", TEMPORARY))
    _, decision = decide(RestartState(children, strategy), "a", BUG, NOW, half)
    assert (decision.start, decision.forget) == (("a", "b"), ())


@pytest.mark.parametrize("strategy", [REST, ALL])
def test_a_temporary_sibling_that_came_up_at_time_zero_has_lived(strategy: Strategy) -> None:
    state = RestartState((Subject("a"), Subject("b", TEMPORARY)), strategy)
    _, decision = decide(came_up(state, "b", 0.0), "a", BUG, NOW, half)
    assert (decision.start, decision.forget) == (("a",), ("b",))


def test_a_finished_transient_lives_again_with_its_group_as_in_otp() -> None:
    state = a_state(PERMANENT, TRANSIENT, strategy=ALL)
    state, _ = decide(state, "b", NORMAL, NOW, half)
    _, decision = decide(state, "a", BUG, NOW, half)
    assert decision.start == ("a", "b")


def test_one_restart_too_many_within_the_period_escalates() -> None:
    state = a_state(PERMANENT, PERMANENT, TEMPORARY, intensity=Intensity(2, 5.0))
    for seconds in (0, 1):
        state, decision = decide(state, "a", BUG, NOW + seconds, half)
        assert decision.escalate is None
    state, decision = decide(state, "b", BUG, NOW + 2, half)
    assert decision.escalate == "'b' ended 3 times within 5 s and 2 restarts are allowed"
    assert (decision.stop, decision.start) == (("c", "a"), ())


def test_the_period_includes_its_end_as_in_otp() -> None:
    state = a_state(PERMANENT, intensity=Intensity(1, 5.0))
    state, _ = decide(state, "a", BUG, NOW, half)
    assert decide(state, "a", BUG, NOW + 5.0, half)[1].escalate is not None
    assert decide(state, "a", BUG, NOW + 5.001, half)[1].escalate is None


def test_no_restart_allowed_means_the_first_crash_escalates() -> None:
    state = a_state(PERMANENT, intensity=Intensity(0, 5.0))
    assert decide(state, "a", BUG, NOW, half)[1].escalate is not None


def test_a_broken_world_backs_off_for_ever_and_never_escalates() -> None:
    state, now = a_state(PERMANENT, intensity=Intensity(0, 5.0)), NOW
    delays = []
    for _ in range(2000):
        state, decision = decide(state, "a", REFUSED, now, half)
        assert decision.escalate is None
        assert decision.start == ("a",)
        delays.append(decision.due - now)
    assert delays[:4] == pytest.approx([0.025, 0.05, 0.1, 0.2])
    assert delays[-1] == pytest.approx(2.5)
    assert state.recent == ()


def test_a_bug_is_retried_at_once_and_then_more_and_more_slowly() -> None:
    state, delays = a_state(PERMANENT, intensity=Intensity(9, 5.0)), []
    for _ in range(4):
        state, decision = decide(state, "a", BUG, NOW, half)
        delays.append(decision.due - NOW)
    assert delays == pytest.approx([0.0, 0.05, 0.1, 0.2])


def test_a_quiet_time_makes_the_backoff_begin_anew() -> None:
    state = a_state(PERMANENT)
    for _ in range(3):
        state, _ = decide(state, "a", BUG, NOW, half)
    state = came_up(state, "a", NOW + 1)
    state, decision = decide(state, "a", BUG, NOW + 31, half)
    assert decision.due == NOW + 31
    assert state.subject("a").failures == 1


@pytest.mark.parametrize("up_since", [None, NOW + 2])
def test_time_that_was_not_spent_up_is_not_quiet(up_since: float | None) -> None:
    state = a_state(PERMANENT)
    for _ in range(3):
        state, _ = decide(state, "a", REFUSED, NOW, half)
    if up_since is not None:
        state = came_up(state, "a", up_since)
    state, decision = decide(state, "a", REFUSED, NOW + 31, half)
    assert decision.due == pytest.approx(NOW + 31 + 0.2)


def test_a_childs_own_backoff_is_used() -> None:
    slow = Backoff(base=4.0, cap=8.0, immediate=False)
    state = RestartState((Subject("a", backoff=slow),))
    assert decide(state, "a", BUG, NOW, half)[1].due == NOW + 2.0


def test_siblings_keep_their_failure_counts() -> None:
    state = a_state(PERMANENT, PERMANENT, strategy=ALL)
    state, _ = decide(state, "b", BUG, NOW, half)
    state, _ = decide(state, "a", BUG, NOW, half)
    assert [(c.name, c.failures, c.up_since) for c in state.children] == [
        ("a", 1, None),
        ("b", 1, None),
    ]


def test_deciding_changes_nothing_it_was_given() -> None:
    state = a_state(PERMANENT, TEMPORARY, strategy=ALL)
    before = attrs.evolve(state)
    assert decide(state, "a", BUG, NOW, half) == decide(state, "a", BUG, NOW, half)
    assert state == before


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, False),
        (ValueError(), False),
        (EnvironmentFailure(), True),
        (ExceptionGroup("", [EnvironmentFailure()]), True),
        (ExceptionGroup("", [ExceptionGroup("", [EnvironmentFailure()])]), True),
        (ExceptionGroup("", [EnvironmentFailure(), EnvironmentFailure()]), True),
        (ExceptionGroup("", [EnvironmentFailure(), ValueError()]), False),
    ],
)
def test_a_broken_world_is_recognised_inside_groups(
    error: Exception | None, *, expected: bool
) -> None:
    assert is_environment_failure(error) is expected


def test_asking_for_an_unknown_child_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        a_state(PERMANENT).subject("z")


@pytest.mark.parametrize(("restarts", "period"), [(-1, 5.0), (3, 0.0)])
def test_an_impossible_intensity_is_refused(restarts: int, period: float) -> None:
    with pytest.raises(InvalidSpec):
        Intensity(restarts, period)
