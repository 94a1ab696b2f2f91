"""What a scenario's faults are in the simulator: its own kinds of faults, and deeds of clients."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import singledispatch
from typing import Final

from attrs import frozen

from ...simulator import Act, Deed, Fault, Kind, RunPlan
from ..scenario import BrokerName, Scenario, ScenarioError, ScenarioStep, Trouble
from ..scenario import broker_faults as broken
from ..scenario import inner_faults as inner
from ..scenario import way_faults as way

__all__ = ["NotSimulated", "Staged", "stage", "staged"]

ROADS: Final = 0.05
"""Seconds that a road between two servers takes at most, in the runs with the slowest."""
SPREAD: Final = 0.3
"""Seconds that what is subscribed on a server of NATS takes to be known to others, at most."""
GUST: Final = 0.5
"""Seconds after which a way that is unevenly slow is slow by another time."""


class NotSimulated(ScenarioError):
    """The simulator cannot do that; the message says why."""


@frozen
class Staged:
    """What a step is in the simulator.

    `faults` begin `at` seconds after the step, and end with it; those in `pieces` by themselves.
    """

    faults: tuple[Fault, ...] = ()
    pieces: tuple[Fault, ...] = ()
    begin: tuple[Deed, ...] = ()
    end: tuple[Deed, ...] = ()
    hush: bool = False


def stage(scenario: Scenario, broker: BrokerName, topology: str, seed: int) -> RunPlan:
    """Return the pods and servers that a scenario is played with; nothing is planned for them."""
    draw = random.Random(seed)  # noqa: S311 - chance, not secrecy
    pods, nodes = scenario.pods.count, 1 if topology == "single" else scenario.servers
    clocks = [*scenario.pods.clocks, *[0.0] * pods][:pods]
    rooms = scenario.load.rooms
    return RunPlan(
        seed=seed,
        broker=broker,
        nodes=nodes,
        places=tuple(pod % nodes for pod in range(pods)),
        homes=tuple(client % pods for client in range(pods * scenario.load.clients)),
        skews=tuple(clocks),
        spread=draw.uniform(0.0, SPREAD) if broker == "nats" else 0.0,
        road=draw.uniform(0.002, ROADS),
        faults=(),
        deeds=(),
        sharded=broker == "redis" and topology == "cluster",
        roams=scenario.pods.roam and broker == "nats" and nodes > 1,
        signed=scenario.pods.signed,
        policies=tuple((room.name, room.policy) for room in rooms),
        receipts=tuple((room.name, room.receipt) for room in rooms),
    )


_REASONS: Final[dict[type[Trouble], str]] = {
    broken.BrokerAlarm: "The model of RabbitMQ has neither memory nor a disk.",
    broken.BrokerReadOnly: "The model of Redis stores nothing that it could refuse to.",
    broken.BrokerAnswer: "The models speak no protocol, so they have no errors of one.",
    broken.BrokerPassword: "The models let everybody in.",
    broken.BrokerFull: "The models let everybody in.",
    broken.BrokerDiskFull: "The models have no disk.",
    broken.BrokerCertificate: "The models have no TLS.",
    way.WayBandwidth: "The models bring messages, and not bytes.",
    way.WayCutAfter: "The models bring messages, and not bytes.",
    way.WaySlices: "The models bring messages, and not bytes.",
    way.WayFlip: "The models bring messages, and not bytes.",
    way.WayReorder: "What one pod says on one channel keeps its order in the models, as it does "
    "with all three brokers.",
    way.WayNoName: "The models have no names of hosts.",
    way.WayDeadAddress: "The models have no addresses.",
    inner.PodClock: "Clocks of simulated pods are wrong from the start, and do not jump.",
    inner.PodRaise: "Simulated rooms have no code that raises.",
    inner.PodStarve: "Simulated pods have neither descriptors nor processors.",
    inner.ClientFlood: "Simulated clients are sessions, and write no frames.",
    inner.ClientRubbish: "Simulated clients are sessions, and write no frames.",
    inner.StoreStop: "Simulated pods have no store.",
    inner.StoreLock: "Simulated pods have no store.",
    inner.StoreFull: "Simulated pods have no store.",
}
"""Why the simulator cannot do what it cannot."""


def staged(scenario: Scenario, step: ScenarioStep, plan: RunPlan, draw: random.Random) -> Staged:
    """Return what a step is with a plan's pods and servers. Raises `NotSimulated`."""
    reason = _REASONS.get(type(step.trouble))
    if reason is not None:
        raise NotSimulated(reason)
    if isinstance(step.trouble, way.WayLatency):
        return _latency(step.trouble, step, plan, draw)
    if isinstance(step.trouble, inner.OfClients):
        return _clients(step.trouble, scenario, len(plan.homes))
    return _staged(step.trouble, plan)


def _all(named: Sequence[int], count: int) -> Sequence[int]:
    """Return those that are named; where none is, all."""
    return [each for each in named if each < count] or range(count)


def _each(kind: Kind, pods: Iterable[int], room: str = "", amount: int = 0) -> Staged:
    return Staged(tuple(Fault(0.0, kind, pod=pod, room=room, amount=amount) for pod in pods))


@singledispatch
def _staged(trouble: Trouble, plan: RunPlan) -> Staged:
    raise NotSimulated(f"{trouble.name} is not simulated.")


_SERVERS: Final = {
    broken.BrokerKill: Kind.KILL,
    broken.BrokerStop: Kind.KILL,
    broken.BrokerFreeze: Kind.FREEZE,
    broken.BrokerConfirmLate: Kind.LATE,
}


@_staged.register
def _(trouble: broken.OfServers, plan: RunPlan) -> Staged:
    kind = _SERVERS[type(trouble)]
    if kind is Kind.KILL and isinstance(trouble, broken.BrokerStop) and plan.broker == "nats":
        kind = Kind.LAME
    late = trouble.delay if isinstance(trouble, broken.BrokerConfirmLate) else 0.0
    servers = _all(trouble.servers, plan.nodes)
    return Staged(tuple(Fault(0.0, kind, node=n, amount=round(late * 1000)) for n in servers))


@_staged.register
def _(trouble: broken.BrokerSplit, plan: RunPlan) -> Staged:
    return Staged((Fault(0.0, Kind.SPLIT, node=trouble.server, other=trouble.other),))


@_staged.register
def _(trouble: broken.BrokerFailover, plan: RunPlan) -> Staged:
    if plan.sharded:  # its master comes back before a replica of it, which the model does not have
        return Staged((Fault(0.0, Kind.KILL),))
    return Staged((Fault(0.0, Kind.FAILOVER),))


@_staged.register
def _(trouble: broken.BrokerDemote, plan: RunPlan) -> Staged:
    return Staged((Fault(0.0, Kind.DEMOTE),))


@_staged.register
def _(trouble: broken.BrokerMove, plan: RunPlan) -> Staged:
    return Staged((Fault(0.0, Kind.MOVE, room=trouble.room),))


_SUBSCRIPTIONS: Final = {
    broken.BrokerForget: Kind.FORGET,
    broken.BrokerUnsubscribe: Kind.UNHEARD,
    broken.BrokerDeny: Kind.DENY,
}


@_staged.register
def _(trouble: broken.OfSubscription, plan: RunPlan) -> Staged:
    return _each(_SUBSCRIPTIONS[type(trouble)], _all(trouble.pods, plan.pods), trouble.room)


@_staged.register
def _(trouble: broken.BrokerForgetQueue, plan: RunPlan) -> Staged:
    return _each(Kind.FORGET_POD, _all(trouble.pods, plan.pods))


@_staged.register
def _(trouble: broken.BrokerForgetExchange, plan: RunPlan) -> Staged:
    amount = ("rooms", "pods", "everyone").index(trouble.of)
    return Staged((Fault(0.0, Kind.FORGET_ALL, amount=amount),))


@_staged.register
def _(trouble: broken.BrokerForgetBindings, plan: RunPlan) -> Staged:
    return Staged((Fault(0.0, Kind.FORGET_SIDE, node=trouble.server, other=trouble.other),))


@_staged.register
def _(trouble: broken.BrokerLimit, plan: RunPlan) -> Staged:
    return Staged((Fault(0.0, Kind.LIMIT, amount=trouble.size),))


@_staged.register
def _(trouble: broken.BrokerCutSlow, plan: RunPlan) -> Staged:
    return _each(Kind.CUT, _all(trouble.pods, plan.pods))


@_staged.register
def _(trouble: broken.BrokerRefuse, plan: RunPlan) -> Staged:
    return _each(Kind.NACK, _all(trouble.pods, plan.pods), amount=round(trouble.share * 100))


@_staged.register
def _(trouble: broken.BrokerStranger, plan: RunPlan) -> Staged:
    return Staged((Fault(0.0, Kind.STRANGER),))


# Ways ----------------------------------------------------------------------------------------


@_staged.register
def _(trouble: way.WayBlackhole, plan: RunPlan) -> Staged:
    amount = ("both", "in", "out").index(trouble.direction)
    return _each(Kind.SWALLOW, _all(trouble.pods, plan.pods), amount=amount)


@_staged.register
def _(trouble: way.WaySlowClose, plan: RunPlan) -> Staged:
    return _each(Kind.SWALLOW, _all(trouble.pods, plan.pods), amount=3)


@_staged.register
def _(trouble: way.WayCut, plan: RunPlan) -> Staged:
    return _each(Kind.CUT, _all(trouble.pods, plan.pods))


@_staged.register
def _(trouble: way.WayHang, plan: RunPlan) -> Staged:
    pods = _all(trouble.pods, plan.pods)
    return Staged(_each(Kind.CUT, pods).faults + _each(Kind.SWALLOW, pods).faults)


@_staged.register
def _(trouble: way.WayRefuse, plan: RunPlan) -> Staged:
    if set(_all(trouble.pods, plan.pods)) != set(range(plan.pods)):
        raise NotSimulated("A server of the models refuses all pods, or none.")
    return Staged(tuple(Fault(0.0, Kind.KILL, node=node) for node in range(plan.nodes)))


@_staged.register
def _(trouble: way.WayDrop, plan: RunPlan) -> Staged:
    kind = Kind.DROP_BEATS if trouble.beats else Kind.DROP if trouble.room else Kind.DROP_ALL
    pods = _all(trouble.pods, plan.pods)
    return _each(kind, pods, trouble.room, round(trouble.share * 100))


@_staged.register
def _(trouble: way.WayDuplicate, plan: RunPlan) -> Staged:
    return _each(Kind.DUPLICATE, _all(trouble.pods, plan.pods), amount=round(trouble.share * 100))


def _latency(
    trouble: way.WayLatency, step: ScenarioStep, plan: RunPlan, draw: random.Random
) -> Staged:
    """Slow down the servers of these pods: by another time every now and then, if unevenly."""
    pods = set(_all(trouble.pods, plan.pods))
    nodes = {place for pod, place in enumerate(plan.places) if pod in pods}
    nodes = set(range(plan.nodes)) if len(pods) == plan.pods else nodes
    if any(place in nodes and pod not in pods for pod, place in enumerate(plan.places)):
        raise NotSimulated("The models have slow servers, and no slow way of one pod of several.")
    slow = [Fault(0.0, Kind.DELAY, seconds=step.lasting or step.within, node=n) for n in nodes]
    if not trouble.jitter or not step.lasting:
        return Staged(tuple(_slowed(fault, trouble.delay) for fault in slow))
    pieces = [
        Fault(GUST * n, Kind.DELAY, seconds=min(GUST, step.lasting - GUST * n), node=fault.node)
        for fault in slow
        for n in range(int(step.lasting / GUST))
    ]
    low, high = max(0.0, trouble.delay - trouble.jitter), trouble.delay + trouble.jitter
    return Staged(pieces=tuple(_slowed(piece, draw.uniform(low, high)) for piece in pieces))


def _slowed(fault: Fault, delay: float) -> Fault:
    return Fault(fault.at, fault.kind, fault.seconds, node=fault.node, amount=round(delay * 1000))


# Pods and clients ----------------------------------------------------------------------------

_PODS: Final = {
    inner.PodKill: Kind.CRASH,
    inner.PodMemory: Kind.CRASH,
    inner.PodStop: Kind.STOP,
    inner.PodPause: Kind.PAUSE,
    inner.PodBlock: Kind.PAUSE,
}


@_staged.register
def _(trouble: inner.OfPods, plan: RunPlan) -> Staged:
    clock = trouble.clock if isinstance(trouble, inner.PodKill | inner.PodStop) else 0.0
    return _each(_PODS[type(trouble)], _all(trouble.pods, plan.pods), amount=round(clock))


@_staged.register
def _(trouble: inner.ClientSilence, plan: RunPlan) -> Staged:
    return Staged(hush=True)


def _clients(trouble: inner.OfClients, scenario: Scenario, count: int) -> Staged:
    clients = _all(trouble.clients, count)
    match trouble:
        case inner.ClientStall():
            return Staged(begin=_deeds(clients, Act.STALL), end=_deeds(clients, Act.GO_ON))
        case inner.ClientLarge():
            said = (Deed(0.0, each, Act.SAY, trouble.room, trouble.size) for each in clients)
            return Staged(begin=tuple(said))
    rooms = [room.name for room in scenario.load.rooms]
    gone, back = _deeds(clients, Act.GO), _deeds(clients, Act.COME)
    back += tuple(Deed(0.0, each, Act.JOIN, room) for each in clients for room in rooms)
    if isinstance(trouble, inner.ClientHerd):
        return Staged(begin=gone + back)
    return Staged(begin=gone, end=back)


def _deeds(clients: Iterable[int], act: Act) -> tuple[Deed, ...]:
    return tuple(Deed(0.0, each, act) for each in clients)
