"""A chaos run on a terminal: how it goes, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import trio
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...common import printable
from .beside import beside
from .figures import (
    BAD,
    FIGURES,
    VERDICTS,
    Fact,
    counted,
    headline,
    label,
    summed,
    tallied,
    troubles,
    value,
)
from .result import Result, ScenarioResult, ScenarioVerdict

__all__ = ["RunProgress", "print_result", "show"]

LOOK: Final = 0.25
"""Seconds between two looks at how it goes."""
LATEST: Final = 8
"""Scenarios that ended which stay on the screen while it runs."""
NAME: Final = 34
"""Characters of a line that are for the name of a scenario, and its verdict."""
GAP: Final = 2
"""Characters between two columns."""
MOST_TOLD: Final = 3
"""Violations of a scenario that are told on a terminal; pages and JSON have more."""
STYLES: Final = {
    ScenarioVerdict.PASSED: "green",
    ScenarioVerdict.FAILED: "bold red",
    ScenarioVerdict.NOT_APPLICABLE: "dim",
    ScenarioVerdict.NOT_INJECTABLE: "dim",
    ScenarioVerdict.BROKEN: "bold red",
}


@attrs.mutable
class RunProgress:
    """How a run goes: `total` scenarios, those that ended, and the one that is on.

    Who runs them calls `begin`, `say` and `end`; `clock` is seconds of any beginning.
    """

    total: int
    ended: list[ScenarioResult] = attrs.field(factory=list)
    scenario: str = ""
    phase: str = ""
    clock: Callable[[], float] = time.monotonic
    _began: float = 0.0

    def begin(self, scenario: str) -> None:
        """Note that a scenario begins."""
        self.scenario, self.phase, self._began = scenario, "", self.clock()

    def say(self, phase: str) -> None:
        """Note what is being done in it: `starting three pods`, `broker.freeze`."""
        self.phase = phase

    def end(self, result: ScenarioResult) -> None:
        """Note what became of it."""
        self.ended.append(result)
        self.scenario = self.phase = ""

    def view(self) -> RenderableType:
        """Return what is to be seen now."""
        lines: list[Text] = [line(each) for each in self.ended[-LATEST:]]
        share = f"{len(self.ended)} of {self.total}"
        bad = sum(each.verdict in BAD for each in self.ended)
        now = Text(f"{share} done" + (f", {bad} failed" if bad else ""), style="bold")
        if self.scenario:
            now.append(f"  {self.scenario}", style="bold cyan")
            now.append(f"  {self.clock() - self._began:.0f} s  {self.phase}", style="not bold")
        return Group(*lines, now)


async def show(progress: RunProgress, console: Console) -> None:
    """Show how a run goes until cancelled: live on a terminal, else a line for each that ended."""
    if not console.is_terminal:
        await _tell(progress, console)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(progress.view(), refresh=True)
            await trio.sleep(LOOK)


async def _tell(progress: RunProgress, console: Console) -> None:
    """Print a line for each that ended, those since the last look too when it is cancelled."""
    told: list[ScenarioResult] = []

    def tell() -> None:
        for each in progress.ended[len(told) :]:
            console.print(line(each))
            told.append(each)

    try:
        while True:
            tell()
            await trio.sleep(LOOK)
    finally:
        tell()


def line(scenario: ScenarioResult) -> Text:
    """Return what became of a scenario, in a line."""
    text = Text(f"{VERDICTS[scenario.verdict]:>17}", style=STYLES[scenario.verdict])
    text.append(f"  {printable(scenario.name)}", style="default not bold not dim")
    if scenario.reason:
        text.append(f"  {printable(scenario.reason)}", style="dim not bold")
    for fact in troubles(scenario.measures):
        text.append(f"  {value(scenario.measures, fact)} {fact.short}", style="bold red")
    return text


def print_result(result: Result, console: Console) -> None:
    """Print what was lost, and the table, of each system."""
    for run in result.runs:
        console.print(Text(printable(f"{run.name}, seed {run.seed}"), style="bold"))
        ran = [scenario for scenario in run.scenarios if scenario.ran]
        if ran:
            _print_table(ran, console)
        for scenario in run.scenarios:
            if not scenario.ran:
                console.print(line(scenario))
            _print_violations(scenario, console)
        console.print(Text(headline(run), style="bold green" if run.good else "bold red"))
        console.print(Text(f"{counted(run)}. {tallied(run)}; {summed(run)}."))
        console.print(Text(printable(f"Again: {run.command}"), style="dim"))
    if len(result.runs) > 1:
        console.print(beside(result))


def _print_table(scenarios: Sequence[ScenarioResult], console: Console) -> None:
    """Print a row for each scenario, with as many figures as the screen is wide for."""
    left, widths = console.width - NAME, dict[Fact, int]()
    for fact in FIGURES:
        words = [*label(fact).split(), *(value(each.measures, fact) for each in scenarios)]
        width = max(map(len, words))
        left -= width + GAP
        if left < 0:
            break
        widths[fact] = width
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("scenario", overflow="fold")
    table.add_column("", no_wrap=True)
    for fact, width in widths.items():
        table.add_column(label(fact), justify="right", width=width)
    for each in scenarios:
        verdict = Text(VERDICTS[each.verdict], style=STYLES[each.verdict])
        cells = [_cell(each, fact) for fact in widths]
        table.add_row(Text(printable(each.name)), verdict, *cells)
    console.print(table)
    left_out = ", ".join(fact.short for fact in FIGURES if fact not in widths)
    if left_out:
        console.print(Text(f"A wider terminal, pages and JSON also have {left_out}.", style="dim"))


def _cell(scenario: ScenarioResult, fact: Fact) -> Text:
    bad = fact in troubles(scenario.measures)
    return Text(value(scenario.measures, fact), style="bold red" if bad else "")


def _print_violations(scenario: ScenarioResult, console: Console) -> None:
    if scenario.verdict is ScenarioVerdict.PASSED:  # it may break what it has broken
        return
    lines = [str(violation) for violation in scenario.violations[:MOST_TOLD]]
    left = max(0, len(scenario.violations) - MOST_TOLD) + scenario.further
    lines += [f"and {left} more"] if left else []
    lines += [f"again: {scenario.command}"] if scenario.violations and scenario.command else []
    for told in lines:
        console.print(Text(printable(f"{scenario.name}: {told}"), style=STYLES[scenario.verdict]))
