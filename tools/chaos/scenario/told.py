"""A scenario in words, for people."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from ....config.fields import setting_of
from .schema import BROKERS, TOPOLOGIES, Expectations, Scenario, ScenarioStep, combined

__all__ = ["described", "step_in_words"]


def described(scenario: Scenario) -> Iterator[str]:
    """Yield the lines that tell what a scenario is."""
    yield f"{scenario.name}: {scenario.title}"
    if scenario.about:
        yield from ("", *scenario.about.strip().splitlines())
    cases = ", ".join(map(str, scenario.catalogue)) or "none"
    yield ""
    yield f"Catalogue: {cases} (docs/faults.md)"
    for why, where in (
        (scenario.not_simulated, "in the simulator"),
        (scenario.not_run, "on real servers"),
    ):
        if why:
            yield f"Not {where}: {why}"
    pods, load = scenario.pods, scenario.load
    rooms = ", ".join(f"{room.name} ({room.policy}, {room.receipt})" for room in load.rooms)
    yield f"{pods.count} pods with {load.clients} clients each"
    yield f"{load.rate:g} words a second of each, in {rooms}"
    yield ""
    for number, step in enumerate(scenario.steps, 1):
        yield f"{number}. {step_in_words(step)}"
    yield from ("", *_expected(scenario.expect), "", *_applies(scenario))


def step_in_words(step: ScenarioStep) -> str:
    """Say when a step begins, what it is, and when it is over."""
    when = f"at {step.at:g} s" if step.at is not None else f"when {step.when}"
    wait = f", {step.wait:g} s later" if step.wait else ""
    given = attrs.asdict(step.trouble, recurse=False)
    what = ", ".join(f"{name} {_value(value)}" for name, value in given.items())
    end = ""
    if step.until:
        end = f", until {step.until} ({step.within:g} s at most)"
    elif step.lasting:
        end = f", for {step.lasting:g} s"
    name = f"{step.name}: " if step.name else ""
    return f"{name}{when}{wait}: {step.trouble.name}" + (f" ({what})" if what else "") + end


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "all"
    return f"{value:g}" if isinstance(value, float) else str(value) or "any"


def _expected(expect: Expectations) -> Iterator[str]:
    yield "Expected, beside what must always hold:"
    for field in attrs.fields(Expectations):
        about, value = setting_of(field), getattr(expect, field.name)
        unit = f" {about.unit}" if about is not None and about.unit else ""
        yield f"  {field.name} = {_value(value)}{unit}"


def _applies(scenario: Scenario) -> Iterator[str]:
    for broker in BROKERS:
        for topology in TOPOLOGIES:
            if combined(broker, topology):
                objection = scenario.objection(broker, topology)
                yield f"{broker} {topology}: " + (
                    "yes" if objection is None else f"no: {objection}"
                )
