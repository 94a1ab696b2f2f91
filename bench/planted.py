"""Which shipped scenarios find what is broken on purpose, in the simulator.

    python bench/planted.py [--finders 3] [--seed 0] [NAME …]

Each mutation (`mutations.py`) takes one thing away that keeps the promise. Scenarios are played
until so many of them have failed that do not fail without it; one that none finds is a hole in the
catalogue.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final, TypeAlias

from _report import machine
from mutations import MUTATIONS

from deployd.tools.chaos.scenario import BrokerName, TopologyName, names, shipped
from deployd.tools.chaos.simulated import obstacle, simulate_scenario
from deployd.tools.simulator import prepare

Place: TypeAlias = tuple[str, BrokerName, TopologyName]

AT_A_TIME: Final = 8
"""Plays after which it is looked whether enough have found a mutation."""
STEP: Final = 37
"""Scenarios that are passed over each time: those that stand beside each other are alike."""


def places() -> Iterator[Place]:
    """Yield where to play what: each scenario with the first broker of its own, then the last."""
    can: dict[str, list[tuple[BrokerName, TopologyName]]] = {}
    for name in names():
        scenario = shipped(name)
        can[name] = [place for place in scenario.applies() if obstacle(scenario, *place) is None]
    mixed = [names()[STEP * n % len(names())] for n in range(len(names()))]
    for which in (0, -1):
        for name in mixed:
            if can[name][which:]:
                yield (name, *can[name][which])


def failed(mutation: str | None, seed: int, place: Place) -> tuple[Place, str] | None:
    """Return what a play broke with a mutation, if anything; a process is broken only once."""
    name, broker, topology = place
    if mutation is not None and mutation not in _BROKEN:
        _BROKEN.add(mutation)
        MUTATIONS[mutation]()
    try:
        outcome = simulate_scenario(shipped(name), broker, topology, seed)
    except Exception as error:  # noqa: BLE001 - what is broken may break in any way
        return place, type(error).__name__
    if outcome.passed:
        return None
    return place, ", ".join(check.name for check in outcome.checks if not check.held)


_BROKEN: Final[set[str]] = set()


def finders(
    mutation: str | None, most: int, seed: int, processes: int, where: list[Place]
) -> list[tuple[Place, str]]:
    """Play until `most` plays have failed, or all were tried."""
    found: list[tuple[Place, str]] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=prepare) as pool:
        for start in range(0, len(where), AT_A_TIME):
            results = pool.map(partial(failed, mutation, seed), where[start : start + AT_A_TIME])
            found += [result for result in results if result is not None]
            if len(found) >= most:
                break
    return found[:most]


def main() -> int:
    """Try each mutation, print a table, and return 1 when one was not found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MUTATIONS))
    options.add_argument("--finders", type=int, default=3)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = options.parse_args()
    os.environ["PYTHONHASHSEED"] = "0"
    print(machine())
    where = list(places())
    failing = dict(finders(None, len(where), chosen.seed, chosen.processes, where))
    where = [place for place in where if place not in failing]
    left_out = "; ".join(f"{' '.join(place)} ({why})" for place, why in failing.items())
    print(f"{len(where)} plays; failing in any case: {left_out or 'none'}", flush=True)
    missed = 0
    for name in chosen.names or MUTATIONS:
        began = time.monotonic()
        found = finders(name, chosen.finders, chosen.seed, chosen.processes, where)
        missed += not found
        told = "; ".join(f"{' '.join(place)} ({why})" for place, why in found)
        print(f"{name:32} {told or 'not found'} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
