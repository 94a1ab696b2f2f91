"""What is read first of a report's page: what was lost, how much, and in which scenarios. Pure."""

from __future__ import annotations

import html
from typing import Final

from .comparison import comparison
from .figures import LOSSES, VERDICTS, counted, headline, tallied
from .result import Result, ScenarioResult, ScenarioVerdict, SystemRun
from .sections import again, facts

__all__ = ["summary", "summary_of_many"]

MOST_NAMED: Final = 12
"""Scenarios that failed which are named at the top; fields and table have them all."""
MOST_CASES: Final = 1_000
"""More cases of the catalogue than any scenario plays."""


def summary(run: SystemRun, key: str, level: int) -> str:
    """Return the top of a page, or of the part of it that is of one system."""
    tiles = [
        (f"{run.total(fact.name):,}", fact.short, fact.bad and run.total(fact.name) > 0)
        for fact in LOSSES
    ]
    return (
        f'<p class="soft">{html.escape(run.name)}</p>'
        f'<h{level} class="{_tone(run)}">{headline(run)}</h{level}>'
        f"<p>{counted(run)}. {tallied(run)}.</p>{_failed(run, key)}"
        f"{facts('tiles', tiles)}{_strip(run, key)}{_about(run)}{again(run.command, key)}"
    )


def summary_of_many(result: Result) -> str:
    """Return the top of a page that compares."""
    lines = "".join(
        f'<p><a href="#r{number}">{html.escape(run.name)}</a>: '
        f'<strong class="{_tone(run)}">{headline(run)}</strong></p>'
        for number, run in enumerate(result.runs)
    )
    return f"<h1>What was lost?</h1>{lines}{comparison(result)}"


def _tone(run: SystemRun) -> str:
    return "good" if run.good else "bad"


def _failed(run: SystemRun, key: str) -> str:
    names = [
        f'<a href="#{key}-{number}">{html.escape(each.name)}</a>'
        for number, each in enumerate(run.scenarios)
        if each.verdict is ScenarioVerdict.FAILED
    ]
    left = len(names) - MOST_NAMED
    told = names[:MOST_NAMED] + ([f"{left:,} more"] if left > 0 else [])
    return f'<p class="bad">Failed: {", ".join(told)}.</p>' if told else ""


def _strip(run: SystemRun, key: str) -> str:
    """Draw a small field for each scenario, by which it is found: its number in the catalogue."""
    numbered = any(scenario.catalogue for scenario in run.scenarios)
    # Those of one case in its order, then those of several, then what has no number.
    places = sorted(
        enumerate(run.scenarios),
        key=lambda pair: (len(pair[1].catalogue) or MOST_CASES, pair[1].catalogue),
    )
    fields = "".join(
        _field(each, f"{key}-{number}", "·" if numbered else f"{number + 1}")
        for number, each in places
    )
    return f'<ol class="strip" aria-label="Scenarios">{fields}</ol>'


def _field(scenario: ScenarioResult, key: str, otherwise: str) -> str:
    said = html.escape(f"{scenario.name}: {VERDICTS[scenario.verdict]}")
    short = "+".join(map(str, scenario.catalogue)) or otherwise
    look = f'class="{scenario.verdict}" title="{said}"'
    name = f'{short}<span class="unseen"> {said}</span>'
    if not scenario.ran:
        return f"<li><span {look}>{name}</span></li>"
    return f'<li><a href="#{key}" {look}>{name}</a></li>'


def _about(run: SystemRun) -> str:
    about = [
        ("broker", run.broker),
        ("topology", run.topology),
        ("seed", str(run.seed)),
        ("machine", run.machine),
        ("began", f"{run.began:%Y-%m-%d %H:%M:%S} UTC"),
        ("took", f"{run.seconds:,.1f} s"),
    ]
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{html.escape(text)}</dd></div>" for name, text in about
    )
    return f'<dl class="about">{rows}</dl>'
