"""`deployd chaos run`: plays scenarios, one after the other, and says what became of each."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click
import trio
from attrs import evolve
from click.core import ParameterSource

from ..common import screen
from .asked import PROGRAM, PlayOrder
from .players import Player, Venue, play_for_real, play_simulated
from .report import Result, SystemRun, written
from .report.command import keep
from .report.junit import junit_xml
from .report.page import html_page
from .report.table import RunProgress, print_result, show
from .scenario import BROKERS, TOPOLOGIES, Scenario, complete_names
from .targets import TARGETS, OurTarget

__all__ = ["asked_by", "played", "run"]

_File: Final = click.Path(dir_okay=False, path_type=Path)
_PLAY: Final = ("processes", "at_once", "result_file", "page", "junit")
"""How it is played and where it is written: not what is asked for."""


@click.command(
    epilog="""\b
Exit codes:
  0  every scenario came out as it should
  1  one failed, or could not be played
  2  wrong usage"""
)
@click.argument("scenarios", nargs=-1, metavar="[NAME…]", shell_complete=complete_names)
@click.option("--all", "everything", is_flag=True, help="All that are shipped.")
@click.option("--simulated", is_flag=True, help="In the simulator, in no time.")
@click.option("--broker", type=click.Choice(BROKERS), help="Without, all that have sense.")
@click.option("--topology", type=click.Choice(TOPOLOGIES), help="Without, all that have sense.")
@click.option("--endpoint", metavar="URL", envvar="CHAOS_ENDPOINT", show_envvar=True,
              help="A broker that is there (redis://, nats://, amqp://): nothing is done to it, "
              "only ways, pods and clients fail.")  # fmt: skip
@click.option("--target", "targets", multiple=True, default=[OurTarget.name], metavar="NAME",
              help=f"Whose pods: {', '.join(TARGETS)}, or module:Class. Repeat it for a table of "
              "several.")  # fmt: skip
@click.option("--pods", type=click.IntRange(2, 8), help="Instead of as many as a scenario has.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True,
              help="How many, from --seed on.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1), default=os.cpu_count() or 1,
              show_default="one a processor", help="Of the simulator.")  # fmt: skip
@click.option("--at-once", type=click.IntRange(1, 8), default=2, show_default=True,
              help="How many are played at a time, each on servers of its own.")  # fmt: skip
@click.option("--json", "result_file", type=_File, help="Write all, for `deployd chaos report`.")
@click.option("--html", "page", type=_File, help="Write one page that needs nothing else.")
@click.option("--junit", type=_File, help="Write JUnit's XML, for CI.")
def run(
    processes: int,
    at_once: int,
    result_file: Path | None,
    page: Path | None,
    junit: Path | None,
    **given: str | int | tuple[str, ...] | None,
) -> None:
    """Play scenarios, and hold what clients were told against the promise and what is expected.

    NAME is a shipped scenario, or a file that ends in .toml. Without --simulated, servers and pods
    are started here, on free ports, and are gone afterwards. Exits with 1 when one failed.
    """
    result = played(PlayOrder.of(given), processes, at_once)
    print_result(result, screen())
    for path, text in (
        (result_file, written),
        (page, lambda result: html_page(result).encode()),
        (junit, junit_xml),
    ):
        if path is not None:
            keep(path, text(result))
    sys.exit(0 if result.good else 1)


def asked_by(command: str) -> PlayOrder:
    """Return what a command asks for that `run` has written. Raises `click.UsageError`."""
    words = shlex.split(command)
    if tuple(words[: len(PROGRAM)]) != PROGRAM:
        raise click.UsageError(f"{command!r} is no command that plays anything.")
    with run.make_context("run", words[len(PROGRAM) :]) as context:
        given = {name: it for name, it in context.params.items() if name not in _PLAY}
        if context.get_parameter_source("endpoint") is ParameterSource.ENVIRONMENT:
            given["endpoint"] = None  # of now, and not of then
    return PlayOrder.of(given)


def played(asked: PlayOrder, processes: int, at_once: int) -> Result:
    """Play what is asked for, and show how it goes. Raises `ScenarioError`s and `TargetError`s."""
    chosen = asked.chosen()
    play: Player = partial(play_for_real, at_once)
    if asked.simulated:
        play = partial(play_simulated, processes)
    venues = asked.venues(list(chosen.values()))
    return Result(tuple(_played(asked.at(venue), venue, chosen, play) for venue in venues))


def _played(
    asked: PlayOrder, place: Venue, chosen: Mapping[str, Scenario], play: Player
) -> SystemRun:
    """Play all at a place."""
    began, clock, progress = datetime.now(UTC), time.monotonic(), RunProgress(len(chosen))
    scenarios = list(chosen.values())
    try:
        trio.run(_watched, place, scenarios, play, progress)
    except* KeyboardInterrupt:
        raise click.Abort from None
    # What is played again is its file, where it has one.
    words = {scenario.name: word for word, scenario in chosen.items()}
    order = list(words)
    return SystemRun(
        system=place.target.name,
        broker=place.broker,
        topology=place.topology,
        seed=place.seed,
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        command=str(asked),
        began=began,
        seconds=time.monotonic() - clock,
        scenarios=tuple(
            evolve(each, command=str(asked.alone(words[each.name])))
            for each in sorted(progress.ended, key=lambda each: order.index(each.name))
        ),
        version=place.target.version,
        pods=scenarios[0].pods.count,
        simulated=asked.simulated,
    )


async def _watched(
    place: Venue, scenarios: Sequence[Scenario], play: Player, progress: RunProgress
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(show, progress, screen())
        await play(place, scenarios, progress)
        nursery.cancel_scope.cancel()
