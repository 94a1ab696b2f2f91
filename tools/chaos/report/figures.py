"""What is told of a scenario in figures: their names, meaning, and how they are written. Pure."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from ...oracle import LocalLatency, Measures
from .result import ScenarioVerdict, SystemRun

__all__ = [
    "BAD",
    "COUNTS",
    "FIGURES",
    "LOSSES",
    "NONE",
    "NOUGHT",
    "VERDICTS",
    "Fact",
    "counted",
    "headline",
    "label",
    "plural",
    "summed",
    "tallied",
    "troubles",
    "value",
]

NONE: Final = "–"
"""Stands where there is no figure."""
NOUGHT: Final = frozenset({"0", NONE})
"""What may be passed over by who reads."""


@frozen
class Fact:
    """A figure of `Measures`: `short` heads a column, `words` say what it is.

    `unit` is that of what is written. Where it is `bad`, anything but nought breaks a promise.
    """

    name: str
    short: str
    words: str
    unit: str = ""
    bad: bool = False


COUNTS: Final = (
    Fact(
        "undeclared",
        "undeclared lost",
        "deliveries that did not come, and the client was told nothing",
        bad=True,
    ),
    Fact("false_receipts", "false receipts", "receipts that said what was not so", bad=True),
    Fact("duplicated", "twice", "deliveries that came again", bad=True),
    Fact("reordered", "out of order", "deliveries after a later one of the same sender", bad=True),
    Fact("declared", "declared lost", "deliveries that did not come, and the client was told so"),
    Fact("sent", "sent", "messages that clients said"),
    Fact("here", "here", "deliveries on the pod where the message was said"),
    Fact("elsewhere", "elsewhere", "deliveries on other pods"),
    Fact(
        "clients_dropped",
        "clients dropped",
        "clients whose connection ended and who had not asked for it",
    ),
)
"""What is counted: first what must be nought, for that is what a report is opened for."""
LOSSES: Final = COUNTS[:5]
"""Those that say what was lost, and which promises were broken."""
FIGURES: Final = (
    *COUNTS,
    Fact("detected", "to detect", "from a fault's beginning until somebody noticed", "s"),
    Fact("told", "to tell", "from a fault's beginning until a client was told of it", "s"),
    Fact("healed", "to heal", "from a fault's end until all was well, and told", "s"),
    Fact(
        "before",
        "local before",
        "median and 99th percentile of deliveries that stay on their pod, before the faults",
        "ms",
    ),
    Fact("during", "local during", "the same amid the faults", "ms"),
    Fact("after", "local after", "the same after them", "ms"),
)
"""All of them, in the order in which they are told."""

VERDICTS: Final = {
    ScenarioVerdict.PASSED: "passed",
    ScenarioVerdict.FAILED: "failed",
    ScenarioVerdict.NOT_APPLICABLE: "not applicable",
    ScenarioVerdict.NOT_INJECTABLE: "can't be injected",
    ScenarioVerdict.BROKEN: "not judged",
}
"""Verdicts for people."""


BAD: Final = (ScenarioVerdict.FAILED, ScenarioVerdict.BROKEN)
"""Those with which a run is not good."""


def value(measures: Measures | None, fact: Fact) -> str:
    """Return a figure as it is written, without its unit."""
    match _figure(measures, fact.name):
        case int(count):
            return f"{count:,}"
        case float(seconds):
            return f"{seconds:,.2f}"
        case LocalLatency(p50, p99):
            return f"{_milliseconds(p50)} · {_milliseconds(p99)}"
        case _:
            return NONE


def label(fact: Fact) -> str:
    """Return the name of a figure with its unit."""
    return f"{fact.short}, {fact.unit}" if fact.unit else fact.short


def _figure(measures: Measures | None, name: str) -> object:
    if measures is None:
        return None
    for phase, latency in measures.local.items():
        if phase == name:
            return latency
    return getattr(measures, name, None)


def _milliseconds(seconds: float) -> str:
    digits = 1 if seconds < 0.1 else 0
    return f"{seconds * 1e3:,.{digits}f}"


def troubles(measures: Measures | None) -> list[Fact]:
    """Return the figures that break a promise."""
    return [fact for fact in LOSSES if fact.bad and value(measures, fact) not in NOUGHT]


def plural(count: int, word: str, words: str = "") -> str:
    """Return a count with its noun."""
    return f"{count:,} {word if count == 1 else words or word + 's'}"


def headline(run: SystemRun) -> str:
    """Answer what was lost, in a sentence."""
    if not any(scenario.ran for scenario in run.scenarios):
        return "Nothing was judged."
    undeclared = run.total("undeclared")
    if undeclared:
        was = "was" if undeclared == 1 else "were"
        return f"{plural(undeclared, 'delivery', 'deliveries')} {was} lost, and nobody was told."
    lost = "Nothing was lost in silence" if run.total("declared") else "Nothing was lost"
    bad = sum(run.verdicts[verdict] for verdict in BAD)
    return f"{lost}, but {plural(bad, 'scenario')} failed." if bad else f"{lost}."


def counted(run: SystemRun) -> str:
    """Say how many scenarios ended how."""
    verdicts = run.verdicts
    parts = [
        f"{verdicts[verdict]} {VERDICTS[verdict]}" for verdict in VERDICTS if verdicts[verdict]
    ]
    return f"{plural(len(run.scenarios), 'scenario')}: {', '.join(parts) or 'none'}"


def tallied(run: SystemRun) -> str:
    """Say how much was said and heard."""
    heard = run.total("here") + run.total("elsewhere")
    sent = plural(run.total("sent"), "message")
    return f"{sent} sent, {plural(heard, 'delivery', 'deliveries')}"


def summed(run: SystemRun) -> str:
    """Say what was lost, and which promises were broken."""
    return ", ".join(f"{fact.short} {run.total(fact.name):,}" for fact in LOSSES)
