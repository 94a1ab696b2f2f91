"""`deployd chaos run`: plays scenarios, one after the other, and says what became of each."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

import click
import orjson
from attrs import frozen

from .scenario import (
    BROKERS,
    TOPOLOGIES,
    BrokerName,
    Judgement,
    Scenario,
    ScenarioError,
    TopologyName,
    find,
    names,
)
from .simulated import obstacle, prepare, simulate_scenario

__all__ = ["run"]

SHOWN: Final = 4
"""Violations that are told of a scenario that failed."""


@frozen
class Played:
    """A scenario with a broker and a seed; `reason` is why it was not played."""

    name: str
    broker: BrokerName
    topology: TopologyName
    seed: int
    reason: str = ""
    outcome: Judgement | None = None

    @property
    def verdict(self) -> str:
        """Say what became of it in a word or two."""
        if self.outcome is None:
            return "not simulated"
        return "passed" if self.outcome.passed else "failed"


@click.command()
@click.argument("scenarios", nargs=-1, metavar="[NAME…]")
@click.option("--all", "everything", is_flag=True, help="All that are shipped.")
@click.option("--simulated", is_flag=True, help="In the simulator.")
@click.option("--broker", type=click.Choice(BROKERS), help="Without, all that have sense.")
@click.option("--topology", type=click.Choice(TOPOLOGIES), help="Without, all that have sense.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True,
              help="How many, from --seed on.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1), default=os.cpu_count() or 1,
              show_default="one a processor")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each, for programs.")
def run(
    scenarios: tuple[str, ...],
    everything: bool,
    simulated: bool,
    broker: BrokerName | None,
    topology: TopologyName | None,
    seed: int,
    seeds: int,
    processes: int,
    as_json: bool,
) -> None:
    """Play scenarios, and hold what clients were told against the promise and what is expected.

    NAME is a shipped scenario, or a file that ends in .toml. Exits with 1 when one failed.
    """
    if not simulated:
        raise click.UsageError("Only --simulated can be played so far.")
    if everything == bool(scenarios):
        raise click.UsageError("Name scenarios, or say --all; `deployd chaos list` names them.")
    chosen = [find(name) for name in scenarios or names()]
    plays = [
        (each, one, two, number)
        for each in chosen
        for one, two in _places(each, broker, topology, strict=not everything)
        for number in range(seed, seed + seeds)
    ]
    began, verdicts = time.perf_counter(), Counter[str]()
    for played in _played(plays, processes):
        verdicts[played.verdict] += 1
        if as_json:
            click.echo(orjson.dumps(_as_json(played)))
        else:
            _tell(played)
    if not as_json:
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        click.echo(f"{told}; {time.perf_counter() - began:.1f} s")
    sys.exit(1 if verdicts["failed"] else 0)


def _places(
    scenario: Scenario, broker: BrokerName | None, topology: TopologyName | None, *, strict: bool
) -> Iterator[tuple[BrokerName, TopologyName]]:
    """Yield where to play one; raise a sentence where that is nowhere, if it was asked for."""
    found = [
        (one, two)
        for one, two in scenario.applies()
        if broker in (None, one) and topology in (None, two)
    ]
    if not found and strict:
        reason = scenario.objection(broker or BROKERS[0], topology or TOPOLOGIES[0])
        raise ScenarioError(f"{scenario.name} has no sense there: {reason or scenario.not_run}")
    yield from found


_Play = tuple[Scenario, BrokerName, TopologyName, int]


def _played(plays: Sequence[_Play], processes: int) -> Iterator[Played]:
    """Play all, in their order. What is left to chance is the same in each process."""
    os.environ["PYTHONHASHSEED"] = "0"  # the order of what stands in sets of strings, too
    context = multiprocessing.get_context("spawn")
    workers = max(1, min(processes, len(plays)))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=prepare) as pool:
        yield from pool.map(_play, plays)


def _play(play: _Play) -> Played:
    scenario, broker, topology, seed = play
    played = partial(Played, scenario.name, broker, topology, seed)
    reason = obstacle(scenario, broker, topology)
    if reason is not None:
        return played(reason=reason)
    return played(outcome=simulate_scenario(scenario, broker, topology, seed))


def _tell(played: Played) -> None:
    mark = {"passed": "✓", "failed": "✗"}.get(played.verdict, "–")
    where = f"{played.broker} {played.topology}"
    line = f"{mark} {played.name:26} {where:18} seed {played.seed:<4} "
    click.echo(line + "".join(_figures(played)))
    if played.outcome is not None and not played.outcome.passed:
        for check in played.outcome.checks:
            if not check.held:
                click.echo(f"    {check}")
        for violation in played.outcome.violations[:SHOWN]:
            click.echo(f"    {violation}")


def _figures(played: Played) -> Iterable[str]:
    if played.outcome is None:
        yield played.reason
        return
    found = played.outcome.measures
    yield f"{found.sent} sent, {found.here} heard here, {found.elsewhere} elsewhere, "
    yield f"{found.declared} declared lost, {found.undeclared} not"
    for word, seconds in (("noticed", found.detected), ("healed", found.healed)):
        if seconds is not None:
            yield f", {word} in {seconds:.2f} s"


def _as_json(played: Played) -> dict[str, object]:
    outcome = played.outcome
    told: dict[str, object] = {
        "scenario": played.name,
        "broker": played.broker,
        "topology": played.topology,
        "seed": played.seed,
        "verdict": played.verdict,
    }
    if outcome is None:
        return told | {"reason": played.reason}
    found = outcome.measures
    return told | {
        "sent": found.sent,
        "here": found.here,
        "elsewhere": found.elsewhere,
        "declared": found.declared,
        "undeclared": found.undeclared,
        "false_receipts": found.false_receipts,
        "detected": found.detected,
        "told": found.told,
        "healed": found.healed,
        "checks": [str(check) for check in outcome.checks if not check.held],
        "violations": [str(violation) for violation in outcome.violations],
    }
