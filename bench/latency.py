"""From an emit to its arrival at another client, on an idle pod, beside the rivals.

Two clients in one room take turns over blocking sockets, one message at a time. Rounds of the
systems alternate, because machines are noisy; the best round's percentiles would flatter, so the
median of the rounds is printed.
"""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import ExitStack

from _clients import Client, open_clients
from _dialects import DEPLOYD, ROOM, SOCKETIO, WEBSOCKETS, Dialect
from _report import machine, percentile, quick, verdict
from _server import running

WARM_UP = 300
PERCENTS = (50.0, 90.0, 99.0, 100.0)
PROMISED = 1.0
"""Milliseconds at p50."""


def main() -> int:
    """Measure, print, and return the exit code."""
    hasty = quick("Milliseconds from an emit to its arrival at another client.")
    trips, rounds = (500, 2) if hasty else (2_000, 5)
    print(machine())
    print(f"two clients in one room, {trips} messages a round, medians of {rounds} rounds")
    print(f"\n{'milliseconds':18}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}")
    with ExitStack() as stack:
        pairs = {dialect: _pair(stack, dialect) for dialect in (DEPLOYD, WEBSOCKETS, SOCKETIO)}
        figures: dict[str, list[list[float]]] = {dialect.name: [] for dialect in pairs}
        for _ in range(rounds):
            for dialect, (speaker, listener) in pairs.items():
                figures[dialect.name].append(_round(dialect, speaker, listener, trips))
    medians = {name: _medians(done) for name, done in figures.items()}
    for name, values in medians.items():
        print(f"{name:18}" + "".join(f"{value:9.3f}" for value in values))
    p50 = medians[DEPLOYD.name][0]
    print(f"\np50 {p50:.3f} ms, promised below {PROMISED:g} ms: {verdict(p50 < PROMISED)}")
    return 0


def _pair(stack: ExitStack, dialect: Dialect) -> tuple[Client, Client]:
    server = stack.enter_context(running(dialect.name))
    speaker, listener = stack.enter_context(open_clients(server.port, dialect, 2, room=ROOM))
    _round(dialect, speaker, listener, WARM_UP)
    return speaker, listener


def _round(dialect: Dialect, speaker: Client, listener: Client, trips: int) -> list[float]:
    """Return the milliseconds at each of the percents."""
    taken = []
    for number in range(trips):
        text = f"#{number}"
        started = time.perf_counter()
        speaker.send(dialect.say(text))
        heard = listener.receive()
        taken.append((time.perf_counter() - started) * 1e3)
        assert text in heard, heard
        speaker.receive()  # the sender hears itself too; then the pod is idle again
    taken.sort()
    return [percentile(taken, percent) for percent in PERCENTS]


def _medians(rounds: list[list[float]]) -> list[float]:
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
