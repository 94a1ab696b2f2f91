"""What a chaos run was, as data: systems, their scenarios, what was measured and when. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import frozen

from ...oracle import Measures, Violation
from .moments import Timeline

__all__ = ["MOST_VIOLATIONS", "Result", "ScenarioResult", "ScenarioVerdict", "SystemRun", "merged"]

MOST_VIOLATIONS: Final = 50
"""Violations of a scenario that are kept: who breaks a rule so often breaks it always."""


class ScenarioVerdict(StrEnum):
    """What became of a scenario."""

    PASSED = "passed"
    """It ran, and no rule was broken."""
    FAILED = "failed"
    """It ran, and one was."""
    NOT_APPLICABLE = "not_applicable"
    """It is of another broker or topology; `reason` says which."""
    NOT_INJECTABLE = "not_injectable"
    """Its fault cannot be made here; `reason` says why."""
    BROKEN = "broken"
    """The bench failed, and nothing was judged; `reason` says how."""


@frozen
class ScenarioResult:
    """What became of a scenario. `seconds` are those it took; its `timeline` has its own.

    `command` repeats it alone, with its `seed`. An expectation of the scenario that was not met is
    one of the `violations`, of the rule `expected`; `further` are beside those that are kept.
    What a scenario may break, and passes all the same, is among them.
    `measures` and `timeline` are None where it did not run.
    """

    name: str
    verdict: ScenarioVerdict
    title: str = ""
    catalogue: tuple[int, ...] = ()
    reason: str = ""
    seed: int = 0
    command: str = ""
    seconds: float = 0.0
    measures: Measures | None = None
    violations: tuple[Violation, ...] = ()
    further: int = 0
    timeline: Timeline | None = None

    @property
    def ran(self) -> bool:
        """Whether anything was judged."""
        return self.verdict in (ScenarioVerdict.PASSED, ScenarioVerdict.FAILED)


@frozen
class SystemRun:
    """All scenarios with one system on one broker. `began` is in UTC, `seconds` what all took.

    `command` repeats it. `simulated` is whether the broker was a model and the clock a virtual one.
    """

    system: str
    broker: str
    topology: str
    seed: int
    machine: str
    command: str
    began: datetime
    seconds: float
    scenarios: tuple[ScenarioResult, ...]
    version: str = ""
    pods: int = 0
    simulated: bool = False

    @property
    def name(self) -> str:
        """What tells it from the others of a report."""
        parts = [self.system, self.version, "on", self.broker, self.topology]
        return " ".join(part for part in parts if part) + (", simulated" if self.simulated else "")

    @property
    def verdicts(self) -> Counter[ScenarioVerdict]:
        """How many scenarios ended how."""
        return Counter(scenario.verdict for scenario in self.scenarios)

    @property
    def good(self) -> bool:
        """Whether something was judged, and nothing failed."""
        count = self.verdicts
        bad = count[ScenarioVerdict.FAILED] + count[ScenarioVerdict.BROKEN]
        return not bad and count[ScenarioVerdict.PASSED] > 0

    def total(self, figure: str) -> int:
        """Return the sum of a figure of `Measures` over all that was measured."""
        return sum(getattr(each.measures, figure) for each in self.scenarios if each.measures)

    def longest(self, figure: str) -> float | None:
        """Return the largest of a duration of `Measures`; None where there is none."""
        taken = [getattr(each.measures, figure) for each in self.scenarios if each.measures]
        return max((one for one in taken if one is not None), default=None)


@frozen
class Result:
    """What `deployd chaos run` leaves behind: a run of one system, or of several to compare."""

    runs: tuple[SystemRun, ...]

    @property
    def good(self) -> bool:
        """Whether all is well with each of them."""
        return bool(self.runs) and all(run.good for run in self.runs)


def merged(results: Iterable[Result]) -> Result:
    """Put several into one, in their order, to be compared."""
    return Result(tuple(run for result in results for run in result.runs))
