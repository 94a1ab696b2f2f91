"""Runs tests that open rooms once for each of many seeds: `pytest --rooms=simulator`.

Each run is one of its own, with fixtures of its own; what is left to chance in it, ids and the
order of tasks included, follows the seed. A test that opens no room runs once.
"""

from __future__ import annotations

from typing import Final

import pytest
from _pytest.runner import runtestprotocol

from ..tools.simulator.chance import seeded
from .simulation import VARIABLE, chosen, hash_seed
from .whereabouts import CHOICE

__all__ = ["SeededRuns"]

SHOWN: Final = 20
"""Failing seeds that are named."""


class SeededRuns:
    """The hook of pytest that repeats tests, `seeds` times."""

    def __init__(self, seeds: int) -> None:
        self._seeds = range(seeds)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test with seed after seed, and report the first that fails, or the last."""
        hook, seeds = item.ihook, chosen(self._seeds)
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        told: list[pytest.TestReport] = []
        failed: list[int] = []
        for seed in seeds:
            opened = CHOICE.opened
            with seeded(seed):
                reports = runtestprotocol(item, log=False, nextitem=nextitem)
            if any(report.failed for report in reports):
                failed.append(seed)
                told = reports if len(failed) == 1 else told
            told = told or reports
            if CHOICE.opened == opened:
                break
        for report in told:
            if report.failed:
                report.sections.append(("Seeds", _told(item, failed, seeds)))
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True


def _told(item: pytest.Item, failed: list[int], seeds: range) -> str:
    """Say which seeds fail, and how to run the first again."""
    more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    names = ", ".join(map(str, failed[:SHOWN]))
    again = f"{hash_seed()}{VARIABLE}={failed[0]} pytest --rooms=simulator {item.nodeid}"
    return f"{len(failed)} of {len(seeds)} seeds fail: {names}{more}\nagain: {again}"
