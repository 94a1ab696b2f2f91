"""Events a second from one pod's own code to a member on the other, beside python-socketio."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from _brokers import broker_server
from _clients import Client
from _dialects import ROOM, SOCKETIO
from _flood import Flood, ServerSource, receive_flood
from _joined import Joined, health, joined_pods, member
from _report import verdict
from _server import Server, running

__all__ = ["PROMISED", "throughput"]

PROMISED: Final = {"nats": 100_000, "redis": 50_000, "rabbitmq": 20_000}
"""Events a second in one hot room."""
SECONDS: Final = 2.0
HOT: Final = 400_000
SPREAD: Final = 10_000
"""Events of one round, at most, in one room and in a thousand. Nothing tells a pod that another is
behind: what it publishes for longer than the broker may take to bring back a canary, faster than
the other takes it, ends in a gap that the other declares."""
ROUNDS: Final = 3
ROOMS: Final = 1000
SIZE: Final = 64
"""Characters of an event's data, the same for both systems."""


def throughput(kind: str, broker: Mapping[str, Any]) -> bool:
    """Measure in rounds that alternate, print, and judge."""
    floods: dict[str, list[Flood]] = {"one hot room": [], f"{ROOMS:,} rooms": [], "socketio": []}
    with ExitStack() as stack:
        ours = stack.enter_context(joined_pods(broker, ROOMS))
        theirs = stack.enter_context(_joined_socketio())
        for _ in range(ROUNDS):
            floods["one hot room"].append(_round(*ours, 1))
            floods[f"{ROOMS:,} rooms"].append(_round(*ours, ROOMS))
            floods["socketio"].append(_round(*theirs, 1))
        seen = [health(server) for server in (ours[0], ours[2])]
    rival = statistics.median(flood.rate for flood in floods["socketio"])
    print(f"\n  events a second, code on A to a member on B ({ROUNDS} rounds of {SECONDS:g} s):")
    for name, done in floods.items():
        _show(name, done, rival)
    for pod, had in zip("AB", seen, strict=True):
        print(f"    pod {pod}: " + ", ".join(f"{name} {n:.0f}" for name, n in had.items()))
    hot = statistics.median(flood.rate for flood in floods["one hot room"])
    print(f"    promised above {PROMISED[kind]:,} in one hot room: {verdict(hot > PROMISED[kind])}")
    whole = all(f.whole for name, done in floods.items() if name != "socketio" for f in done)
    return whole and hot > PROMISED[kind]


def _round(emitter: Server, hearer: Client, other: Server, rooms: int) -> Flood:
    limit = HOT if rooms == 1 else SPREAD
    source = ServerSource(emitter, seconds=SECONDS, limit=limit, size=SIZE, rooms=rooms)
    return receive_flood([hearer], source, SECONDS, rooms)


@contextmanager
def _joined_socketio() -> Iterator[Joined]:
    with broker_server("redis") as (server, _):
        settings = {"redis": f"redis://127.0.0.1:{server.port}/0"}
        with (
            running("socketio", settings) as a,
            running("socketio", settings) as b,
            member(b, SOCKETIO, ROOM) as hearer,
        ):
            yield a, hearer, b


def _show(name: str, done: list[Flood], rival: float) -> None:
    rate = statistics.median(flood.rate for flood in done)
    print(
        f"    {name:16}{rate:10,.0f}/s  {rate / rival:6.1f} × python-socketio's Redis manager; "
        f"lost {sum(f.lost for f in done)}, out of order {sum(f.garbled for f in done)}, "
        f"disconnected {max(f.disconnected for f in done)}"
    )
