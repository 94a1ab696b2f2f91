"""Deliveries a second from one room to many clients, beside `websockets` and python-socketio.

The servers' own code emits at full speed. Two more rows have a client of the pod emit, and a pod
that does not join messages into one write: what it does when they come one at a time. Rounds of
the systems alternate, because machines are noisy, and the medians are compared.
Exits with 1 when a pod has lost anything or disconnected anybody.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from _clients import Client, open_clients
from _dialects import DEPLOYD, ROOM, SOCKETIO, WEBSOCKETS, Dialect
from _flood import ClientSource, Flood, ServerSource, receive_flood
from _report import machine, quick, verdict
from _server import Server, Settings, raise_file_limit, running

CLIENTS = 200
LIMIT = 50_000
"""Messages of one round, at most: nothing else bounds what a rival may buffer."""

ONE_BY_ONE = "deployd, one by one"
UNJOINED: Settings = {"performance.batchMessageProcessing": False, "limits.roomMailboxSize": 20}
"""A pod that joins nothing. What waits for the room is short, or draining it takes seconds."""

Round = Callable[[], Flood]


def main() -> int:
    """Measure, print, and return the exit code."""
    hasty = quick("Deliveries a second, side by side.")
    seconds, rounds = (0.3, 1) if hasty else (0.7, 5)
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
    """Start the servers with their clients, and return what one round of each is."""

    def crowd(dialect: Dialect, settings: Settings | None = None) -> tuple[Server, list[Client]]:
        server = stack.enter_context(running(dialect.name, settings))
        return server, stack.enter_context(open_clients(server.port, dialect, CLIENTS, room=ROOM))

    def server_emits(dialect: Dialect, server: Server, clients: list[Client]) -> Flood:
        size = dialect.text_bytes()
        source = ServerSource(server, seconds=seconds, limit=LIMIT, size=size)
        return receive_flood(clients, source, seconds)

    def client_emits(emitter: Client, clients: list[Client]) -> Flood:
        source = ClientSource(emitter, DEPLOYD, seconds=seconds, limit=LIMIT)
        return receive_flood(clients, source, seconds)

    pod, members = crowd(DEPLOYD)
    (emitter,) = stack.enter_context(open_clients(pod.port, DEPLOYD, 1))
    return {
        DEPLOYD.name: partial(server_emits, DEPLOYD, pod, members),
        WEBSOCKETS.name: partial(server_emits, WEBSOCKETS, *crowd(WEBSOCKETS)),
        SOCKETIO.name: partial(server_emits, SOCKETIO, *crowd(SOCKETIO)),
        "deployd, a client emits": partial(client_emits, emitter, members),
        ONE_BY_ONE: partial(server_emits, DEPLOYD, *crowd(DEPLOYD, UNJOINED)),
    }


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
    print(f"{rates[ONE_BY_ONE] / rates[WEBSOCKETS.name]:6.1f} × {WEBSOCKETS.name:16} one by one")


if __name__ == "__main__":
    sys.exit(main())
