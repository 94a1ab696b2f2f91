"""Several systems beside each other: what each lost in all, and in each scenario. Pure."""

from __future__ import annotations

import html
from typing import Final

from .figures import COUNTS, FIGURES, NONE, troubles, value
from .result import Result, ScenarioResult, ScenarioVerdict, SystemRun
from .sections import cell, scroll, verdict

__all__ = ["comparison"]

LONGEST: Final = ("detected", "told", "healed")


def comparison(result: Result) -> str:
    """Return a row for each system, and below a row for each scenario with a cell for each."""
    return (
        f"<section><h2>In all</h2>{scroll('What each system lost in all', _totals(result))}"
        f"</section><section><h2>Scenario by scenario</h2>"
        f"{scroll('What each system lost in each scenario', _matrix(result))}</section>"
    )


def _totals(result: Result) -> str:
    heads = ["passed", "failed", *(fact.short for fact in COUNTS)]
    heads += [f"longest {fact.short}, s" for fact in FIGURES if fact.name in LONGEST]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    rows = "".join(
        f'<tr><th scope="row"><a href="#r{number}">{html.escape(run.name)}</a></th>'
        f"{_total(run)}</tr>"
        for number, run in enumerate(result.runs)
    )
    return f'<thead><tr><th scope="col">system</th>{head}</tr></thead><tbody>{rows}</tbody>'


def _total(run: SystemRun) -> str:
    count = run.verdicts
    failed = count[ScenarioVerdict.FAILED] + count[ScenarioVerdict.BROKEN]
    longest = [run.longest(name) for name in LONGEST]
    return "".join(
        [
            cell(f"{count[ScenarioVerdict.PASSED]}"),
            cell(f"{failed}", bad=failed > 0),
            *(
                cell(f"{run.total(fact.name):,}", bad=fact.bad and run.total(fact.name) > 0)
                for fact in COUNTS
            ),
            *(cell(NONE if one is None else f"{one:,.2f}") for one in longest),
        ]
    )


def _matrix(result: Result) -> str:
    names = dict.fromkeys(each.name for run in result.runs for each in run.scenarios)
    head = "".join(
        f'<th scope="col" class="words system">{html.escape(run.name)}</th>' for run in result.runs
    )
    known = [
        {each.name: (f"r{place}-{number}", each) for number, each in enumerate(run.scenarios)}
        for place, run in enumerate(result.runs)
    ]
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f"{''.join(_fate(of.get(name)) for of in known)}</tr>"
        for name in names
    )
    return f'<thead><tr><th scope="col">scenario</th>{head}</tr></thead><tbody>{rows}</tbody>'


def _fate(found: tuple[str, ScenarioResult] | None) -> str:
    """Say how a scenario ended with a system, and what was lost or broken, if anything was."""
    if found is None:
        return f'<td class="words soft">{NONE}</td>'
    key, scenario = found
    lost = []
    if scenario.measures is not None:
        lost += [
            f'<strong class="bad">{value(scenario.measures, fact)} {fact.short}</strong>'
            for fact in troubles(scenario.measures)
        ]
        declared = scenario.measures.declared
        lost += [f"{declared:,} declared lost"] if declared else []
    if not lost and scenario.verdict is ScenarioVerdict.FAILED:
        lost += [html.escape(each.sentence) for each in scenario.violations[:1]]
    ended = (
        f'<a class="plain" href="#{key}">{verdict(scenario)}</a>'
        if scenario.ran
        else verdict(scenario)
    )
    return f'<td class="words">{ended} <span class="soft">{", ".join(lost)}</span></td>'
