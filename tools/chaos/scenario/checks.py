"""What no type can say of a scenario: names that must be somebody's, times that must be given."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from .errors import near
from .schema import BROKERS, CATALOGUE, CONDITIONS, TOPOLOGIES, Scenario, ScenarioStep, combined

__all__ = ["objections"]


def objections(scenario: Scenario) -> Iterator[str]:
    """Yield what is wrong, each as a sentence without its end, by its path."""
    if not scenario.title:
        yield "title must be a line that says what happens"
    for case in scenario.catalogue:
        if not 1 <= case <= CATALOGUE:
            yield f"catalogue names case {case}, and they are 1 to {CATALOGUE} (docs/faults.md)"
    if not scenario.steps and not (scenario.not_simulated and scenario.not_run):
        yield "steps must be one at least, or not_simulated and not_run say why there is none"
    yield from _of_rooms(scenario)
    yield from _of_places(scenario)
    for number, step in enumerate(scenario.steps):
        path = f"steps[{number}]"
        yield from (f"{path}{problem}" for problem in _of_step(scenario, number, step))
    if scenario.steps and not any(scenario.applies()):
        yield "steps and not_with leave no broker with which it has sense"


def _of_rooms(scenario: Scenario) -> Iterator[str]:
    rooms = [room.name for room in scenario.load.rooms]
    for name in sorted({name for name in rooms if rooms.count(name) > 1}):
        yield f"load.rooms has {name} twice"
    if not all(rooms) or not rooms:
        yield "load.rooms must be rooms with names"


def _of_places(scenario: Scenario) -> Iterator[str]:
    places: list[str] = [*BROKERS, *TOPOLOGIES]
    places += [f"{one}-{two}" for one in BROKERS for two in TOPOLOGIES if combined(one, two)]
    for place in scenario.not_with:
        if place not in places:
            yield f"not_with.{place} is no broker and no topology; {near(place, places)}"


def _of_step(scenario: Scenario, number: int, step: ScenarioStep) -> Iterator[str]:
    if (step.at is None) == (step.when is None):
        yield " must have one of at and when"
    if step.when is not None and number == 0:
        yield ".when waits for what a step before it does, and there is none"
    lasts = bool(step.lasting) + bool(step.until)
    if step.trouble.momentary and lasts:
        yield f" has an end, and {step.trouble.name} is done in a moment"
    if not step.trouble.momentary and lasts != 1:
        yield " must have one of for and until"
    ends = [*CONDITIONS, *(other.title for other in scenario.steps if other is not step)]
    if step.until and step.until not in ends:
        yield f".until is {step.until!r}, no condition and no other step; {near(step.until, ends)}"
    yield from _of_names(scenario, step)


def _of_names(scenario: Scenario, step: ScenarioStep) -> Iterator[str]:
    """Yield what a step names that is not there."""
    given = attrs.asdict(step.trouble, recurse=False)
    room, rooms = given.get("room"), [room.name for room in scenario.load.rooms]
    if room and room not in rooms:
        yield f".with.room is {room!r}, which load.rooms does not have; {near(room, rooms)}"
    clients = scenario.load.clients * scenario.pods.count
    for field, most in (
        ("pods", scenario.pods.count),
        ("clients", clients),
        ("servers", scenario.servers),
        ("server", scenario.servers),
        ("other", scenario.servers),
    ):
        named = given.get(field, ())
        for number in named if isinstance(named, tuple) else (named,):
            if not 0 <= number < most:
                yield f".with.{field} names {number}, and there are {most}, counted from 0"
    if room and given.get("beats"):
        yield ".with has both a room and beats, and beats are of no room"
    if "other" in given and given["other"] == given["server"]:
        yield ".with.other is the same server"
