"""Who plays scenarios, one after the other: the simulator, or servers and pods of this machine."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final, TypeAlias

import trio
from attrs import evolve, frozen

from ..common import ToolError
from ..simulator import prepare, quiet
from .report import ScenarioResult, ScenarioVerdict, recorded
from .report.table import RunProgress
from .runner import Bench, hindrance, play_scenario
from .scenario import BrokerName, Judgement, Scenario, TopologyName
from .scenario.told import step_in_words
from .servers import WhereBroker
from .simulated import obstacle, simulate_scenario
from .targets import BenchTarget

__all__ = ["Player", "Venue", "play_for_real", "play_simulated"]

MOST: Final = 240.0
"""Seconds that a play may take for real beside what its steps last: more is the bench's fault."""


@frozen
class Venue:
    """Of which system scenarios are played, where, and with what left to chance."""

    target: BenchTarget
    broker: BrokerName
    topology: TopologyName
    seed: int
    where: WhereBroker | None = None
    """The broker that is used, where none is started."""


Player: TypeAlias = Callable[[Venue, Sequence[Scenario], RunProgress], Awaitable[None]]
"""Plays scenarios in their order, and tells the progress what became of each."""


async def play_simulated(
    processes: int, place: Venue, scenarios: Sequence[Scenario], progress: RunProgress
) -> None:
    """Play them in the simulator, in so many processes."""
    await trio.to_thread.run_sync(_simulate_all, processes, place, scenarios, progress)


def _simulate_all(
    processes: int, place: Venue, scenarios: Sequence[Scenario], progress: RunProgress
) -> None:
    os.environ["PYTHONHASHSEED"] = "0"  # the order of what stands in sets of strings, too
    context = multiprocessing.get_context("spawn")
    workers = max(1, min(processes, len(scenarios)))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=prepare) as pool:
        for result in pool.map(partial(_simulate, place), scenarios):
            progress.end(result)


def _simulate(place: Venue, scenario: Scenario) -> ScenarioResult:
    left = _left_out(scenario, place, obstacle(scenario, place.broker, place.topology))
    if left is not None:
        return left
    began = time.monotonic()
    outcome = simulate_scenario(scenario, place.broker, place.topology, place.seed)
    return _result(outcome, time.monotonic() - began)


async def play_for_real(
    at_once: int, venue: Venue, scenarios: Sequence[Scenario], progress: RunProgress
) -> None:
    """Play them on servers that are started once, so many at a time. Raises `ServersError`s."""
    quiet()
    waiting = deque(scenarios)
    async with trio.open_nursery() as nursery:
        for _ in range(min(at_once, len(scenarios))):
            nursery.start_soon(_play_those_that_wait, venue, waiting, progress)


async def _play_those_that_wait(
    venue: Venue, waiting: deque[Scenario], progress: RunProgress
) -> None:
    async with Bench.open(venue.target, venue.broker, venue.topology, where=venue.where) as bench:
        while waiting:
            scenario = waiting.popleft()
            progress.begin(scenario.name)
            reason = hindrance(venue.target, scenario, bench.deployment)
            left = _left_out(scenario, venue, reason)
            progress.end(left or await _play(bench, venue, scenario, progress))


async def _play(
    bench: Bench, place: Venue, scenario: Scenario, progress: RunProgress
) -> ScenarioResult:
    began = time.monotonic()
    most = MOST + sum(step.lasting + step.wait + step.within for step in scenario.steps)
    broken = f"It was not over after {most:.0f} s."
    try:
        with trio.move_on_after(most):
            outcome = await play_scenario(bench, scenario, place.seed, progress.say)
            return _result(outcome, time.monotonic() - began)
    except* ToolError as errors:
        broken = str(_first(errors))
    return _shown(scenario, place, ScenarioVerdict.BROKEN, broken)


def _first(error: BaseException) -> BaseException:
    """Find what is in groups of groups."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _left_out(scenario: Scenario, place: Venue, reason: str | None) -> ScenarioResult | None:
    """Return what became of one that is not played, or None of one that is."""
    objection = scenario.objection(place.broker, place.topology)
    if objection is not None:
        return _shown(scenario, place, ScenarioVerdict.NOT_APPLICABLE, objection)
    if reason is not None:
        return _shown(scenario, place, ScenarioVerdict.NOT_INJECTABLE, reason)
    return None


def _shown(
    scenario: Scenario, place: Venue, verdict: ScenarioVerdict, reason: str
) -> ScenarioResult:
    return ScenarioResult(
        scenario.name,
        verdict,
        title=scenario.title,
        catalogue=scenario.catalogue,
        reason=reason,
        seed=place.seed,
    )


def _result(outcome: Judgement, seconds: float) -> ScenarioResult:
    scenario = outcome.scenario
    result = recorded(
        scenario.name,
        outcome.history,
        outcome.measures,
        passed=outcome.passed,
        violations=outcome.violations,
        unmet=[str(check) for check in outcome.checks if not check.held],
        steps={step.title: step_in_words(step) for step in scenario.steps},
        title=scenario.title,
        catalogue=scenario.catalogue,
        seed=outcome.seed,
    )
    return evolve(result, seconds=seconds)
