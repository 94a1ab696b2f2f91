"""Timers, told the time by hand; in a running actor they are tested with the cell."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.actors import Timer, Timers


async def nothing() -> None:
    pass


def test_timers_fire_in_the_order_they_are_due_and_then_as_they_were_set() -> None:
    timers = Timers()
    late = timers.add(0, 2, nothing, repeat=False)
    first = timers.add(0, 1, nothing, repeat=False)
    second = timers.add(0, 1, nothing, repeat=False)
    assert timers.next_due() == 1
    assert timers.pop_due(0.5) is None
    assert [timers.pop_due(2) for _ in range(4)] == [first, second, late, None]
    assert not first.active
    assert len(timers) == 0
    assert timers.next_due() == math.inf


def test_a_repeating_timer_keeps_its_rate_and_skips_what_it_missed() -> None:
    timers = Timers()
    timer = timers.add(0, 10, nothing, repeat=True)
    assert timers.pop_due(10.5) is timer
    assert timer.due == 20
    assert timers.pop_due(47) is timer
    assert timer.due == 50
    assert timers.pop_due(47) is None
    assert timer.active


def test_a_cancelled_timer_does_not_fire_and_is_not_counted() -> None:
    timers = Timers()
    cancelled = timers.add(0, 1, nothing, repeat=True)
    other = timers.add(0, 2, nothing, repeat=False)
    cancelled.cancel()
    cancelled.cancel()
    assert not cancelled.active
    assert len(timers) == 1
    assert timers.next_due() == 2
    assert timers.pop_due(5) is other
    other.cancel()
    assert len(timers) == 0


def test_timers_set_and_cancelled_again_and_again_take_no_room() -> None:
    timers = Timers()
    keep = timers.add(0, 1000, nothing, repeat=False)
    for now in range(1000):
        timers.add(now, 5000, nothing, repeat=False).cancel()
    assert len(timers._heap) <= 3
    assert timers.pop_due(2000) is keep


def test_timers_that_are_cleared_never_fire_and_hold_nobody() -> None:
    timers = Timers()
    timer = timers.add(0, 1, nothing, repeat=True)
    timers.clear()
    assert not timer.active
    assert timer.callback is not nothing
    assert len(timers) == 0
    assert timers.next_due() == math.inf
    timer.cancel()
    assert len(timers) == 0


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
@pytest.mark.parametrize("repeat", [True, False])
def test_a_senseless_time_is_refused(seconds: float, repeat: bool) -> None:
    with pytest.raises(ValueError, match="finite time"):
        Timers().add(0, seconds, nothing, repeat=repeat)


def test_a_rate_without_a_period_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Timers().add(0, 0, nothing, repeat=True)


@given(
    st.floats(1e-9, 1e6), st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.floats(0, 1e12)
)
def test_the_next_tick_is_always_ahead(interval: float, steps: list[float], start: float) -> None:
    timers = Timers()
    timer = timers.add(start, interval, nothing, repeat=True)
    now = start
    for step in steps:
        now += step
        fired = timers.pop_due(now)
        assert fired in (timer, None)
        assert timer.due > now
        assert timers.pop_due(now) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=30))
def test_what_was_not_cancelled_fires_sorted(entries: list[tuple[int, bool]]) -> None:
    timers = Timers()
    made: list[tuple[Timer, bool]] = [
        (timers.add(0, seconds, nothing, repeat=False), cancel) for seconds, cancel in entries
    ]
    for timer, cancel in made:
        if cancel:
            timer.cancel()
    kept = sorted((timer for timer, cancel in made if not cancel), key=lambda timer: timer.due)
    assert len(timers) == len(kept)
    assert [timers.pop_due(20) for _ in kept] == kept
    assert timers.pop_due(20) is None
