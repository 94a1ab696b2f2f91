"""Two pods in this process, joined by a broker that fails as a test likes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from attrs import evolve

from deployd.actors import Room
from deployd.config import BrokerSettings, Config, FailurePolicy
from deployd.supervisors import Pod, open_pod

from .clients import KEYS, pod_config, until
from .fake_broker import FakeBus

__all__ = ["FAKE", "two_pods", "well"]

FAKE: Final = BrokerSettings(
    type="x:Fake",
    enabled=True,
    canary_interval=0.2,
    timeout=1.0,
    max_backoff=0.1,
    notice_window=0.0,
    linger=0.0,
    policies={"kept-*": FailurePolicy.BUFFER, "strict-*": FailurePolicy.REJECT},
)
"""The settings of a pod that notices an outage, and its end, within a test's patience."""


def well(pod: Pod) -> bool:
    """Whether a pod's link carries messages, and its clients know."""
    assert pod.uplink is not None
    return pod.uplink.breaker.closed and pod.uplink.degraded is None


@asynccontextmanager
async def two_pods(
    bus: FakeBus,
    rooms: Mapping[str, type[Room[Any]]] | None = None,
    config: Config | None = None,
    other: Config | None = None,
    *,
    broker: BrokerSettings = FAKE,
) -> AsyncIterator[tuple[Pod, Pod]]:
    """Run two, that have found each other; the second may have a configuration of its own."""
    first = evolve(config or pod_config(), broker=broker)
    second = evolve(other or first, broker=broker)
    async with (
        open_pod(first, keys=KEYS, rooms=rooms, broker=bus.make) as a,
        open_pod(second, keys=KEYS, rooms=rooms, broker=bus.make) as b,
    ):
        for pod in (a, b):
            await until(partial(well, pod))
        yield a, b
