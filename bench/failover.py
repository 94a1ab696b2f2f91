"""What two pods do when their broker dies, freezes and returns, and how fast they are joined.

Two pods as processes, the broker as a real server. The zeros are computed from histories by
`tests/support/crossing.py`. Exits with 1 when one of them is none.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from functools import partial

import trio
from _brokers import BROKERS, broker_server
from _crossing import idle_latency
from _outages import freeze, kill, show
from _phases import phases
from _report import machine
from _restarts import many_restarts
from _throughput import throughput

PARTS = ("kill", "freeze", "phases", "restarts", "latency", "throughput")


def main() -> int:
    """Measure, print, and return the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(machine())
    good = True
    for kind in options.broker:
        print(f"\n{kind}")
        for part in options.part:
            good = trio.run(partial(_part, kind, part, options)) and good
            sys.stdout.flush()  # for whoever reads along
    return 0 if good else 1


async def _part(kind: str, part: str, options: argparse.Namespace) -> bool:
    with broker_server(kind) as (server, broker):
        if part == "kill":
            return show(await kill(server, broker), 0.5)
        if part == "freeze":
            return show(await freeze(server, broker, options.frozen), 3.0)
        if part == "phases":
            idle = await phases(server, broker, options.phases, load=False)
            return await phases(server, broker, options.phases, load=True) and idle
        if part == "restarts":
            return await many_restarts(server, broker, options.restarts)
        if part == "latency":
            return await idle_latency(kind, broker)
        return await trio.to_thread.run_sync(throughput, kind, broker)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=list(BROKERS), action="append")
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--restarts", type=int, default=200)
    parser.add_argument("--phases", type=int, default=10, help="freezes, and pauses")
    parser.add_argument("--frozen", type=float, default=20.0, help="seconds of SIGSTOP")
    options = parser.parse_args(arguments)
    options.broker = options.broker or list(BROKERS)
    options.part = options.part or list(PARTS)
    return options


if __name__ == "__main__":
    sys.exit(main())
