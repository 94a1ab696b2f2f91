"""Makes of what was seen and judged of a scenario what is kept of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...oracle import Measures, Record, Violation
from .moments import FaultSpan
from .result import MOST_VIOLATIONS, ScenarioResult, ScenarioVerdict
from .timeline import NO_WORDS, timeline

__all__ = ["EXPECTED", "recorded"]

EXPECTED = "expected"
"""The rule that an expectation of a scenario's own is told as."""


def recorded(
    name: str,
    history: Sequence[Record],
    measures: Measures,
    *,
    passed: bool,
    violations: Sequence[Violation] = (),
    unmet: Sequence[str] = (),
    faults: Sequence[FaultSpan] = (),
    steps: Mapping[str, str] = NO_WORDS,
    title: str = "",
    catalogue: tuple[int, ...] = (),
    seed: int = 0,
    command: str = "",
    seconds: float = 0.0,
) -> ScenarioResult:
    """Return a scenario that ran, with its timeline; `unmet` are sentences of what it expected.

    `faults` are those of which the history does not tell, `steps` are words for the others by their
    steps, `seconds` how long it took to run.
    """
    end = history[-1].at if history else 0.0
    broken = [*(Violation(EXPECTED, end, sentence) for sentence in unmet), *violations]
    return ScenarioResult(
        name=name,
        verdict=ScenarioVerdict.PASSED if passed else ScenarioVerdict.FAILED,
        title=title,
        catalogue=catalogue,
        seed=seed,
        command=command,
        seconds=seconds,
        measures=measures,
        violations=tuple(broken[:MOST_VIOLATIONS]),
        further=max(0, len(broken) - MOST_VIOLATIONS),
        timeline=timeline(history, faults, steps),
    )
