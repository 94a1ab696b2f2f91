"""The ways of pods to the servers of the broker: a proxy on each, and what befalls it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import singledispatch
from typing import Final, TypeAlias

from attrs import evolve

from ....transport.brokers.contract import EVERYONE, Channel, room_channel
from ..proxy import (
    DOWNSTREAM,
    STREAMS,
    UPSTREAM,
    AcceptAndHang,
    Bandwidth,
    Blackhole,
    DropFrames,
    DuplicateFrames,
    FaultProxy,
    FlipBits,
    FrameToxic,
    Latency,
    LimitData,
    PlacedToxic,
    RefuseConnections,
    ReorderFrames,
    Slicer,
    SlowClose,
    Stream,
    Toxic,
    fault_proxy,
)
from ..scenario import Trouble
from ..scenario import way_faults as way
from ..servers import LOCALHOST, Deployment, Endpoint

__all__ = ["Ways", "no_way", "open_ways"]

MESSAGES: Final[Mapping[str, str]] = {
    "nats": "MSG",
    "redis": "*message",  # smessage, where channels are of shards
    "rabbitmq": "basic.deliver",
}
"""What a message to a pod is called by each protocol, as a pattern."""
PIECE: Final = 4096
"""Bytes of a piece in which a bit is flipped, or not."""
NEVER: Final = 3_600_000
"""Milliseconds after which an end is told that is not."""

_Placed: TypeAlias = tuple[Toxic, Sequence[Stream]]


class Ways:
    """The proxies of each pod, by the servers that they lead to."""

    def __init__(self, kind: str, proxies: Sequence[Mapping[Endpoint, FaultProxy]]) -> None:
        self._kind = kind
        self._proxies = proxies

    def through(self, pod: int) -> dict[Endpoint, Endpoint]:
        """Return where a pod is to connect to instead of each server."""
        proxies = self._proxies[pod]
        return {each: Endpoint(LOCALHOST, proxy.port) for each, proxy in proxies.items()}

    def befall(self, trouble: way.OfWays) -> Callable[[], int | None]:
        """Let something befall the ways of some pods; return what ends it.

        That returns how many messages were struck, where it is messages that are.
        """
        placed = list(_toxics(trouble, self._kind))
        ends: list[tuple[FaultProxy, PlacedToxic]] = []
        for proxy in self._of(trouble.pods):
            for toxic, streams in placed:
                for stream in streams:
                    name = f"{trouble.name} {len(proxy.toxics)}"
                    proxy.toxics.add(toxic, name=name, stream=stream)
                    ends.append((proxy, proxy.toxics.get(name)))
            if isinstance(trouble, way.WayCut | way.WayHang | way.WayRefuse):
                proxy.reset_connections()

        def end() -> int | None:
            for proxy, toxic in ends:
                proxy.toxics.remove(toxic.name)
            of_messages = [
                each.uses.count for _, each in ends if isinstance(each.toxic, FrameToxic)
            ]
            return sum(of_messages) if of_messages else None

        return end

    def _of(self, pods: Sequence[int]) -> Iterator[FaultProxy]:
        for pod in pods or range(len(self._proxies)):
            if pod < len(self._proxies):
                yield from self._proxies[pod].values()


@asynccontextmanager
async def open_ways(deployment: Deployment, pods: int) -> AsyncIterator[Ways]:
    """Stand between each pod and each server for the length of the block."""
    kind = deployment.kind
    async with AsyncExitStack() as stack:
        proxies = []
        for pod in range(pods):
            own = {}
            for server in deployment.addresses:
                proxy = fault_proxy(str(server), protocol=kind, seed=pod, name=f"pod {pod}")
                own[server] = await stack.enter_async_context(proxy)
            proxies.append(own)
        ways = Ways(kind, proxies)
        for pod, own in enumerate(proxies):
            for toxic in deployment.toxics(ways.through(pod)):
                for each in own.values():
                    each.toxics.add(toxic)
        yield ways


def no_way(trouble: Trouble) -> str | None:
    """Say why something cannot befall the ways to a broker, or None."""
    if isinstance(trouble, way.WayNoName | way.WayDeadAddress):
        return "It takes a name server of one's own, which needs root."
    return None


@singledispatch
def _toxics(trouble: Trouble, kind: str) -> Iterable[_Placed]:
    return ()


@_toxics.register
def _(trouble: way.WayLatency, kind: str) -> Iterable[_Placed]:
    del kind
    yield Latency(latency=trouble.delay * 1000, jitter=trouble.jitter * 1000), STREAMS


@_toxics.register
def _(trouble: way.WayBlackhole, kind: str) -> Iterable[_Placed]:
    del kind
    if trouble.direction == "both":
        yield Blackhole(), (DOWNSTREAM,)
    else:
        yield Blackhole(both=False), (DOWNSTREAM if trouble.direction == "in" else UPSTREAM,)


@_toxics.register
def _(trouble: way.WayBandwidth, kind: str) -> Iterable[_Placed]:
    del kind
    yield Bandwidth(rate=trouble.rate / 1000), STREAMS


@_toxics.register
def _(trouble: way.WayCutAfter, kind: str) -> Iterable[_Placed]:
    del kind
    yield LimitData(bytes=trouble.size), (DOWNSTREAM,)


@_toxics.register
def _(trouble: way.WaySlices, kind: str) -> Iterable[_Placed]:
    del kind
    yield Slicer(average_size=trouble.size), STREAMS


@_toxics.register
def _(trouble: way.WaySlowClose, kind: str) -> Iterable[_Placed]:
    del trouble, kind
    yield SlowClose(delay=NEVER), STREAMS


@_toxics.register
def _(trouble: way.WayHang, kind: str) -> Iterable[_Placed]:
    del trouble, kind
    yield AcceptAndHang(), (DOWNSTREAM,)


@_toxics.register
def _(trouble: way.WayRefuse, kind: str) -> Iterable[_Placed]:
    del trouble, kind
    yield RefuseConnections(), (DOWNSTREAM,)


@_toxics.register
def _(trouble: way.WayDrop, kind: str) -> Iterable[_Placed]:
    drop: FrameToxic = DropFrames(verb=MESSAGES[kind], share=trouble.share)
    if trouble.beats or trouble.room:
        drop = _on(EVERYONE if trouble.beats else room_channel(trouble.room), drop, kind)
    yield drop, (DOWNSTREAM,)


@_toxics.register
def _(trouble: way.WayDuplicate, kind: str) -> Iterable[_Placed]:
    yield DuplicateFrames(verb=MESSAGES[kind], share=trouble.share), (DOWNSTREAM,)


@_toxics.register
def _(trouble: way.WayReorder, kind: str) -> Iterable[_Placed]:
    yield ReorderFrames(verb=MESSAGES[kind], share=trouble.share), (DOWNSTREAM,)


@_toxics.register
def _(trouble: way.WayFlip, kind: str) -> Iterable[_Placed]:
    del kind
    yield FlipBits(every_bytes=max(1, round(PIECE / trouble.share))), (DOWNSTREAM,)


def _on(channel: Channel, toxic: FrameToxic, kind: str) -> FrameToxic:
    """Return a toxic that has to do with one channel alone.

    AMQP has an exchange for each kind of them and the rest as its key, the others have one name.
    """
    if kind == "rabbitmq":
        exchange, _, key = channel.partition(".")
        return evolve(toxic, subject=f"*.{exchange}", key=key)
    return evolve(toxic, subject=f"*{channel}")
