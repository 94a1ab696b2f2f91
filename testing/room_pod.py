"""A pod that a room under test runs in, with a port or without, and how guests come to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeAlias

import trio
from attrs import frozen

from ..actors import Exit, RoomFactory
from ..client.address import read_url
from ..client.client import TIMEOUT, Dial
from ..client.wire import run_wire
from ..config import Config
from ..supervisors import Supervisor, open_pod
from ..supervisors.chaos import Injector
from ..supervisors.pod import Parts, assemble
from ..transport.brokers.contract import Broker
from .doorway import Doorway
from .pods import KEYS

__all__ = ["OpenRoomPod", "RoomPod", "pod_alone", "pod_with_port"]

OpenRoomPod: TypeAlias = Callable[
    [Config, Mapping[str, RoomFactory], Callable[[], Broker] | None, Callable[[], float]],
    AbstractAsyncContextManager["RoomPod"],
]
"""Returns the block in which a pod runs: its settings, its rooms, its broker and its clock."""


@frozen
class RoomPod:
    """A pod that a room under test runs in. `dial` is how its guests connect."""

    parts: Parts
    dial: Dial

    @property
    def chaos(self) -> Injector:
        """What breaks it."""
        chaos = self.parts.watched.chaos
        assert chaos is not None  # noqa: S101 - it is switched on below
        return chaos


@asynccontextmanager
async def pod_alone(
    config: Config,
    rooms: Mapping[str, RoomFactory],
    broker: Callable[[], Broker] | None,
    wall: Callable[[], float],
) -> AsyncIterator[RoomPod]:
    """Run what of a pod a room needs: its supervisor, and the link where there is a broker."""
    parts = assemble(config, KEYS, rooms, broker=broker, wall=wall)
    tree, doorway = parts.tree, Doorway(parts.tree.clients.environment)
    branch = [] if tree.broker is None else [tree.broker]
    root = Supervisor("pod", [*branch, *tree.rooms.children(), tree.faults()])
    async with trio.open_nursery() as nursery:
        await nursery.start(_run, root)
        yield RoomPod(parts, doorway.dial)
        nursery.cancel_scope.deadline = trio.current_time() + config.drain.deadline
        await parts.watched.rooms.drain(config.drain.deadline / 2)
        doorway.shut()
        root.request_stop("the pod stops")
    root.terminated(Exit.shutdown("the pod has stopped"))


@asynccontextmanager
async def pod_with_port(
    config: Config,
    rooms: Mapping[str, RoomFactory],
    broker: Callable[[], Broker] | None,
    wall: Callable[[], float],
) -> AsyncIterator[RoomPod]:
    """Run a whole pod, on a free port."""
    async with open_pod(config, keys=KEYS, rooms=rooms, broker=broker, wall=wall) as pod:
        address = read_url(f"http://127.0.0.1:{pod.port}")
        yield RoomPod(pod.parts, partial(run_wire, address, timeout=TIMEOUT))


async def _run(root: Supervisor, task_status: trio.TaskStatus[None]) -> None:
    await root.run(task_status.started)
