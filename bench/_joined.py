"""Two pods that are joined by a broker and told what to do, and a member on the second."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from _clients import Client, converse, open_clients
from _dialects import DEPLOYD, Dialect
from _server import Server, ServerFailed, running

__all__ = ["Joined", "health", "joined_pods", "member"]

PATIENCE: Final = 20.0
"""Seconds for the pods to find each other."""

Joined = tuple[Server, Client, Server]
"""Who emits, a member on the other side, and its server."""


@contextmanager
def joined_pods(broker: Mapping[str, Any], rooms: int = 1, room: str = "r0") -> Iterator[Joined]:
    settings: dict[str, Any] = {"broker.linger": 0.0, "limits.maxRoomsPerClient": 2 * rooms + 10}
    for name, value in broker.items():
        if isinstance(value, dict):
            settings |= {f"broker.{name}.{inner}": it for inner, it in value.items()}
        else:
            settings[f"broker.{name}"] = value
    with running("joined", settings) as a, running("joined", settings) as b:
        _wait_for_each_other(a, b)
        with member(b, DEPLOYD, room) as hearer:
            for number in range(1, rooms):
                converse([hearer], DEPLOYD.join(f"r{number}"))
            yield a, hearer, b


@contextmanager
def member(server: Server, dialect: Dialect, room: str) -> Iterator[Client]:
    with open_clients(server.port, dialect, 1, room=room) as (member,):
        yield member


def _wait_for_each_other(*servers: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while not all(health(server)["pods"] >= 2 for server in servers):
        if time.monotonic() > deadline:
            raise ServerFailed("the pods do not find each other")
        time.sleep(0.05)  # a process has to be asked


def health(server: Server) -> Mapping[str, float]:
    """Ask a pod what its link has done."""
    server.order("health")
    return server.reply()
