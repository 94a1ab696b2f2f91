"""What a client's emit costs a server, from its socket to those of the ten in its room.

    python bench/way_in.py [--quick]

A hundred rooms of ten clients each; in each room one speaks. All speak at once, and again when all
have heard all: one emit each, or as many as come in one read. Processor time is the server's
process alone. Beside it the same with the library `websockets`, whose handler is a loop around its
broadcast.
"""

from __future__ import annotations

import json
import selectors
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from _clients import Client, converse, open_clients
from _dialects import DEPLOYD, EVENT, WEBSOCKETS, Dialect
from _frames import client_frame
from _report import machine, quick
from _server import raise_file_limit, running
from attrs import evolve, frozen

ROOMS: Final = 100
MEMBERS: Final = 10
TOGETHER: Final = (1, 10)
"""Emits that a client sends at a time."""
WORDS: Final = "hello there, how are you today"
MARK: Final = b"how are you"
"""What each delivery has in it once."""
PATIENCE: Final = 10.0
"""Seconds after which deliveries are given up."""


@frozen
class Cost:
    """Microseconds of a processor: a new connection, and an emit for each of `TOGETHER`."""

    connection: float
    emits: tuple[float, ...]


def main() -> int:
    """Measure in turns, print the medians, and return the exit code."""
    rounds, emits = (1, 2_000) if quick("A client's emit into a room of ten.") else (3, 30_000)
    raise_file_limit(3 * ROOMS * MEMBERS)
    print(machine())
    costs = [(measured(DEPLOYD, emits), measured(WEBSOCKETS, emits)) for _ in range(rounds)]
    ours, theirs = zip(*costs, strict=True)
    print(f"medians of {rounds} rounds, us of a processor{'deployd':>21}{'websockets':>14}{'':>8}")
    rows = {"a new connection": [[cost.connection for cost in one] for one in (ours, theirs)]}
    for place, together in enumerate(TOGETHER):
        rows[f"an emit, {together} at a time"] = [
            [cost.emits[place] for cost in one] for one in (ours, theirs)
        ]
    for what, (own, other) in rows.items():
        print(f"{what:<40}{spread(own):>14}{spread(other):>14}{ratio(own, other):>8}")
    return 0


def measured(dialect: Dialect, emits: int) -> Cost:
    """Start a server, and measure so many emits of each kind."""
    with ExitStack() as stack:
        server = stack.enter_context(running(dialect.name))
        warm = stack.enter_context(open_clients(server.port, dialect, MEMBERS))
        before = server.cpu
        crowds = [
            stack.enter_context(open_clients(server.port, _in(dialect, room), MEMBERS))
            for room in range(ROOMS)
        ]
        connection = (server.cpu - before) / (ROOMS * MEMBERS) * 1e6
        for room, crowd in enumerate(crowds):
            converse(crowd, dialect.join(f"room-{room}"))
        del warm
        talk = Talk(dialect, crowds)
        found = []
        for together in TOGETHER:
            talk.round(together)
            turns = max(1, emits // (ROOMS * together))
            before = server.cpu
            for _ in range(turns):
                talk.round(together)
            found.append((server.cpu - before) / (turns * ROOMS * together) * 1e6)
        return Cost(connection, tuple(found))


def _in(dialect: Dialect, room: int) -> Dialect:
    """Of `websockets` a room is a path."""
    return evolve(dialect, target=f"/room-{room}") if dialect is WEBSOCKETS else dialect


def _said(dialect: Dialect, room: int) -> str:
    data = {"text": WORDS}
    words = {"type": "emit", "room": f"room-{room}", "event": EVENT, "data": data}
    return json.dumps(words if dialect is DEPLOYD else data)


class Talk:
    """One speaker in each room, and all who hear it."""

    def __init__(self, dialect: Dialect, crowds: Sequence[Sequence[Client]]) -> None:
        self._speakers = [
            (crowd[0].sock, client_frame(_said(dialect, room))) for room, crowd in enumerate(crowds)
        ]
        self._heard = selectors.DefaultSelector()
        for crowd in crowds:
            for client in crowd:
                client.sock.setblocking(False)
                self._heard.register(client.sock, selectors.EVENT_READ)

    def round(self, together: int) -> None:
        """Let each speaker say something so often, and return when all have heard it."""
        for sock, frame in self._speakers:
            sock.send(frame * together)
        missing = len(self._speakers) * MEMBERS * together
        while missing:
            found = self._heard.select(PATIENCE)
            if not found:
                raise SystemExit(f"{missing} deliveries did not come within {PATIENCE:g} s")
            missing -= sum(data.count(MARK) for data in _read(found))


def _read(found: Sequence[tuple[selectors.SelectorKey, int]]) -> Iterator[bytes]:
    for key, _ in found:
        yield key.fileobj.recv(1 << 20)  # type: ignore[union-attr]  # a socket


def spread(values: Sequence[float]) -> str:
    """Return the median, and how far the others lie from it."""
    median = statistics.median(values)
    return f"{median:.0f} ± {max(abs(value - median) for value in values):.0f}"


def ratio(own: Sequence[float], other: Sequence[float]) -> str:
    """Return how much of the other's it is."""
    return f"{statistics.median(own) / statistics.median(other):.2f} x"


if __name__ == "__main__":
    sys.exit(main())
