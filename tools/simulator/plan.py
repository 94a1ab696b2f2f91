"""What a run does: pods, clients, what they say, and what goes wrong when. Pure, by its seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from attrs import frozen

__all__ = ["BROKERS", "Act", "BrokerName", "Deed", "Fault", "Kind", "RunPlan", "plan"]

BrokerName: TypeAlias = Literal["nats", "redis", "rabbitmq"]
BROKERS: Final[tuple[BrokerName, ...]] = ("nats", "redis", "rabbitmq")

ROOMS: Final = ("plain-1", "plain-2", "kept-1", "strict-1")
"""One or more for each policy of an outage; `world` binds `kept-*` and `strict-*`."""
SPOKEN: Final = 21.0
"""Seconds until which clients speak."""
CALM: Final = 18.0
"""Seconds until which all faults are over."""
LENGTH: Final = 30.0


class Kind(StrEnum):
    """What goes wrong."""

    KILL = "kill"
    """A node dies, and comes back after `seconds`."""
    FREEZE = "freeze"
    """A node answers and delivers nothing for `seconds`, its connections open."""
    SPLIT = "split"
    """The road between two nodes is cut for `seconds`."""
    CUT = "cut"
    """A pod's connection is reset."""
    FORGET = "forget"
    """A pod's subscription of a room is gone, in silence."""
    FORGET_POD = "forget_pod"
    """All subscriptions of a pod are gone, in silence: its queue was deleted."""
    FORGET_ALL = "forget_all"
    """All subscriptions of all pods are gone, in silence: the exchange was deleted."""
    UNHEARD = "unheard"
    """A pod's subscription of a room is ended, and the pod is told."""
    DROP = "drop"
    """For `seconds`, `amount` of 100 messages of a room do not reach a pod."""
    DROP_ALL = "drop_all"
    """The same for all that a pod is to hear."""
    DELAY = "delay"
    """For `seconds`, what a node delivers takes `amount` ms longer."""
    DUPLICATE = "duplicate"
    """For `seconds`, `amount` of 100 messages reach a pod twice."""
    DENY = "deny"
    """For `seconds`, a pod may not publish in a room."""
    LIMIT = "limit"
    """The server takes no message above `amount` bytes any more."""
    CRASH = "crash"
    """A pod dies, and comes back under its name after `seconds`."""
    STOP = "stop"
    """A pod stops as it is told to, and comes back under its name after `seconds`."""
    PAUSE = "pause"
    """A pod does nothing for `seconds`, its connections open."""


@frozen
class Fault:
    """Something that goes wrong `at` a time; what of the rest counts says its kind."""

    at: float
    kind: Kind
    seconds: float = 0.0
    pod: int = 0
    node: int = 0
    other: int = 0
    room: str = ROOMS[0]
    amount: int = 0

    def __str__(self) -> str:
        """Say it in a line, to be read."""
        pod, node, room, amount = f"pod {self.pod}", f"node {self.node}", self.room, self.amount
        whom = {
            Kind.KILL: node,
            Kind.FREEZE: node,
            Kind.SPLIT: f"{node} from {self.other}",
            Kind.FORGET_ALL: "everybody",
            Kind.DELAY: f"{node} by {amount} ms",
            Kind.LIMIT: f"{amount} bytes",
        }.get(self.kind, pod)
        if self.kind in (Kind.FORGET, Kind.UNHEARD, Kind.DROP, Kind.DENY):
            whom = f"{whom} {room}"
        if self.kind in (Kind.DROP, Kind.DROP_ALL, Kind.DUPLICATE):
            whom = f"{whom} {amount} %"
        return f"{self.at:6.3f} s {self.kind.value} {whom}" + (
            f" for {self.seconds:.3f} s" if self.seconds else ""
        )


class Act(StrEnum):
    """What a client does."""

    COME = "come"
    JOIN = "join"
    SAY = "say"
    LEAVE = "leave"
    GO = "go"


@frozen
class Deed:
    """What a client does `at` a time; `size` are the bytes that it says beside the least."""

    at: float
    client: int
    act: Act
    room: str = ""
    size: int = 0


@frozen
class RunPlan:
    """A run. `places` are the nodes of the pods, `homes` the pods of the clients.

    `spread` is how long (seconds) a node's interest takes to be known to the others.
    """

    seed: int
    broker: BrokerName
    nodes: int
    places: tuple[int, ...]
    homes: tuple[int, ...]
    skews: tuple[float, ...]
    spread: float
    faults: tuple[Fault, ...]
    deeds: tuple[Deed, ...]
    length: float = LENGTH

    @property
    def pods(self) -> int:
        """How many pods there are."""
        return len(self.places)


_OF_PODS: Final = {Kind.CRASH: 3, Kind.STOP: 2, Kind.PAUSE: 2}
_OF_ALL: Final = {Kind.KILL: 3, Kind.FREEZE: 2, Kind.CUT: 3, Kind.DELAY: 2} | _OF_PODS
WEIGHTS: Final[Mapping[BrokerName, Mapping[Kind, int]]] = {
    "nats": _OF_ALL
    | {Kind.SPLIT: 4, Kind.FORGET: 2, Kind.DROP: 2, Kind.DENY: 1, Kind.LIMIT: 1, Kind.UNHEARD: 1},
    "redis": _OF_ALL
    | {Kind.SPLIT: 3, Kind.FORGET: 2, Kind.DROP: 2, Kind.DROP_ALL: 1, Kind.UNHEARD: 1},
    "rabbitmq": _OF_ALL
    | {Kind.SPLIT: 2, Kind.FORGET: 2, Kind.FORGET_POD: 2, Kind.FORGET_ALL: 2, Kind.DROP: 2}
    | {Kind.DUPLICATE: 2, Kind.DENY: 1, Kind.LIMIT: 1, Kind.UNHEARD: 1},
}
"""How often what goes wrong with which broker."""


def plan(seed: int, broker: BrokerName | None = None) -> RunPlan:
    """Draw a run; `broker` None draws that too. The same seed gives the same plan everywhere."""
    draw = random.Random(seed)  # noqa: S311 - chance, not secrecy
    name: BrokerName = draw.choice(BROKERS) if broker is None else broker
    pods = draw.choice((2, 2, 3, 3, 4))
    nodes = draw.choice((1, 2, 2, 3)) if name != "redis" else draw.choice((1, 1, 2))
    places = tuple(n % nodes for n in range(pods))
    clients = pods * draw.choice((1, 2, 2))
    faults = sorted(
        (_fault(draw, WEIGHTS[name], pods, nodes) for _ in range(draw.choice((0, 1, 1, 2, 2, 3)))),
        key=lambda fault: fault.at,
    )
    return RunPlan(
        seed=seed,
        broker=name,
        nodes=nodes,
        places=places,
        homes=tuple(n % pods for n in range(clients)),
        skews=tuple(draw.choice((0.0, 0.0, draw.uniform(-5, 5))) for _ in range(pods)),
        spread=draw.uniform(0.0, 0.3) if name == "nats" else 0.0,
        faults=tuple(faults),
        deeds=tuple(_deeds(draw, clients)),
    )


def _fault(draw: random.Random, weights: Mapping[Kind, int], pods: int, nodes: int) -> Fault:
    kind = draw.choices(list(weights), list(weights.values()))[0]
    if kind is Kind.SPLIT and nodes == 1:
        kind = Kind.KILL
    at = round(draw.uniform(4.0, CALM - 6.0), 3)
    node = draw.randrange(nodes)
    amounts = {Kind.DELAY: (50, 800), Kind.LIMIT: (1500, 1500)}.get(kind, (20, 100))
    longest = {Kind.DELAY: 3.0, Kind.DROP: 2.0, Kind.DROP_ALL: 1.0}.get(kind, 6.0)
    lasts = kind not in _MOMENTARY
    return Fault(
        at=at,
        kind=kind,
        seconds=round(draw.uniform(0.2, longest), 3) if lasts else 0.0,
        pod=draw.randrange(pods),
        node=node,
        other=(node + draw.randrange(1, nodes)) % nodes if nodes > 1 else 0,
        room=draw.choice(ROOMS),
        amount=draw.randint(*amounts),
    )


_MOMENTARY: Final = frozenset(
    {Kind.CUT, Kind.FORGET, Kind.FORGET_POD, Kind.FORGET_ALL, Kind.UNHEARD, Kind.LIMIT}
)


def _deeds(draw: random.Random, clients: int) -> Sequence[Deed]:
    deeds: list[Deed] = []
    for client in range(clients):
        came = round(draw.uniform(0.5, 2.0), 3)
        deeds.append(Deed(came, client, Act.COME))
        for room in draw.sample(ROOMS, draw.choice((1, 2, 2, 3))):
            joined = came + round(draw.uniform(0.0, 1.0), 3)
            deeds.append(Deed(joined, client, Act.JOIN, room))
            at = joined + draw.expovariate(0.5)
            while at < SPOKEN:
                size = 2000 if draw.random() < 0.02 else 0
                deeds.append(Deed(round(at, 3), client, Act.SAY, room, size))
                at += draw.expovariate(0.5)
            if draw.random() < 0.2:
                left = round(draw.uniform(joined + 1, SPOKEN), 3)
                deeds.append(Deed(left, client, Act.LEAVE, room))
                deeds.append(Deed(left + draw.uniform(0.1, 4.0), client, Act.JOIN, room))
        if draw.random() < 0.15:
            gone = round(draw.uniform(came + 3, SPOKEN), 3)
            deeds.append(Deed(gone, client, Act.GO))
            deeds.append(Deed(gone + 1.0, client, Act.COME))
    return sorted(deeds, key=lambda deed: deed.at)
