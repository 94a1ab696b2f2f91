"""When Python's garbage is looked for, and when what lives is set aside."""

from __future__ import annotations

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from deployd.supervisors.pod.janitor import FEW, WORTH_IT, Chore, GarbagePolicy, Janitor
from deployd.transport import Meters


class Ring:
    """Garbage that only the collector finds: it holds itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_lives_is_set_aside_each_time_some_have_come() -> None:
    policy = GarbagePolicy()
    assert policy.decide(FEW - 1, 0) is Chore.NOTHING
    assert policy.decide(FEW, 0) is Chore.SET_ASIDE
    assert policy.decide(FEW + 1, 0) is Chore.NOTHING
    assert policy.decide(2 * FEW, 0) is Chore.SET_ASIDE


def test_what_ended_connections_left_is_looked_for_when_they_are_as_many_as_the_live_ones() -> None:
    policy = GarbagePolicy()
    assert policy.decide(10_000, 0) is Chore.SET_ASIDE
    assert policy.decide(10_000, 4_999) is Chore.NOTHING
    assert policy.decide(10_000, 5_000) is Chore.COLLECT
    assert policy.decide(10_000, 5_001) is Chore.NOTHING


def test_a_few_that_end_are_not_worth_a_look() -> None:
    policy = GarbagePolicy()
    assert policy.decide(WORTH_IT, WORTH_IT - 1) is Chore.SET_ASIDE
    assert policy.decide(WORTH_IT, WORTH_IT) is Chore.COLLECT


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), max_size=50))
def test_what_is_left_is_bounded_whatever_comes_and_goes(steps: list[tuple[int, int]]) -> None:
    policy, opened, ended, looked = GarbagePolicy(), 0, 0, 0
    for come, go in steps:
        opened += come
        ended = min(opened, ended + go)
        if policy.decide(opened, ended) is Chore.COLLECT:
            looked = ended
        assert ended - looked < max(WORTH_IT, opened - ended)


def test_garbage_that_was_set_aside_is_found_when_it_is_looked_for() -> None:
    meters = Meters(opened=FEW)
    janitor = Janitor(meters)
    ring = Ring()
    gone = weakref.ref(ring)
    try:
        janitor.look()
        assert gc.get_freeze_count() > 0
        del ring
        gc.collect()
        assert gone() is not None
        meters.opened = meters.closed[1000] = WORTH_IT
        janitor.look()
        assert gone() is None
    finally:
        gc.unfreeze()
