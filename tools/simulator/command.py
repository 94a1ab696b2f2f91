"""`deployd simulate`: run pods on a virtual clock, seed after seed, and say what they broke."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

import click
from attrs import evolve, frozen

from ..oracle import RULES, Violation, digest, judge
from .faults import BrokerName
from .plan import BROKERS, RunPlan, plan
from .process import prepare, quiet
from .shrink import shrink
from .world import run

__all__ = ["Verdict", "simulate", "verdict"]

SHOWN: Final = 5
"""Seeds that are told in full when several fail."""


@frozen
class Verdict:
    """What became of a seed: a digest of all that was seen, and what it broke."""

    plan: RunPlan
    digest: str
    violations: tuple[Violation, ...]


def verdict(made: RunPlan, rules: tuple[str, ...] = tuple(RULES)) -> Verdict:
    """Run a plan and judge it."""
    history = run(made)
    return Verdict(made, digest(history), tuple(judge(history, rules)))


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=200, show_default=True,
              help="How many, from --first on.")  # fmt: skip
@click.option("--first", type=click.IntRange(0), default=0, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="This one only: twice, and shrunk if it "
              "fails.")  # fmt: skip
@click.option("--broker", type=click.Choice([*BROKERS, "all"]), default="all", show_default=True)
@click.option("--rule", "rules", multiple=True, type=click.Choice(list(RULES)),
              help="Judge by this rule; more than once for several. All, without.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1), default=os.cpu_count() or 1,
              show_default="one a processor")  # fmt: skip
def simulate(
    seeds: int, first: int, seed: int | None, broker: str, rules: tuple[str, ...], processes: int
) -> None:
    """Run whole pods in simulated networks that fail, and judge what their clients were told.

    Exits with 1 when a rule was broken; each seed that did is printed, and --seed replays it.
    """
    rules = rules or tuple(RULES)
    names: tuple[BrokerName | None, ...] = (None,)
    if broker != "all":
        names = tuple(name for name in BROKERS if name == broker)
    if seed is not None:
        quiet()
        sys.exit(_replay(plan(seed, names[0]), rules))
    sys.exit(_many(range(first, first + seeds), names[0], rules, processes))


def _many(seeds: range, broker: BrokerName | None, rules: tuple[str, ...], processes: int) -> int:
    began, failed, broken = time.perf_counter(), 0, Counter[str]()
    # The order of what stands in sets of strings is drawn anew by each process, but for this.
    os.environ["PYTHONHASHSEED"] = "0"
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=prepare
    )
    with pool:
        for each in pool.map(partial(_judged, broker, rules), seeds, chunksize=5):
            if not each.violations:
                continue
            failed += 1
            broken.update({violation.rule for violation in each.violations})
            if failed <= SHOWN:
                _tell(each)
            else:
                click.echo(f"seed {each.plan.seed} fails")
    seconds = time.perf_counter() - began
    click.echo(
        f"{len(seeds)} seeds in {seconds:.1f} s ({len(seeds) / seconds:.1f} a second), "
        f"{failed} failed" + "".join(f", {name}: {n}" for name, n in broken.most_common())
    )
    return 1 if failed else 0


def _judged(broker: BrokerName | None, rules: tuple[str, ...], seed: int) -> Verdict:
    return verdict(plan(seed, broker), rules)


def _replay(made: RunPlan, rules: tuple[str, ...]) -> int:
    once, again = verdict(made, rules), verdict(made, rules)
    _tell(once)
    if once.digest != again.digest:
        click.echo(f"It was not the same twice: {once.digest}, {again.digest}.")
        return 1
    if not once.violations:
        return 0
    # What is left must break the same rule first, or shrinking would end at another trouble.
    rule = once.violations[0].rule
    small = shrink(made, lambda smaller: bool(verdict(smaller, (rule,)).violations))
    said = len(small.deeds)
    click.echo(f"shrunk to {len(small.faults)} faults and {said} of {len(made.deeds)} deeds:")
    _tell(verdict(evolve(small), (rule,)))
    return 1


def _tell(found: Verdict) -> None:
    made = found.plan
    click.echo(
        f"seed {made.seed} ({made.broker}, {made.pods} pods on {made.nodes} nodes, trace "
        f"{found.digest}): " + ("fails" if found.violations else "all is well")
    )
    for fault in made.faults:
        click.echo(f"  {fault}")
    for violation in found.violations[:10]:
        click.echo(f"  ✗ {violation}")
