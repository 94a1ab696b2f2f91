"""A scenario, a broker and a seed make a run of the simulator, which is judged as any other."""

from __future__ import annotations

from ...simulator import run
from ..scenario import BrokerName, Judgement, Scenario, TopologyName, judged
from .script import Play
from .staging import NotSimulated, stage

__all__ = ["obstacle", "simulate_scenario"]


def obstacle(scenario: Scenario, broker: BrokerName, topology: TopologyName) -> str | None:
    """Say why the simulator cannot play a scenario that has sense with a broker, or None."""
    if scenario.not_simulated:
        return scenario.not_simulated
    try:
        Play(scenario, stage(scenario, broker, topology, 0))
    except NotSimulated as error:
        return str(error)
    return None


def simulate_scenario(
    scenario: Scenario, broker: BrokerName, topology: TopologyName, seed: int
) -> Judgement:
    """Play a scenario, always in the same way. Raises `NotSimulated`."""
    plan = stage(scenario, broker, topology, seed)
    history = run(plan, Play(scenario, plan))
    return judged(scenario, broker, topology, seed, history)
