"""Deliveries a second from one room to many clients, beside `websockets` and python-socketio.

The servers' own code emits at full speed; one more row has a client of the pod emit. Rounds of
the systems alternate, because machines are noisy, and the medians are compared.
Exits with 1 when a pod has lost anything or disconnected anybody.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack

from _clients import open_clients
from _dialects import DEPLOYD, ROOM, SOCKETIO, WEBSOCKETS, Dialect
from _flood import ClientSource, Flood, ServerSource, receive_flood
from _report import machine, quick, verdict
from _server import raise_file_limit, running

CLIENTS = 200
LIMIT = 50_000
"""Messages of one round, at most: what `websockets` buffers is bounded by this alone."""

Round = Callable[[], Flood]


def main() -> int:
    """Measure, print, and return the exit code."""
    hasty = quick("Deliveries a second, side by side.")
    seconds, rounds = (0.4, 2) if hasty else (1.5, 5)
    raise_file_limit(4 * CLIENTS)
    print(machine())
    print(f"{CLIENTS} clients in one room, medians of {rounds} rounds of {seconds} s of emits")
    with ExitStack() as stack:
        contenders = _contenders(stack, seconds)
        floods: dict[str, list[Flood]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, run in contenders.items():
                floods[name].append(run())
    _print(floods)
    ours = [
        flood for name, done in floods.items() if name.startswith(DEPLOYD.name) for flood in done
    ]
    return 0 if all(flood.whole for flood in ours) else 1


def _contenders(stack: ExitStack, seconds: float) -> dict[str, Round]:
    rounds = {
        dialect.name: _server_round(stack, dialect, seconds)
        for dialect in (DEPLOYD, WEBSOCKETS, SOCKETIO)
    }
    return rounds | {"deployd, a client emits": _client_round(stack, seconds)}


def _server_round(stack: ExitStack, dialect: Dialect, seconds: float) -> Round:
    server = stack.enter_context(running(dialect.name))
    clients = stack.enter_context(open_clients(server.port, dialect, CLIENTS, room=ROOM))
    size = dialect.text_bytes()
    return lambda: receive_flood(
        clients, ServerSource(server, seconds=seconds, limit=LIMIT, size=size), seconds
    )


def _client_round(stack: ExitStack, seconds: float) -> Round:
    server = stack.enter_context(running(DEPLOYD.name))
    clients = stack.enter_context(open_clients(server.port, DEPLOYD, CLIENTS, room=ROOM))
    (emitter,) = stack.enter_context(open_clients(server.port, DEPLOYD, 1))
    return lambda: receive_flood(
        clients, ClientSource(emitter, DEPLOYD, seconds=seconds, limit=LIMIT), seconds
    )


def _print(floods: dict[str, list[Flood]]) -> None:
    print(f"\n{'':26}{'deliveries/s':>14}{'frame':>8}{'lost':>7}{'garbled':>9}{'disconnected':>14}")
    rates = {}
    for name, done in floods.items():
        rates[name] = statistics.median(flood.rate for flood in done)
        print(
            f"{name:26}{rates[name]:14,.0f}{done[0].frame_bytes:6.0f} B"
            f"{sum(flood.lost for flood in done):7}{sum(flood.garbled for flood in done):9}"
            f"{max(flood.disconnected for flood in done):14}"
        )
    print()
    for rival, promised in ((WEBSOCKETS.name, 1), (SOCKETIO.name, 5)):
        ratio = rates[DEPLOYD.name] / rates[rival]
        print(f"{ratio:6.1f} × {rival:16} promised {promised} ×: {verdict(ratio >= promised)}")


if __name__ == "__main__":
    sys.exit(main())
