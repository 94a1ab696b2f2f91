"""What it costs to know who has heard: messages, time and processor time of an emit.

    python bench/heard.py [--quick]

Pods in one process, joined by a broker without a server, so that what is measured is the pods' own
work: an emit of the first one's code, with a member of the room on each. A real broker adds its way
there for `confirmed`, and there and back for `heard`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import _brokers  # noqa: F401 - it knows where the tests' helpers are
import structlog
import trio
from _report import machine, percentile, quick
from attrs import evolve, frozen

from deployd.config import Broker as BrokerSettings
from deployd.config import ReceiptPolicy
from deployd.supervisors import Pod, open_pod
from deployd.transport import Scope
from deployd.transport.brokers.contract import Message
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus
from support.clients import KEYS, Client, connected, pod_config

PODS: Final = (2, 4, 8)
ROOMS: Final = ("confirmed-1", "heard-1")
SETTINGS: Final = BrokerSettings(
    type="bench:Memory",
    enabled=True,
    notice_window=0.0,
    receipts={"heard-*": ReceiptPolicy.HEARD},
)
SETTLING: Final = 3.0
"""Seconds until the pods know each other."""


class CountingBus(MemoryBus):
    """A bus that counts what is said about events: no beats, probes and greetings."""

    def __init__(self) -> None:
        super().__init__()
        self.events = self.acknowledgements = 0

    def make(self) -> MemoryBroker:
        """Make one incarnation of a link."""
        return CountingBroker(self)


class CountingBroker(MemoryBroker):
    """Counts what it is handed."""

    def __init__(self, bus: CountingBus) -> None:
        super().__init__(bus)
        self._counting = bus

    async def publish(self, batch: Sequence[Message]) -> None:
        """Count, and deliver."""
        for _, payload in batch:
            self._counting.events += b'"m":' in payload
            self._counting.acknowledgements += b'"a":{"n"' in payload
        await super().publish(batch)


@frozen
class Figures:
    """Of one emit: messages of both kinds, and seconds; `latencies` are sorted."""

    events: float
    acknowledgements: float
    processor: float
    latencies: Sequence[float]


async def read(client: Client) -> None:
    """Take all that comes."""
    while True:
        await client.socket.recv()


async def emit(pod: Pod, room: str, latencies: list[float]) -> None:
    """Emit, and wait for a receipt that says that all is well."""
    began = time.perf_counter()
    receipt = await pod.hub.send_to_room(room, "said", {"text": "x" * 90})
    latencies.append(time.perf_counter() - began)
    assert receipt.scope is Scope.CLUSTER, receipt


async def measure(bus: CountingBus, pod: Pod, room: str, emits: int, together: int) -> Figures:
    """Emit so many times, some at a time."""
    latencies: list[float] = []
    events, acknowledgements = bus.events, bus.acknowledgements
    began = time.process_time()
    for _ in range(emits // together):
        async with trio.open_nursery() as nursery:
            for _ in range(together):
                nursery.start_soon(emit, pod, room, latencies)
    return Figures(
        (bus.events - events) / emits,
        (bus.acknowledgements - acknowledgements) / emits,
        (time.process_time() - began) / emits,
        sorted(latencies),
    )


async def run(count: int, emits: int) -> None:
    """Print the figures of so many pods."""
    bus = CountingBus()
    config = evolve(pod_config(), broker=SETTINGS)
    async with AsyncExitStack() as stack:
        pods = [
            await stack.enter_async_context(open_pod(config, keys=KEYS, broker=bus.make))
            for _ in range(count)
        ]
        await trio.sleep(SETTLING)
        nursery = await stack.enter_async_context(trio.open_nursery())
        for pod in pods:
            [client] = await stack.enter_async_context(connected(pod))
            for room in ROOMS:
                await client.join(room)
            nursery.start_soon(read, client)
        for together in (1, 100):
            for room in ROOMS:
                await measure(bus, pods[0], room, 200, together)  # warm
                figures = await measure(bus, pods[0], room, emits, together)
                show(count, together, room, figures)
        nursery.cancel_scope.cancel()


def show(count: int, together: int, room: str, figures: Figures) -> None:
    """Print a line."""
    print(
        f"{count:4} {together:9} {room.partition('-')[0]:10} {figures.events:8.2f} "
        f"{figures.acknowledgements:6.2f} {figures.processor * 1e6:13.0f} "
        f"{percentile(figures.latencies, 50) * 1e3:8.2f} "
        f"{percentile(figures.latencies, 99) * 1e3:8.2f}"
    )


def main() -> None:
    """Print a line for each number of pods, of emits at a time, and kind of receipt."""
    rough = quick(__doc__ or "")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print(machine())
    print("pods  together  receipts     events   acks  processor µs   p50 ms   p99 ms")
    for count in PODS[:1] if rough else PODS:
        trio.run(run, count, 500 if rough else 4000)


if __name__ == "__main__":
    main()
