"""Does to a network what a plan's fault says, and knows how to undo it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from ...transport.brokers.contract import EVERYONE, Channel, room_channel
from .faults import Fault, Kind
from .network import NOBODY, BlackHole, SimulatedNetwork
from .rabbitmq import RabbitNetwork
from .redis import RedisNetwork
from .strangers import forged, rubbish

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


def _lame(network: SimulatedNetwork, fault: Fault) -> Undo:
    network.lame(fault.node)
    return partial(network.start, fault.node)


def _failover(network: SimulatedNetwork, fault: Fault) -> Undo | None:
    if not isinstance(network, RedisNetwork):
        return None
    old = network.master
    network.kill(old)

    def take_over() -> None:
        network.start(old)
        if network.master == old:
            network.promote()

    return take_over


def _demote(network: SimulatedNetwork, fault: Fault) -> Undo | None:
    if not isinstance(network, RedisNetwork):
        return None
    network.promote()
    return network.tell_replicas


def _move(network: SimulatedNetwork, fault: Fault) -> Undo | None:
    if not isinstance(network, RedisNetwork):
        return None
    network.move(room_channel(fault.room))
    return network.tell_moved


def _freeze(network: SimulatedNetwork, fault: Fault) -> Undo:
    network.freeze(fault.node)
    return partial(network.thaw, fault.node)


def _split(network: SimulatedNetwork, fault: Fault) -> Undo:
    network.split(fault.node, fault.other)
    return partial(network.join, fault.node, fault.other)


def _swallow(network: SimulatedNetwork, fault: Fault) -> Undo:
    hole = BlackHole(outward=fault.amount in (0, 2), inward=fault.amount in (0, 1))
    network.swallow(fault.pod, hole)
    return partial(network.disgorge, fault.pod)


def _cut(network: SimulatedNetwork, fault: Fault) -> None:
    network.cut(fault.pod)


def _forget(network: SimulatedNetwork, fault: Fault) -> None:
    network.forget(fault.pod, room_channel(fault.room))


def _forget_side(network: SimulatedNetwork, fault: Fault) -> None:
    network.forget_side(fault.node, fault.other)


def _delete_queue(network: SimulatedNetwork, fault: Fault) -> None:
    if isinstance(network, RabbitNetwork):
        network.delete_queue(fault.pod)


def _delete_exchange(network: SimulatedNetwork, fault: Fault) -> None:
    if isinstance(network, RabbitNetwork):
        network.delete_exchange(("room", "pod", "all")[fault.amount % 3])


def _end(network: SimulatedNetwork, fault: Fault) -> None:
    network.end(fault.pod, room_channel(fault.room))


def _drop(network: SimulatedNetwork, fault: Fault) -> Undo:
    channel: Channel | None = None
    if fault.kind is not Kind.DROP_ALL:
        channel = EVERYONE if fault.kind is Kind.DROP_BEATS else room_channel(fault.room)
    dropped = network.losses_of(fault.pod).dropped
    dropped[channel] = fault.amount
    return partial(dropped.pop, channel, None)


def _double(network: SimulatedNetwork, fault: Fault) -> Undo:
    losses = network.losses_of(fault.pod)
    losses.doubled = fault.amount
    return partial(setattr, losses, "doubled", 0)


def _refuse(network: SimulatedNetwork, fault: Fault) -> Undo:
    losses = network.losses_of(fault.pod)
    losses.nacked = fault.amount
    return partial(setattr, losses, "nacked", 0)


def _confirm_late(network: SimulatedNetwork, fault: Fault) -> Undo:
    server = network.servers[fault.node]
    server.late = fault.amount / 1000
    return partial(setattr, server, "late", 0.0)


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


def _stranger(network: SimulatedNetwork, fault: Fault) -> Undo:
    draw = random.Random(fault.at)  # noqa: S311 - chance, not secrecy

    def write() -> None:
        said = list(network.said)
        server = next((each for each in network.servers if each.up), None)
        if server is None:
            return
        messages = [*rubbish(draw), *(forged(draw, said) if network.signed else ())]
        for channel, payload in messages:
            network.carry(NOBODY, server, channel, payload)

    write()
    return write


_HOW: Final[Mapping[Kind, Callable[[SimulatedNetwork, Fault], Undo | None]]] = {
    Kind.KILL: _kill,
    Kind.LAME: _lame,
    Kind.FAILOVER: _failover,
    Kind.DEMOTE: _demote,
    Kind.MOVE: _move,
    Kind.FREEZE: _freeze,
    Kind.SWALLOW: _swallow,
    Kind.SPLIT: _split,
    Kind.CUT: _cut,
    Kind.FORGET: _forget,
    Kind.FORGET_POD: _delete_queue,
    Kind.FORGET_ALL: _delete_exchange,
    Kind.FORGET_SIDE: _forget_side,
    Kind.UNHEARD: _end,
    Kind.DROP: _drop,
    Kind.DROP_ALL: _drop,
    Kind.DROP_BEATS: _drop,
    Kind.DUPLICATE: _double,
    Kind.DELAY: _delay,
    Kind.LATE: _confirm_late,
    Kind.NACK: _refuse,
    Kind.DENY: _deny,
    Kind.LIMIT: _limit,
    Kind.STRANGER: _stranger,
}
