"""What a scenario came to: its history judged, measured, and held against what it expects. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from ...oracle import Measures, Mended, Record, Struck, Violation, judge, measure
from .faults import BrokerName
from .schema import Expectations, Scenario, TopologyName

__all__ = ["Check", "Judgement", "judged"]

COUNTED: Final = frozenset({"undeclared", "false receipt", "unheard", "duplicate", "order", "late"})
"""Rules whose violations are counted, and held against a scenario's own numbers."""

ROUNDED: Final = 0.002
"""Seconds by which what is written in milliseconds may be off, twice."""


@frozen
class Check:
    """Something that was expected, what came, and whether that is as good."""

    name: str
    expected: str
    found: str
    held: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.found}, expected {self.expected}"


@frozen
class Judgement:
    """What became of a scenario with a broker. Times in the history are seconds of the run."""

    scenario: Scenario
    broker: BrokerName
    topology: TopologyName
    seed: int
    history: tuple[Record, ...]
    violations: tuple[Violation, ...]
    measures: Measures
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return all(check.held for check in self.checks)


def judged(
    scenario: Scenario,
    broker: BrokerName,
    topology: TopologyName,
    seed: int,
    history: Sequence[Record],
    slack: float = 0.0,
) -> Judgement:
    """Judge what was seen of a play, simulated or real; `slack` is the real one's (`Seen`)."""
    violations = tuple(judge(history, slack=slack))
    measures = measure(history, violations, slack)
    checks = [
        *_steps(scenario, history),
        _rules(violations),
        *_counts(scenario.expect, measures, violations),
        *_times(scenario.expect, measures),
    ]
    return Judgement(
        scenario, broker, topology, seed, tuple(history), violations, measures, tuple(checks)
    )


def _steps(scenario: Scenario, history: Sequence[Record]) -> Iterator[Check]:
    """Hold what was done against what was to be done: a wait may have been in vain, or a fault.

    Where a fault struck nothing, all that holds says nothing.
    """
    for record in history:
        if isinstance(record, Mended) and record.struck == 0:
            yield Check(record.step, "that it strikes messages", "it struck none", held=False)
    begun = [record.step for record in history if isinstance(record, Struck)]
    ended = {r.step for r in history if isinstance(r, Mended) and not r.in_vain}
    for step in scenario.steps:
        if step.title in begun and step.title in ended:
            continue
        what = step.until if step.title in begun else step.when
        found = f"{what!r} did not come about within {step.within:g} s"
        yield Check(step.title, "that it is done", found, held=False)


def _rules(violations: Sequence[Violation]) -> Check:
    broken = sorted({each.rule for each in violations if each.rule not in COUNTED})
    return Check("rules", "none broken", ", ".join(broken) or "none broken", held=not broken)


def _counts(
    expect: Expectations, found: Measures, violations: Sequence[Violation]
) -> Iterator[Check]:
    late = sum(each.rule == "late" for each in violations)
    for name, most, count in (
        ("undeclared", expect.undeclared, found.undeclared),
        ("false receipts", expect.false_receipts, found.false_receipts),
        ("duplicated", expect.duplicated, found.duplicated),
        ("reordered", expect.reordered, found.reordered),
        ("clients dropped", expect.clients_dropped, found.clients_dropped),
        ("told too late", 0, late if expect.told_within <= Expectations().told_within else 0),
    ):
        yield Check(name, f"{most} at most", str(count), count <= most)
    if expect.outage == "must":
        told = "noticed" if found.noticed else "nothing was noticed"
        yield Check("outage", "noticed", told, found.noticed)
    if expect.outage == "never":
        told = "noticed" if found.noticed else "nothing was noticed"
        yield Check("outage", "nothing was noticed", told, not found.noticed)


def _times(expect: Expectations, found: Measures) -> Iterator[Check]:
    # What may go unnoticed has no time in which it must be noticed.
    detected = found.detected if expect.outage == "must" else None
    for name, within, seconds in (
        ("detected", expect.detected_within, detected),
        ("told", expect.told_within, found.told_after),
        ("healed", expect.healed_within, found.healed),
        ("local p99", expect.local_p99, _slowest(found)),
    ):
        if seconds is not None:
            yield Check(
                name, f"within {within:g} s", f"{seconds:.3f} s", seconds <= within + ROUNDED
            )


def _slowest(found: Measures) -> float | None:
    return max((latency.p99 for latency in found.local.values()), default=None)
