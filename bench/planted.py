"""Which shipped scenarios find what is broken on purpose, in the simulator.

    python bench/planted.py [--finders 3] [--seed 0] [NAME …]

Each mutation (`mutations.py`) takes one thing away that keeps the promise. Scenarios are played
until so many of them have failed that do not fail without it; one that none finds is a hole in the
catalogue.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from typing import Final, TypeAlias

from _hunt import hunt, hunting
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
    """Yield where to play what: each scenario with one broker, then each with another, till all."""
    mixed = [names()[STEP * n % len(names())] for n in range(len(names()))]
    can = {name: list(shipped(name).applies()) for name in mixed}
    for which in range(max(map(len, can.values()))):
        for place, name in enumerate(mixed):
            if which < len(can[name]):
                broker, topology = can[name][(which + place) % len(can[name])]
                if obstacle(shipped(name), broker, topology) is None:
                    yield name, broker, topology


def failed(mutation: str | None, seed: int, place: Place) -> str | None:
    """Return what a play broke with a mutation, if anything; a process is broken only once."""
    name, broker, topology = place
    if mutation is not None and mutation not in _BROKEN:
        _BROKEN.add(mutation)
        MUTATIONS[mutation]()
    try:
        outcome = simulate_scenario(shipped(name), broker, topology, seed)
    except Exception as error:  # noqa: BLE001 - what is broken may break in any way
        return type(error).__name__
    if outcome.passed:
        return None
    broken = Counter(each.rule for each in outcome.violations)
    unmet = [check.name for check in outcome.checks if not check.held and check.name != "rules"]
    return ", ".join(dict.fromkeys([*broken, *unmet]))


_BROKEN: Final[set[str]] = set()


def finders(
    mutation: str, most: int, seed: int, processes: int, sound: Callable[[Place], bool]
) -> list[str]:
    """Play until `most` plays have failed that are `sound` without it, or all were tried."""
    found: list[str] = []
    where = list(places())
    with ProcessPoolExecutor(processes, _SPAWN, initializer=prepare) as pool:
        for start in range(0, len(where), AT_A_TIME):
            some = where[start : start + AT_A_TIME]
            results = pool.map(partial(failed, mutation, seed), some)
            for place, why in zip(some, results, strict=True):
                if why is not None and len(found) < most and sound(place):
                    found.append(f"{' '.join(place)} ({why})")
            if len(found) >= most:
                break
    return found


_SPAWN: Final = multiprocessing.get_context("spawn")


def main() -> int:
    """Try each mutation, print a table, and return 1 when one was not found."""
    options = hunting(__doc__, MUTATIONS)
    options.add_argument("--finders", type=int, default=3)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()

    @cache
    def sound(place: Place) -> bool:
        with ProcessPoolExecutor(1, _SPAWN, initializer=prepare) as pool:
            return pool.submit(failed, None, chosen.seed, place).result() is None

    def find(name: str) -> str | None:
        found = finders(name, chosen.finders, chosen.seed, chosen.processes, sound)
        return "; ".join(found) or None

    return hunt(chosen.names or MUTATIONS, find, "not found")


if __name__ == "__main__":
    sys.exit(main())
