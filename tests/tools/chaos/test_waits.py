"""What the bench waited for a processor is held against nobody, and excuses nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
import trio

from deployd.tools.chaos.runner.waits import MachineBusy, ProcessorWaits, judged_at_ease
from deployd.tools.chaos.scenario import Judgement, judged, shipped
from deployd.tools.chaos.simulated import simulate_scenario
from deployd.tools.oracle import Hearing, Record, Told, moved

FACTOR = 6
"""How much slower than it was a play is made."""


def judge(history: Sequence[Record]) -> Judgement:
    return judged(shipped("broker-crash"), "nats", "single", 0, history)


@pytest.fixture(scope="module")
def slow() -> list[Record]:
    """A play in which all is well, with all times six times as long."""
    history = simulate_scenario(shipped("broker-crash"), "nats", "single", 0).history
    return [moved(each, lambda at: at * FACTOR) for each in history]


def waiting(seconds: float, share: float) -> ProcessorWaits:
    waits = ProcessorWaits(0.0)
    for at in range(int(seconds) + 2):
        waits.note(at, {1: 50 + at * share, 2: at * share / 2})
    return waits


def test_the_longest_wait_of_each_moment_counts_and_is_never_longer_than_the_moment() -> None:
    waits = ProcessorWaits(0.0)
    assert waits.until(1.0) == 0.0
    waits.note(1.0, {1: 7.0})
    waits.note(2.0, {1: 7.5, 2: 9.0})
    waits.note(3.0, {1: 7.6, 2: 9.25})
    waits.note(4.0, {1: 20.0})
    waits.note(5.0, {1: 20.0, 2: 0.0})
    found = [waits.until(at) for at in (0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 9.0)]
    assert found == pytest.approx([0.0, 0.0, 0.5, 0.625, 0.75, 1.25, 1.75, 1.75])


def test_what_fails_for_what_was_waited_alone_is_not_judged(slow: list[Record]) -> None:
    assert not judge(slow).passed
    with pytest.raises(MachineBusy, match=r"waited \d+ of \d+ s .* healed: "):
        judged_at_ease(judge, slow, waiting(slow[-1].at, 1 - 1 / FACTOR))


def test_where_most_of_the_time_was_waited_pods_may_see_outages_that_are_none(
    slow: list[Record],
) -> None:
    told = [Told(1.0, "a", None, "cut_off", 0.5, until, 0) for until in (None, 0.9)]
    history = [*told, *slow]
    assert "cause" in {violation.rule for violation in judge(history).violations}
    with pytest.raises(MachineBusy, match="cause"):
        judged_at_ease(judge, history, waiting(slow[-1].at, 0.6))
    assert not judged_at_ease(judge, history, waiting(slow[-1].at, 0.4)).passed


def test_what_fails_without_any_wait_fails(slow: list[Record]) -> None:
    outcome = judged_at_ease(judge, slow, waiting(slow[-1].at, 0.0))
    assert not outcome.passed
    assert outcome == judge(slow)


def test_what_is_lost_is_lost_however_busy_the_machine_was(slow: list[Record]) -> None:
    heard = next(each for each in slow if isinstance(each, Hearing))
    history = [each for each in slow if each is not heard]
    outcome = judged_at_ease(judge, history, waiting(slow[-1].at, 1 - 1 / FACTOR))
    assert outcome.measures.undeclared == 1


async def test_what_the_system_counts_for_a_process_is_read_until_it_is_gone(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = {os.getpid(): iter([1.0, 1.05, 1.06, 1.06]), 7: iter([3.0, 3.0, 3.09, 0.0])}
    monkeypatch.setattr("deployd.tools.chaos.runner.waits._waited", lambda pid: next(counted[pid]))
    waits = ProcessorWaits(trio.current_time())
    with trio.move_on_after(0.35):
        await waits.watch(lambda: [7])
    assert waits.until(1.0) == pytest.approx(0.14)
