"""What an idle connection costs a pod: resident memory, and the time to let it in."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from _clients import Client, converse, open_clients
from _dialects import DEPLOYD
from _report import machine, quick, verdict
from _server import Server, raise_file_limit, running

WARM_UP = 100
"""Connections that stay open and do not count: what the first of a kind costs is not per piece."""

ROOMS = 50
PROMISED = 10.8
"""KB for an idle connection."""


def main() -> int:
    """Measure, print, and return the exit code."""
    count = 1_000 if quick("Memory for each idle connection.") else 5_000
    raise_file_limit(2 * count)
    print(machine())
    with ExitStack() as stack:
        server = stack.enter_context(running(DEPLOYD.name))
        stack.enter_context(open_clients(server.port, DEPLOYD, WARM_UP, room="warm"))
        before = _settled(server)
        started = time.monotonic()
        clients = stack.enter_context(open_clients(server.port, DEPLOYD, count))
        seconds = time.monotonic() - started
        idle = (_settled(server) - before) / count / 1024
        _join(clients)
        joined = (_settled(server) - before) / count / 1024
    print(f"{count} connections: {count / seconds:,.0f} a second, one process connecting")
    print(f"{idle:6.1f} KB each, idle, greeted; promised {PROMISED:g}: {verdict(idle <= PROMISED)}")
    print(f"{joined:6.1f} KB each, in one of {ROOMS} rooms")
    return 0


def _settled(server: Server) -> int:
    """Return the resident bytes of the server after a garbage collection."""
    server.order("tidy")
    server.reply()
    return server.rss


def _join(clients: list[Client]) -> None:
    for number in range(ROOMS):
        converse(clients[number::ROOMS], DEPLOYD.join(f"room-{number}"))


if __name__ == "__main__":
    sys.exit(main())
