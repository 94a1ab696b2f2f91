"""Several systems beside each other on a terminal: what each lost, scenario by scenario. Pure."""

from __future__ import annotations

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ...common import printable
from .figures import BAD, FIGURES, LOSSES, VERDICTS, label, troubles, value
from .result import Result, ScenarioResult, SystemRun

__all__ = ["beside"]

TIMES: Final = tuple(fact for fact in FIGURES if fact.name in ("detected", "told", "healed"))
TOLD: Final = (*LOSSES, *TIMES)
"""What tells systems from each other; each one's own table has the rest."""


def beside(result: Result) -> Table:
    """Return a table with a row for each system in each scenario that ran with one of them."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="Beside each other")
    for name in ("scenario", "system", ""):
        table.add_column(name, overflow="fold")
    for fact in TOLD:
        table.add_column(label(fact), justify="right")
    found = [(run, {each.name: each for each in run.scenarios}) for run in result.runs]
    for name in dict.fromkeys(each.name for run in result.runs for each in run.scenarios):
        rows = [(run, of[name]) for run, of in found if name in of]
        for place, (run, scenario) in enumerate(rows):
            title = "" if place else printable(name)
            last = place + 1 == len(rows)
            table.add_row(title, *_cells(run, scenario, result), end_section=last)
    return table


def _cells(run: SystemRun, scenario: ScenarioResult, result: Result) -> list[Text]:
    style = "bold red" if scenario.verdict in BAD else "green" if scenario.ran else "dim"
    bad = troubles(scenario.measures)
    figures = [
        Text(value(scenario.measures, fact), style="bold red" if fact in bad else "")
        for fact in TOLD
    ]
    return [Text(printable(_name(run, result))), Text(VERDICTS[scenario.verdict], style), *figures]


def _name(run: SystemRun, result: Result) -> str:
    """Return as much of a run's name as tells it from the others."""
    alone = [each for each in result.runs if each.system == run.system]
    return run.system if len(alone) == 1 else f"{run.name}, seed {run.seed}"
