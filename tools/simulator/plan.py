"""What a run does: pods, clients, what they say, and what goes wrong when. Pure, by its seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from attrs import evolve, frozen

from ...config import FailurePolicy, ReceiptPolicy
from ..oracle.timing import HEALED, HIDDEN, LISTENED
from .faults import MOMENTARY, ROOMS, WEIGHTS, BrokerName, Fault, Kind

__all__ = ["BROKERS", "FORGETS", "Act", "Deed", "RunPlan", "plan"]

BROKERS: Final[tuple[BrokerName, ...]] = ("nats", "redis", "rabbitmq")

SPOKEN: Final = 19.0
"""Seconds until which clients speak."""
CALM: Final = 18.0
"""Seconds until which all faults are over."""
SILENT: Final = 0.08
"""How many of all runs have a silence before the last word, in which a subscription is lost."""
WRONG: Final = 600.0
SIGNED_WRONG: Final = 20.0
"""Seconds that a clock may be wrong: minutes, or less than `replayWindow` between any two."""


POLICIES: Final = (("kept-*", FailurePolicy.BUFFER), ("strict-*", FailurePolicy.REJECT))
RECEIPTS: Final = (("plain-2", ReceiptPolicy.HEARD), ("kept-*", ReceiptPolicy.HEARD))


class Act(StrEnum):
    """What a client does."""

    COME = "come"
    JOIN = "join"
    SAY = "say"
    LEAVE = "leave"
    GO = "go"
    STALL = "stall"
    """It takes nothing of what is written to it, until it goes on."""
    GO_ON = "go_on"
    ANNOUNCE = "announce"
    """No client but the pod of this number says something to everybody."""


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

    `skews` are how wrong (seconds) the pods' clocks are at first. `sharded` is a Redis cluster;
    where pods `roam` they know all servers of NATS, and connect to any. `spread` is how long
    (seconds) a node's interest takes to be known to the others, `road` how long a message takes
    from one to another at most. `signed` is whether pods have a secret. `policies` and `receipts`
    are those of rooms, by pattern. From `last_words` (seconds) on everything is well again.
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
    road: float = 0.002
    sharded: bool = False
    roams: bool = False
    signed: bool = False
    policies: tuple[tuple[str, FailurePolicy], ...] = POLICIES
    receipts: tuple[tuple[str, ReceiptPolicy], ...] = RECEIPTS
    last_words: float = CALM + HEALED
    length: float = CALM + HEALED + LISTENED

    @property
    def pods(self) -> int:
        """How many pods there are."""
        return len(self.places)


def plan(seed: int, broker: BrokerName | None = None) -> RunPlan:
    """Draw a run; `broker` None draws that too. The same seed gives the same plan everywhere."""
    draw = random.Random(seed)  # noqa: S311 - chance, not secrecy
    name: BrokerName = draw.choice(BROKERS) if broker is None else broker
    pods = draw.choice((2, 2, 3, 3, 4))
    nodes = draw.choice((1, 2, 2, 3))
    clients = pods * draw.choice((1, 2, 2))
    made = RunPlan(
        seed=seed,
        broker=name,
        nodes=nodes,
        places=tuple(n % nodes for n in range(pods)),
        homes=tuple(n % pods for n in range(clients)),
        skews=(),
        spread=draw.uniform(0.0, 0.3) if name == "nats" else 0.0,
        faults=(),
        deeds=(),
        road=draw.uniform(0.002, 0.05),
        sharded=name == "redis" and nodes > 1 and draw.random() < 0.5,
        roams=name == "nats" and nodes > 1 and draw.random() < 0.5,
        signed=draw.random() < 0.25,
    )
    faults = [_fault(draw, made) for _ in range(draw.choice((0, 1, 1, 2, 2, 3)))]
    skews = tuple(_skew(draw, made) for _ in range(pods))
    deeds = _deeds(draw, clients, pods)
    ends = [fault.at + fault.seconds for fault in faults]
    silent = [fault.at + HIDDEN for fault in faults if fault.kind in FORGETS]
    last_words = max([SPOKEN + 1, *silent, *(end + HEALED for end in ends)])
    if draw.random() < SILENT:
        faults.append(_loss(draw, made, last_words))
        last_words += HIDDEN
    return evolve(
        made,
        skews=skews,
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        deeds=tuple(sorted((*deeds, *_last(deeds, last_words)), key=lambda deed: deed.at)),
        last_words=last_words,
        length=last_words + LISTENED,
    )


def _skew(draw: random.Random, made: RunPlan) -> float:
    """Draw how wrong a clock is; pods that sign bear a minute of it, and no more."""
    wrong = SIGNED_WRONG if made.signed else WRONG
    return draw.choice((0.0, 0.0, 0.0, draw.uniform(-5, 5), draw.uniform(-wrong, wrong)))


FORGETS: Final = frozenset({Kind.FORGET, Kind.FORGET_SIDE, Kind.FORGET_ALL})
"""What is found when somebody speaks, and else when silent subscriptions are proven again."""
_LONGEST: Final[Mapping[Kind, float]] = {
    Kind.DELAY: 3.0,
    Kind.DROP: 2.0,
    Kind.DROP_ALL: 2.5,
    Kind.MOVE: 1.0,
    Kind.DEMOTE: 1.0,
    Kind.LATE: 3.0,
    Kind.NACK: 3.0,
}
"""Seconds that a fault lasts at most; all others six."""
_AMOUNTS: Final[Mapping[Kind, tuple[int, int]]] = {
    Kind.DELAY: (50, 800),
    Kind.LATE: (200, 4000),
    Kind.LIMIT: (1500, 1500),
    Kind.FORGET_ALL: (0, 2),
}


def _fault(draw: random.Random, made: RunPlan) -> Fault:
    weights = WEIGHTS[made.broker]
    kind = _possible(draw.choices(list(weights), list(weights.values()))[0], made)
    node = draw.randrange(made.nodes)
    amount = draw.randint(*_AMOUNTS.get(kind, (20, 100)))
    skew = round(_skew(draw, made))
    return Fault(
        at=round(draw.uniform(4.0, CALM - 6.0), 3),
        kind=kind,
        seconds=0.0 if kind in MOMENTARY else round(draw.uniform(0.2, _LONGEST.get(kind, 6.0)), 3),
        pod=draw.randrange(made.pods),
        node=node,
        other=(node + draw.randrange(1, made.nodes)) % made.nodes if made.nodes > 1 else 0,
        room=draw.choice(ROOMS),
        amount=skew if kind in (Kind.CRASH, Kind.STOP) else amount,
    )


def _loss(draw: random.Random, made: RunPlan, at: float) -> Fault:
    """Draw what nobody notices as long as nobody speaks."""
    kinds = [Kind.FORGET, Kind.FORGET_ALL] if made.broker == "rabbitmq" else [Kind.FORGET]
    return Fault(
        at=at,
        kind=draw.choice(kinds),
        pod=draw.randrange(made.pods),
        room=draw.choice(ROOMS),
        amount=draw.randrange(3),
    )


def _last(deeds: Sequence[Deed], at: float) -> list[Deed]:
    """Let each client say something in each of its rooms."""
    joined = dict.fromkeys((deed.client, deed.room) for deed in deeds if deed.act is Act.JOIN)
    return [
        Deed(round(at + 0.01 * (number + 1), 3), client, Act.SAY, room)
        for number, (client, room) in enumerate(joined)
    ]


def _possible(kind: Kind, made: RunPlan) -> Kind:
    """Return what comes instead where there is only one server, or no cluster, or only one."""
    if made.nodes == 1:
        kind = {Kind.SPLIT: Kind.KILL, Kind.FORGET_SIDE: Kind.FORGET}.get(kind, kind)
    if kind is Kind.MOVE and not made.sharded:
        return Kind.CUT
    if kind in (Kind.FAILOVER, Kind.DEMOTE) and (made.sharded or made.nodes == 1):
        return Kind.KILL
    return kind


def _deeds(draw: random.Random, clients: int, pods: int) -> Sequence[Deed]:
    deeds: list[Deed] = []
    for pod in range(pods):
        at = draw.uniform(2.0, 8.0)
        while at < SPOKEN:
            deeds.append(Deed(round(at, 3), pod, Act.ANNOUNCE))
            at += draw.expovariate(0.2)
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
        if draw.random() < 0.1:
            stalled = round(draw.uniform(4.0, CALM), 3)
            deeds.append(Deed(stalled, client, Act.STALL))
            deeds.append(Deed(stalled + draw.uniform(0.2, 3.0), client, Act.GO_ON))
        if draw.random() < 0.15:
            gone = round(draw.uniform(came + 3, SPOKEN), 3)
            deeds.append(Deed(gone, client, Act.GO))
            deeds.append(Deed(gone + 1.0, client, Act.COME))
    return sorted(deeds, key=lambda deed: deed.at)
