"""`deployd chaos replay`: plays again what failed in a result, with all that was left to chance."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from attrs import evolve

from ..common import screen
from .asked import PlayOrder
from .report import Result, ScenarioVerdict, SystemRun
from .report.stored import load
from .report.table import print_result
from .running import asked_by, played
from .scenario import ScenarioError
from .servers import read_endpoint

__all__ = ["replay"]

BAD = (ScenarioVerdict.FAILED, ScenarioVerdict.BROKEN)


@click.command()
@click.argument("result", type=click.Path(dir_okay=False, path_type=Path), metavar="RESULT.json")
@click.argument("scenarios", nargs=-1, metavar="[NAME…]")
@click.option("--endpoint", metavar="URL", envvar="CHAOS_ENDPOINT", show_envvar=True,
              help="The broker on which it was played, if one was there: no result has its "
              "password.")  # fmt: skip
def replay(result: Path, scenarios: tuple[str, ...], endpoint: str | None) -> None:
    """Play scenarios of a result again: those named, or all that failed.

    RESULT.json is what `deployd chaos run --json` wrote. Each is played as its command says:
    with the system, broker, topology, pods and seed of then, its file if it is of one. Exits with 1
    when one fails again.
    """
    orders = [
        _with_password(asked, endpoint)
        for run in load(result).runs
        if (asked := asked_again(run, scenarios)) is not None
    ]
    if not orders:
        raise ScenarioError(_none(scenarios))
    again = Result(
        tuple(run for asked in orders for run in played(asked, os.cpu_count() or 1, 1).runs)
    )
    print_result(again, screen())
    sys.exit(0 if again.good else 1)


def asked_again(run: SystemRun, scenarios: tuple[str, ...]) -> PlayOrder | None:
    """Return what asks for the scenarios of a run that are to be played again; None if none is."""
    chosen = [
        each
        for each in run.scenarios
        if (each.name in scenarios if scenarios else each.verdict in BAD)
    ]
    if not chosen:
        return None
    try:
        orders = [asked_by(each.command) for each in chosen]
    except click.ClickException:
        raise ScenarioError(f"{run.name} was not played by this command.") from None
    return evolve(orders[0], scenarios=tuple(word for each in orders for word in each.scenarios))


def _with_password(asked: PlayOrder, endpoint: str | None) -> PlayOrder:
    """Let pods sign in again where a broker that was there was used. Raises `ScenarioError`."""
    if asked.endpoint is None or endpoint is None:
        return asked
    given = str(read_endpoint(endpoint))
    if given != asked.endpoint:
        raise ScenarioError(f"It was played on {asked.endpoint}, and the endpoint is {given} now.")
    return evolve(asked, endpoint=endpoint)


def _none(scenarios: tuple[str, ...]) -> str:
    if scenarios:
        return f"The result has no {' and no '.join(scenarios)}."
    return "Nothing failed in it; name the scenarios that are to be played again."
