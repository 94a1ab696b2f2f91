"""`deployd chaos replay`: plays again what failed in a result, with all that was left to chance."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..common import screen
from .report import Result, ScenarioVerdict, SystemRun
from .report.stored import load
from .report.table import print_result
from .running import played_again
from .scenario import ScenarioError

__all__ = ["replay"]

BAD = (ScenarioVerdict.FAILED, ScenarioVerdict.BROKEN)


@click.command()
@click.argument("result", type=click.Path(dir_okay=False, path_type=Path), metavar="RESULT.json")
@click.argument("scenarios", nargs=-1, metavar="[NAME…]")
def replay(result: Path, scenarios: tuple[str, ...]) -> None:
    """Play scenarios of a result again: those named, or all that failed.

    RESULT.json is what `deployd chaos run --json` wrote. Each is played with the broker, topology
    and seed of then. Exits with 1 when one fails again.
    """
    runs = [(run, names) for run in load(result).runs if (names := chosen(run, scenarios))]
    if not runs:
        raise ScenarioError(_none(scenarios))
    again = Result(tuple(played_again(run, names) for run, names in runs))
    print_result(again, screen())
    sys.exit(0 if again.good else 1)


def chosen(run: SystemRun, scenarios: tuple[str, ...]) -> list[str]:
    """Return the scenarios of a run that are to be played again."""
    return [
        each.name
        for each in run.scenarios
        if (each.name in scenarios if scenarios else each.verdict in BAD)
    ]


def _none(scenarios: tuple[str, ...]) -> str:
    if scenarios:
        return f"The result has no {' and no '.join(scenarios)}."
    return "Nothing failed in it; name the scenarios that are to be played again."
