"""Every broker there is, for tests of what all of them promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import pytest

from deployd.transport.brokers.conformance import Make
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus

__all__ = ["BROKERS", "Makers", "broker_makers"]

Makers: TypeAlias = tuple[Make, Make]
"""Make objects of one deployment, and of another on the same server."""


def _memory(_: pytest.FixtureRequest) -> Makers:
    bus = MemoryBus()
    return (lambda: MemoryBroker(bus)), (lambda: MemoryBroker(bus, "other."))


BROKERS: Final[Mapping[str, Callable[[pytest.FixtureRequest], Makers]]] = {
    "memory": _memory,
}
"""Add a broker here: a function that asks for its server's fixture and returns the makers."""


@pytest.fixture(params=list(BROKERS))
def broker_makers(request: pytest.FixtureRequest) -> Makers:
    """Makers of each broker in turn."""
    return BROKERS[request.param](request)
