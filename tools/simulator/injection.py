"""Does to a network what a plan's fault says, and knows how to undo it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from ...transport.brokers.contract import Channel, room_channel
from .network import SimulatedNetwork
from .plan import Fault, Kind

__all__ = ["inject"]

Undo: TypeAlias = Callable[[], object]


def inject(network: SimulatedNetwork, fault: Fault) -> Undo | None:
    """Break something; return what mends it, or None where it is for the pods to mend.

    Faults of pods themselves are none of a network's.
    """
    return _HOW[fault.kind](network, fault)


def _kill(network: SimulatedNetwork, fault: Fault) -> Undo:
    network.kill(fault.node)
    return partial(network.start, fault.node)


def _freeze(network: SimulatedNetwork, fault: Fault) -> Undo:
    network.freeze(fault.node)
    return partial(network.thaw, fault.node)


def _split(network: SimulatedNetwork, fault: Fault) -> Undo:
    network.split(fault.node, fault.other)
    return partial(network.join, fault.node, fault.other)


def _cut(network: SimulatedNetwork, fault: Fault) -> None:
    network.cut(fault.pod)


def _forget(network: SimulatedNetwork, fault: Fault) -> None:
    network.forget(
        None if fault.kind is Kind.FORGET_ALL else fault.pod,
        room_channel(fault.room) if fault.kind is Kind.FORGET else None,
    )


def _end(network: SimulatedNetwork, fault: Fault) -> None:
    network.end(fault.pod, room_channel(fault.room))


def _drop(network: SimulatedNetwork, fault: Fault) -> Undo:
    channel: Channel | None = room_channel(fault.room) if fault.kind is Kind.DROP else None
    dropped = network.losses_of(fault.pod).dropped
    dropped[channel] = fault.amount
    return partial(dropped.pop, channel, None)


def _double(network: SimulatedNetwork, fault: Fault) -> Undo:
    losses = network.losses_of(fault.pod)
    losses.doubled = fault.amount
    return partial(setattr, losses, "doubled", 0)


def _delay(network: SimulatedNetwork, fault: Fault) -> Undo:
    server = network.servers[fault.node]
    server.slow = fault.amount / 1000
    return partial(setattr, server, "slow", 0.0)


def _deny(network: SimulatedNetwork, fault: Fault) -> Undo:
    denied, channel = network.denied.setdefault(fault.pod, set()), room_channel(fault.room)
    denied.add(channel)
    return partial(denied.discard, channel)


def _limit(network: SimulatedNetwork, fault: Fault) -> None:
    network.limit = fault.amount


_HOW: Final[Mapping[Kind, Callable[[SimulatedNetwork, Fault], Undo | None]]] = {
    Kind.KILL: _kill,
    Kind.FREEZE: _freeze,
    Kind.SPLIT: _split,
    Kind.CUT: _cut,
    Kind.FORGET: _forget,
    Kind.FORGET_POD: _forget,
    Kind.FORGET_ALL: _forget,
    Kind.UNHEARD: _end,
    Kind.DROP: _drop,
    Kind.DROP_ALL: _drop,
    Kind.DUPLICATE: _double,
    Kind.DELAY: _delay,
    Kind.DENY: _deny,
    Kind.LIMIT: _limit,
}
