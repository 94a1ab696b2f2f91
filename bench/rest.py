"""Requests a second of a collection over HTTP, beside FastAPI with SQLAlchemy on SQLite.

Both keep the same documents, in WAL, with every commit synced (`full`) and without (`normal`).
Rounds of what is compared alternate, because machines are noisy, and medians are compared. The
processor time that a server spends on a request says what the request costs, whatever else the
machine does meanwhile.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from _dialects import DEPLOYD
from _http_load import Load
from _report import machine, percentile, quick
from _todos import CONNECTIONS, DOCUMENTS, LISTED, Todos, start_fastapi, start_pod
from attrs import frozen

FASTAPI = "fastapi"
HEARD = f"{DEPLOYD.name}, heard"
"""The pod with a client that hears every change."""

Work = Callable[[Todos, float], Load]
"""A load of so many seconds."""


@frozen
class Round:
    """Requests a second, the server's processor time for one (microseconds), p99 (milliseconds)."""

    rate: float
    cost: float
    p99: float


def main() -> int:
    """Measure, print, and return the exit code."""
    hasty = quick("Requests a second of a collection over HTTP, side by side.")
    seconds, rounds = (0.3, 1) if hasty else (3.0, 7)
    print(machine())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print(f"{CONNECTIONS} connections, {DOCUMENTS} documents and more with every post")
        print(
            f"an fsync takes {_fsync(folder):.1f} ms; medians of {rounds} rounds of {seconds:g} s"
        )
        for durability in ("full", "normal"):
            servers = _start(stack, folder / durability, durability)
            if durability == "full":  # readers do not wait for a disk
                readers = {name: servers[name] for name in (DEPLOYD.name, FASTAPI)}
                _compare("get", Todos.get, readers, seconds, rounds)
                _compare(f"list of {LISTED}", Todos.find, readers, seconds, rounds)
            _compare(f"post, {durability}", Todos.post, servers, seconds, rounds)
    return 0


def _start(stack: ExitStack, folder: Path, durability: str) -> Mapping[str, Todos]:
    return {
        DEPLOYD.name: start_pod(stack, folder / "pod", durability),
        HEARD: start_pod(stack, folder / "heard", durability, heard=True),
        FASTAPI: start_fastapi(stack, folder / "fastapi", durability),
    }


def _compare(
    question: str, work: Work, servers: Mapping[str, Todos], seconds: float, rounds: int
) -> None:
    """Let the servers take turns, and print what came of it."""
    done: dict[str, list[Round]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, todos in servers.items():
            done[name].append(_round(work, todos, seconds))
    print(f"\n{question:18}{'requests/s':>12}{'µs each':>10}{'p99 ms':>9}")
    for name, each in done.items():
        median = _median(each)
        print(f"{name:18}{median.rate:12,.0f}{median.cost:10,.0f}{median.p99:9.1f}")
    rival = _median(done[FASTAPI])
    for name, each in done.items():
        if name != FASTAPI:
            median = _median(each)
            faster, cheaper = median.rate / rival.rate, rival.cost / median.cost
            print(f"{name:18}{faster:11.2f} × {FASTAPI}, {cheaper:.2f} × as cheap")


def _round(work: Work, todos: Todos, seconds: float) -> Round:
    before = todos.server.cpu
    load = work(todos, seconds)
    used = todos.server.cpu - before
    return Round(load.rate, used / load.count * 1e6, percentile(load.taken, 99) * 1e3)


def _median(rounds: Sequence[Round]) -> Round:
    return Round(
        statistics.median(each.rate for each in rounds),
        statistics.median(each.cost for each in rounds),
        statistics.median(each.p99 for each in rounds),
    )


def _fsync(folder: Path) -> float:
    """Return the milliseconds that this disk takes to have a page written, as it always will."""
    taken = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file)
            taken.append((time.perf_counter() - started) * 1e3)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
