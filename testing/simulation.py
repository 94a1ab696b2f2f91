"""`simulate`: a test that runs once for each of many seeds, in the simulator, on virtual time."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import trio
from attrs import evolve, frozen
from structlog.testing import capture_logs

from ..actors import RoomFactory
from ..tools.simulator.chance import LeapingClock, seeded
from ..tools.simulator.faults import BrokerName
from ..tools.simulator.plan import RunPlan, plan
from ..tools.simulator.pod import PodKind
from .story import RoomCrash, Story, StoryVisit, StoryWorld, room_crashes

__all__ = ["VARIABLE", "SimulationFailed", "chosen", "hash_seed", "simulate"]

VARIABLE: Final = "DEPLOYD_SEED"
"""The variable that makes simulated tests run one seed alone."""

MOST_SEEDS: Final = 100_000
SHOWN: Final = 20
"""Failing seeds that are named."""

StoryTest = Callable[..., Awaitable[None]]


class SimulationFailed(AssertionError):
    """Some seeds failed; the text names them, and how to run one again. `__cause__` is the first's.

    `seeds` are those that failed.
    """

    def __init__(self, text: str, seeds: tuple[int, ...]) -> None:
        super().__init__(text)
        self.seeds = seeds


@frozen
class Simulation:
    """How a test is simulated."""

    seeds: range
    broker: BrokerName | None
    kind: PodKind
    faults: bool

    def plan(self, seed: int) -> RunPlan:
        """Return what a seed is like: its pods and faults, and nothing that clients do."""
        made = evolve(plan(seed, self.broker), deeds=(), homes=())
        return made if self.faults else evolve(made, faults=())

    def crashes(self, seed: int) -> Sequence[RoomCrash]:
        """Return when its rooms crash."""
        return room_crashes(self.plan(seed)) if self.faults else ()


def simulate(
    *,
    seeds: int = 20,
    first: int = 0,
    broker: BrokerName | None = None,
    rooms: Mapping[str, RoomFactory] | None = None,
    faults: bool = True,
) -> Callable[[StoryTest], Callable[..., None]]:
    """Run an async test once for each of `seeds` seeds, from `first` on; it gets a `Story`.

    Each seed is two to four simulated pods with these `rooms`, joined by a broker that fails as the
    seed says (`broker` None draws which), whose rooms crash now and then; without `faults` nothing
    does. Time is virtual: a run of half a minute takes some milliseconds. All seeds run, and those
    that fail are named; `DEPLOYD_SEED=7 pytest …` runs one again.

    The test's other parameters are fixtures, but no async ones: it has a loop of its own.
    """
    if not 1 <= seeds <= MOST_SEEDS or first < 0:
        raise ValueError(f"Ask for 1 to {MOST_SEEDS} seeds, from 0 on.")
    kind = PodKind(rooms=dict(rooms or {}), visit=StoryVisit, chaos=True)
    how = Simulation(range(first, first + seeds), broker, kind, faults)

    def decorate(test: StoryTest) -> Callable[..., None]:
        def simulated(**fixtures: Any) -> None:
            _run_all(how, test, fixtures)

        simulated.__name__, simulated.__qualname__ = test.__name__, test.__qualname__
        simulated.__doc__, simulated.__module__ = test.__doc__, test.__module__
        # Not functools.wraps: pytest would follow it to the test, and look for a fixture of the
        # story's name.
        signature = inspect.signature(test)
        parameters = list(signature.parameters.values())[1:]
        named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        simulated.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
        return simulated

    return decorate


def _run_all(how: Simulation, test: StoryTest, fixtures: Mapping[str, object]) -> None:
    failed: dict[int, Exception] = {}
    seeds = chosen(how.seeds)
    for seed in seeds:
        try:
            _run(how, seed, lambda story: test(story, **fixtures))
        except Exception as error:  # noqa: BLE001 - raised below, with all others
            failed[seed] = _root(error)
    if failed:
        raise SimulationFailed(_told(how, seeds, failed), tuple(failed)) from next(
            iter(failed.values())
        )


def chosen(seeds: range) -> range:
    """Return these seeds, or the one that the environment asks for. Raises `ValueError`."""
    given = os.environ.get(VARIABLE)
    if given is None:
        return seeds
    if not given.isdecimal():
        raise ValueError(f"{VARIABLE} is a seed: a whole number, and not {given!r}.")
    return range(int(given), int(given) + 1)


def _run(how: Simulation, seed: int, tell: Callable[[Story], Awaitable[None]]) -> None:
    with capture_logs(), seeded(seed) as pauses:
        world = StoryWorld(how.plan(seed), pauses, how.kind, how.crashes(seed), tell)
        trio.run(world.live, clock=LeapingClock(), strict_exception_groups=True)


def _root(error: Exception) -> Exception:
    """Take an error out of the groups that nurseries make of it."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _told(how: Simulation, seeds: range, failed: Mapping[int, Exception]) -> str:
    """Say which seeds failed, what befell the first, and how to run it again."""
    first, error = next(iter(failed.items()))
    made = how.plan(first)
    names = ", ".join(map(str, list(failed)[:SHOWN]))
    more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    lines = [
        f"{len(failed)} of {len(seeds)} seeds fail: {names}{more}",
        f"seed {first}, {made.broker}, {made.pods} pods: {type(error).__name__}: {error}",
        *(f"  {fault}" for fault in (*made.faults, *how.crashes(first))),
        f"again: {hash_seed()}{VARIABLE}={first} pytest {_node()}",
    ]
    if not os.environ.get("PYTHONHASHSEED", "").isdecimal():
        lines.append("Runs are exactly the same in processes with one PYTHONHASHSEED: set it to 0.")
    return "\n".join(lines)


def _node() -> str:
    """Return how pytest calls the test that runs."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")


def hash_seed() -> str:
    """Return how this process was started, where its order of sets can be had again."""
    seed = os.environ.get("PYTHONHASHSEED", "")
    return f"PYTHONHASHSEED={seed} " if seed.isdecimal() and sys.flags.hash_randomization else ""
