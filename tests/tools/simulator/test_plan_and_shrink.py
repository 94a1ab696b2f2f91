"""Plans are drawn within their bounds, and shrink to what makes them fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.tools.oracle.timing import HEALED, HIDDEN
from deployd.tools.simulator import plan
from deployd.tools.simulator.faults import Kind
from deployd.tools.simulator.plan import CALM, Act, RunPlan
from deployd.tools.simulator.shrink import shrink


@given(st.integers(0, 2**32))
def test_all_faults_are_over_before_the_calm_and_name_what_is_there(seed: int) -> None:
    made = plan(seed)
    ended = made.last_words - HEALED
    for fault in made.faults:
        silent = fault.at == pytest.approx(made.last_words - HIDDEN) and not fault.seconds
        assert fault.at + fault.seconds <= min(CALM, ended) + 0.001 or silent
        assert 0 <= fault.pod < made.pods
        assert 0 <= fault.node < made.nodes
        assert fault.kind is not Kind.SPLIT or fault.node != fault.other
        assert str(fault)
    last = [deed for deed in made.deeds if deed.at > made.last_words and deed.act is Act.SAY]
    assert {deed.room for deed in last} == {
        deed.room for deed in made.deeds if deed.act is Act.JOIN
    }
    assert all(deed.at < made.length - 3 for deed in last)
    assert list(made.deeds) == sorted(made.deeds, key=lambda deed: deed.at)


def test_a_broker_can_be_asked_for() -> None:
    assert plan(1, "nats").broker == "nats"
    assert {plan(seed).broker for seed in range(30)} == {"nats", "redis", "rabbitmq"}


def test_a_plan_shrinks_to_the_fault_and_the_words_that_it_needs() -> None:
    made = next(plan(seed) for seed in range(100) if len(plan(seed).faults) == 3)
    guilty = made.faults[1]
    words = [deed for deed in made.deeds if deed.act is Act.SAY][7]

    def fails(smaller: RunPlan) -> bool:
        return guilty in smaller.faults and words in smaller.deeds

    small = shrink(made, fails)
    assert small.faults == (guilty,)
    assert [deed for deed in small.deeds if deed.act is Act.SAY] == [words]
    assert fails(small)


def test_shrinking_ends_after_so_many_runs() -> None:
    runs: list[RunPlan] = []

    def fails(smaller: RunPlan) -> bool:
        runs.append(smaller)
        return True

    shrink(plan(1), fails, tries=5)
    assert len(runs) == 5
