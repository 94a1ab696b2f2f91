"""`deployd chaos run`: plays scenarios, one after the other, and says what became of each."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click
import trio
from attrs import evolve

from ..common import screen
from .players import Player, Venue, play_for_real, play_simulated
from .report import Result, SystemRun, written
from .report.command import keep
from .report.junit import junit_xml
from .report.page import html_page
from .report.table import RunProgress, print_result, show
from .scenario import (
    BROKERS,
    TOPOLOGIES,
    BrokerName,
    Scenario,
    ScenarioError,
    TopologyName,
    complete_names,
    find,
    names,
)
from .servers import WhereBroker, read_endpoint
from .targets import TARGETS, BenchTarget, OurTarget, TargetError, find_target, spelled

__all__ = ["played_again", "run"]

_File: Final = click.Path(dir_okay=False, path_type=Path)


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
    scenarios: tuple[str, ...],
    everything: bool,
    simulated: bool,
    broker: BrokerName | None,
    topology: TopologyName | None,
    endpoint: str | None,
    targets: tuple[str, ...],
    pods: int | None,
    seed: int,
    seeds: int,
    processes: int,
    at_once: int,
    result_file: Path | None,
    page: Path | None,
    junit: Path | None,
) -> None:
    """Play scenarios, and hold what clients were told against the promise and what is expected.

    NAME is a shipped scenario, or a file that ends in .toml. Without --simulated, servers and pods
    are started here, on free ports, and are gone afterwards. Exits with 1 when one failed.
    """
    if everything == bool(scenarios):
        raise click.UsageError("Name scenarios, or say --all; `deployd chaos list` names them.")
    systems = [find_target(name) for name in targets]
    if simulated and any(not isinstance(system, OurTarget) for system in systems):
        raise click.UsageError("The simulator has no other pods than deployd's.")
    chosen = [_with_pods(find(name), pods) for name in scenarios or names()]
    where = None if endpoint is None else read_endpoint(endpoint)
    if where is not None:
        if simulated:
            raise click.UsageError("The simulator uses no --endpoint.")
        if any(not isinstance(system, OurTarget) for system in systems):
            raise click.UsageError("On an --endpoint only deployd's pods keep apart from others.")
        broker, topology = _asked(where, broker, topology)
    sites = list(_places(chosen, broker, topology))
    if not sites:
        raise ScenarioError(_nowhere(chosen[0], broker, topology))
    for system in systems:
        _find_room(system, sites)
    places = [
        Venue(system, one, two, number, where)
        for number in range(seed, seed + seeds)
        for one, two in sites
        for system in systems
        if system.objection(one, two) is None
    ]
    play: Player = (
        partial(play_simulated, processes) if simulated else partial(play_for_real, at_once)
    )
    files = dict(zip((each.name for each in chosen), scenarios, strict=False))
    runs = [_played(place, chosen, play, files, simulated=simulated) for place in places]
    result = Result(tuple(runs))
    print_result(result, screen())
    for path, text in (
        (result_file, written),
        (page, lambda result: html_page(result).encode()),
        (junit, junit_xml),
    ):
        if path is not None:
            keep(path, text(result))
    sys.exit(0 if result.good else 1)


def played_again(run: SystemRun, scenarios: Sequence[str]) -> SystemRun:
    """Play scenarios of a run as they were played then. Raises `ScenarioError`s."""
    broker = next((one for one in BROKERS if one == run.broker), None)
    topology = next((one for one in TOPOLOGIES if one == run.topology), None)
    if broker is None or topology is None:
        raise ScenarioError(f"{run.name} was not played by this command.")
    play: Player = partial(play_for_real, 1)
    if run.simulated:
        play = partial(play_simulated, os.cpu_count() or 1)
    venue = Venue(find_target(run.system), broker, topology, run.seed)
    return _played(venue, list(map(find, scenarios)), play, {}, simulated=run.simulated)


def _with_pods(scenario: Scenario, pods: int | None) -> Scenario:
    return scenario if pods is None else evolve(scenario, pods=evolve(scenario.pods, count=pods))


def _places(
    chosen: Sequence[Scenario], broker: BrokerName | None, topology: TopologyName | None
) -> Iterator[tuple[BrokerName, TopologyName]]:
    """Yield where any of these has sense."""
    for one in BROKERS:
        for two in TOPOLOGIES:
            asked = broker in (None, one) and topology in (None, two)
            if asked and any(each.objection(one, two) is None for each in chosen):
                yield one, two


def _asked(
    where: WhereBroker, broker: BrokerName | None, topology: TopologyName | None
) -> tuple[BrokerName, TopologyName]:
    """Return what an endpoint is, if nothing else was asked for."""
    kind = next(one for one in BROKERS if one == where.kind)
    if broker not in (None, kind) or topology not in (None, "single"):
        raise click.UsageError(f"{where} is one server of {kind}, and nothing else.")
    return kind, "single"


def _nowhere(scenario: Scenario, broker: str | None, topology: str | None) -> str:
    reason = scenario.objection(broker or BROKERS[0], topology or TOPOLOGIES[0])
    return f"{scenario.name} has no sense there: {reason or 'it has none anywhere.'}"


def _find_room(target: BenchTarget, sites: Sequence[tuple[BrokerName, TopologyName]]) -> None:
    """See that a system is played anywhere. Raises `TargetError`."""
    objections = [target.objection(*site) for site in sites]
    if None not in objections:
        raise TargetError(str(objections[0]))


def _played(
    place: Venue,
    scenarios: Sequence[Scenario],
    play: Player,
    files: Mapping[str, str],
    *,
    simulated: bool,
) -> SystemRun:
    """Play all at a place, and show how it goes; `files` is what scenarios were asked for by."""
    began, clock, progress = datetime.now(UTC), time.monotonic(), RunProgress(len(scenarios))
    trio.run(_watched, place, scenarios, play, progress)
    words = ["--simulated"] if simulated else []
    if not isinstance(place.target, OurTarget):
        words += ["--target", spelled(place.target)]
    words += ["--broker", place.broker, "--topology", place.topology, "--seed", str(place.seed)]
    if place.where is not None:
        words += ["--endpoint", str(place.where)]
    options, order = " ".join(words), [each.name for each in scenarios]
    asked = [files.get(name, name) for name in order]
    return SystemRun(
        system=place.target.name,
        broker=place.broker,
        topology=place.topology,
        seed=place.seed,
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        command=f"deployd chaos run {'--all' if order == names() else ' '.join(asked)} {options}",
        began=began,
        seconds=time.monotonic() - clock,
        scenarios=tuple(
            evolve(each, command=f"deployd chaos run {files.get(each.name, each.name)} {options}")
            for each in sorted(progress.ended, key=lambda each: order.index(each.name))
        ),
        version=place.target.version,
        pods=scenarios[0].pods.count,
        simulated=simulated,
    )


async def _watched(
    place: Venue, scenarios: Sequence[Scenario], play: Player, progress: RunProgress
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(show, progress, screen())
        await play(place, scenarios, progress)
        nursery.cancel_scope.cancel()
