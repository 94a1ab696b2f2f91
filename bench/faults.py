"""The faults that a server or the way to it can have, one by one, with the times they take.

    python bench/faults.py --broker redis --fault 1

Two pods in this process with the settings that nobody changed, but for notices without a window; a
real server, a proxy before each pod, and a conversation that is judged as the tests judge it:
`tests/support/outages.py`. Prints the rows of the table in docs/faults.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import attrs
import trio
from _brokers import BROKERS, broker_server
from _report import machine

from deployd.config import Logging, configure_logging
from deployd.supervisors import Pod
from deployd.tools.chaos.proxy import (
    AcceptAndHang,
    Blackhole,
    FaultProxy,
    HalfOpen,
    LimitData,
    Toxic,
    fault_proxy,
)
from support.joined import well
from support.outages import STANDARD, Scene, in_thread, scene
from support.servers import free_port

LASTS: Final = 1.0
"""Seconds that a fault lasts when both pods have noticed it."""
PATIENCE: Final = 40.0
"""Seconds for anything to come about."""

CLUSTER: Final = 'cluster {{ name: two, listen: "127.0.0.1:{}", no_advertise: true, routes: [{}] }}'
DELETE_QUEUES: Final = (
    '[rabbit_amqqueue:delete(Q, false, false, <<>>) || Q <- rabbit_amqqueue:list(<<"/">>)].'
)

Step = Callable[[Scene], Awaitable[None]]
Place = Callable[[str], AbstractAsyncContextManager[Scene]]


@asynccontextmanager
async def one_server(kind: str) -> AsyncIterator[Scene]:
    """Join two pods on one server."""
    with broker_server(kind) as (server, _):
        async with scene(kind, server, STANDARD) as it:
            yield it


@asynccontextmanager
async def two_servers(kind: str) -> AsyncIterator[Scene]:
    """Join two pods on a server of NATS each; the scene's `server` is the road between them."""
    from support.nats_server import NatsServer, until_joined  # as `_brokers` does: it needs pytest

    with ExitStack() as stack:
        first, second = (Path(stack.enter_context(TemporaryDirectory())) for _ in range(2))
        port = free_port()
        servers = [NatsServer(first, CLUSTER.format(port, ""))]
        async with fault_proxy(port) as road:
            url = f'"nats-route://127.0.0.1:{road.port}"'
            servers.append(NatsServer(second, CLUSTER.format(free_port(), url)))
            for server in servers:
                stack.callback(server.kill)
                await in_thread(server.start)
            await in_thread(partial(until_joined, servers))
            async with scene(kind, servers[0], STANDARD, other=servers[1]) as it:
                it.server = road
                yield it


@attrs.frozen
class Fault:
    """A fault of the catalogue: how it begins and ends, and which pods' own links notice it."""

    number: int
    name: str
    begin: Step
    end: Step
    kinds: Sequence[str] = tuple(BROKERS)
    pods: Sequence[int] = (0, 1)
    place: Place = one_server


@attrs.frozen
class Times:
    """Seconds to notice it on all pods concerned, to tell a client, and to heal after its end."""

    detect: float
    tell: float
    heal: float


def on_server(do: Callable[[Any], object]) -> Step:
    """Do something to the server."""

    async def step(it: Scene) -> None:
        await in_thread(partial(do, it.server))

    return step


def on_ways(do: Callable[[Any], object], *pods: int) -> Step:
    """Do something to the pods' ways to the server."""

    async def step(it: Scene) -> None:
        await trio.lowlevel.checkpoint()
        for pod in pods or (0, 1):
            do(it.proxies[pod])

    return step


def both(*steps: Step) -> Step:
    """Do one after the other."""

    async def step(it: Scene) -> None:
        for one in steps:
            await one(it)

    return step


async def nothing(_: Scene) -> None:
    """The fault is over by itself."""
    await trio.lowlevel.checkpoint()


def put(toxic: Toxic) -> Callable[[FaultProxy], object]:
    """Return what puts a toxic on a way: on what comes in, unless it is one for both."""
    return lambda proxy: proxy.toxics.put(toxic)


async def swallow(it: Scene) -> None:
    """Let nothing pass between the servers."""
    await trio.lowlevel.checkpoint()
    it.server.toxics.put(Blackhole())


async def join(it: Scene) -> None:
    """Let everything pass again; what was swallowed is gone, and the servers begin anew."""
    await trio.lowlevel.checkpoint()
    it.server.toxics.clear()
    it.server.reset_connections()


async def delete_exchange(it: Scene) -> None:
    """Delete what all rooms are said on."""
    name = f'rabbit_misc:r(<<"/">>, exchange, <<"{it.namespace}.room">>)'
    await on_server(lambda s: s.ctl("eval", f"rabbit_exchange:delete({name}, false, <<>>)."))(it)


heal: Final = on_ways(lambda proxy: proxy.toxics.clear())
start: Final = on_server(lambda server: server.start())
kill: Final = on_server(lambda server: server.kill())

FAULTS: Final = (
    Fault(1, "killed, started again", kill, start),
    Fault(
        2, "stopped, started again", on_server(lambda s: s.terminate()), start, ("nats", "redis")
    ),
    Fault(3, "frozen", on_server(lambda s: s.freeze()), on_server(lambda s: s.thaw())),
    Fault(5, "both ways swallow everything", on_ways(put(Blackhole())), heal),
    Fault(6, "the way in swallows everything", on_ways(put(Blackhole(both=False))), heal),
    Fault(
        7,
        "half-open, and the server another",
        both(on_ways(put(HalfOpen())), on_ways(put(Blackhole())), kill, start),
        heal,
    ),
    Fault(8, "reset", on_ways(lambda p: p.reset_connections()), nothing),
    Fault(11, "cut in mid-message", on_ways(put(LimitData(bytes=333)), 1), heal, pods=(1,)),
    Fault(
        13,
        "killed, and its end withheld",
        both(on_ways(put(HalfOpen())), kill),
        both(heal, start),
    ),
    Fault(
        14,
        "accepts and says nothing",
        both(on_ways(put(AcceptAndHang())), on_ways(lambda p: p.reset_connections())),
        heal,
    ),
    Fault(
        18,
        "memory alarm",
        on_server(lambda s: s.ctl("set_vm_memory_high_watermark", "0.00001")),
        on_server(lambda s: s.ctl("set_vm_memory_high_watermark", "0.6")),
        ("rabbitmq",),
    ),
    Fault(
        19,
        "disk alarm",
        on_server(lambda s: s.ctl("set_disk_free_limit", "1000000000000000")),
        on_server(lambda s: s.ctl("set_disk_free_limit", "50000000")),
        ("rabbitmq",),
    ),
    Fault(
        21,
        "made a replica, and a master again",
        on_server(lambda s: s.ask("REPLICAOF", "127.0.0.1", 1)),
        on_server(lambda s: s.ask("REPLICAOF", "NO", "ONE")),
        ("redis",),
    ),
    Fault(
        24,
        "the pods' queues deleted",
        on_server(lambda s: s.ctl("eval", DELETE_QUEUES)),
        nothing,
        ("rabbitmq",),
    ),
    Fault(31, "two servers split", swallow, join, ("nats",), place=two_servers),
    Fault(32, "a room's exchange deleted", delete_exchange, nothing, ("rabbitmq",), pods=()),
)


async def measure(fault: Fault, kind: str) -> Times:
    """Bring a fault about and end it, and return the times; fails where something was untrue."""
    async with fault.place(kind) as it:
        await it.hears_more()
        notices = len(it.talk.told)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fault.begin, it)
            await soon(lambda: all(parted(it.pods[pod]) for pod in fault.pods))
            noticed = trio.current_time()
            await soon(lambda: len(it.talk.told) > notices)
            degraded = trio.current_time()
        await trio.sleep(LASTS)
        await fault.end(it)
        ended = degraded if fault.end is nothing else trio.current_time()
        await soon(lambda: all(map(well, it.pods)) and told(it, "system:healed"))
        healed = trio.current_time()
        await it.hears_more()
    return Times((noticed if fault.pods else degraded) - began, degraded - began, healed - ended)


def parted(pod: Pod) -> bool:
    """Whether a pod's link has noticed that it is not well, now or before."""
    assert pod.link is not None
    return pod.link.state.counters.trips > 0 or pod.link.state.degraded is not None


def told(it: Scene, event: str) -> bool:
    """Whether Bob was told this last."""
    return bool(it.talk.told) and it.talk.told[-1][0] == event


async def soon(condition: Callable[[], bool]) -> None:
    """Return when it holds; nobody tells of it."""
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.001)


def row(fault: Fault, figures: Mapping[str, Sequence[Times]]) -> str:
    """Return a row of the table: medians, for each broker."""
    cells = [f"{fault.number} {fault.name}"]
    for kind in BROKERS:
        found = figures.get(kind, ())
        each = zip(*map(attrs.astuple, found), strict=True)
        cells.append(", ".join(f"{median(values):.2f}" for values in each) if found else "")
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Measure, print, and return the exit code."""
    options = _options()
    configure_logging(Logging(level="CRITICAL"), tty=False, stream=sys.stderr)
    print(machine())
    print("load of the machine:", *(f"{one:.1f}" for one in os.getloadavg()))
    print(f"seconds to notice, to tell, to heal; medians of {options.rounds}\n")
    print(f"| fault | {' | '.join(BROKERS)} |\n| --- |{' ---: |' * len(BROKERS)}")
    good = True
    for fault in FAULTS:
        if options.fault and fault.number not in options.fault:
            continue
        figures: dict[str, list[Times]] = {}
        for kind in options.broker or BROKERS:
            if kind not in fault.kinds:
                continue
            for _ in range(options.rounds):
                try:
                    figures.setdefault(kind, []).append(trio.run(measure, fault, kind))
                except BaseExceptionGroup as error:
                    good = False
                    print(f"  {fault.number} {kind}: {causes(error)}", file=sys.stderr)
        print(row(fault, figures))
        sys.stdout.flush()
    return 0 if good else 1


def causes(error: BaseException) -> str:
    """Name what went wrong, without the groups around it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(causes, error.exceptions))
    return f"{type(error).__name__}: {error}"[:500]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=list(BROKERS), action="append")
    parser.add_argument("--fault", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
