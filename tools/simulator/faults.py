"""What goes wrong in a run: each kind, and with which broker how often. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from attrs import frozen

__all__ = ["HARMLESS", "MOMENTARY", "ROOMS", "WEIGHTS", "BrokerName", "Fault", "Kind"]

BrokerName: TypeAlias = Literal["nats", "redis", "rabbitmq"]

ROOMS: Final = ("plain-1", "plain-2", "kept-1", "strict-1")
"""One or more for each policy of an outage; `world` binds `kept-*` and `strict-*`."""


class Kind(StrEnum):
    """What goes wrong."""

    KILL = "kill"
    """A node dies, and comes back after `seconds`."""
    LAME = "lame"
    """A node says that it is about to stop, takes nobody any more, and is back after `seconds`."""
    FAILOVER = "failover"
    """Redis: the master dies, and `seconds` later another is; the old one comes back as its
    replica."""
    DEMOTE = "demote"
    """Redis: another becomes the master, which the links to the old one find out after
    `seconds`."""
    MOVE = "move"
    """Redis: a room's slot moves to another master, which idle links find out after `seconds`."""
    FREEZE = "freeze"
    """A node answers and delivers nothing for `seconds`, its connections open."""
    SWALLOW = "swallow"
    """A pod's way to all servers swallows everything for `seconds`; where `amount` is 1 what comes
    in alone, where it is 2 what goes out, where it is 3 that a server has ended."""
    SPLIT = "split"
    """The road between two nodes is cut for `seconds`. A Redis that is cut off goes on as a master
    beside the new one; RabbitMQ restarts the `other` node when the road is open again."""
    CUT = "cut"
    """A pod's connection is reset."""
    FORGET = "forget"
    """A pod's subscription of a room is gone, in silence."""
    FORGET_POD = "forget_pod"
    """RabbitMQ: a pod's queue is deleted, of which it is told."""
    FORGET_ALL = "forget_all"
    """RabbitMQ: the exchange of all rooms, of the pods or of everyone (by `amount`) is deleted, and
    all that was bound to it."""
    FORGET_SIDE = "forget_side"
    """RabbitMQ: a node has forgotten what is bound on another: it is back with an older state."""
    UNHEARD = "unheard"
    """A pod's subscription of a room is ended, and the pod is told."""
    DROP = "drop"
    """For `seconds`, `amount` of 100 messages of a room do not reach a pod."""
    DROP_ALL = "drop_all"
    """The same for all that a pod is to hear."""
    DROP_BEATS = "drop_beats"
    """The same for what all pods hear: beats, and what is said to everybody."""
    DELAY = "delay"
    """For `seconds`, what goes to a node and comes from it takes `amount` ms longer."""
    LATE = "late"
    """RabbitMQ: for `seconds`, a node confirms `amount` ms late what it has long delivered."""
    NACK = "nack"
    """RabbitMQ: for `seconds`, `amount` of 100 batches of a pod are refused, taken or not."""
    DUPLICATE = "duplicate"
    """For `seconds`, `amount` of 100 messages reach a pod twice."""
    DENY = "deny"
    """For `seconds`, a pod may not publish in a room; on RabbitMQ in none."""
    LIMIT = "limit"
    """The server takes no message above `amount` bytes any more."""
    STRANGER = "stranger"
    """For `seconds`, somebody writes on the broker: rubbish, and where pods sign what they say,
    forged and repeated messages too."""
    CRASH = "crash"
    """A pod dies, and comes back under its name after `seconds`, its clock wrong by `amount` s."""
    STOP = "stop"
    """A pod stops as it is told to, and comes back as above."""
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
            Kind.LAME: node,
            Kind.FAILOVER: "the master",
            Kind.DEMOTE: "the master",
            Kind.MOVE: room,
            Kind.FREEZE: node,
            Kind.SPLIT: f"{node} from {self.other}",
            Kind.FORGET_SIDE: f"{node} of {self.other}",
            Kind.FORGET_ALL: f"exchange {amount % 3}",
            Kind.DELAY: f"{node} by {amount} ms",
            Kind.LATE: f"{node} by {amount} ms",
            Kind.LIMIT: f"{amount} bytes",
            Kind.STRANGER: "",
        }.get(self.kind, pod)
        if self.kind in (Kind.FORGET, Kind.UNHEARD, Kind.DROP, Kind.DENY):
            whom = f"{whom} {room}"
        if self.kind in (Kind.DROP, Kind.DROP_ALL, Kind.DROP_BEATS, Kind.DUPLICATE, Kind.NACK):
            whom = f"{whom} {amount} %"
        if self.kind in (Kind.CRASH, Kind.STOP) and amount:
            whom = f"{whom}, its clock {amount:+} s,"
        return f"{self.at:6.3f} s {self.kind.value} {whom}".rstrip() + (
            f" for {self.seconds:.3f} s" if self.seconds else ""
        )


MOMENTARY: Final = frozenset(
    {Kind.CUT, Kind.FORGET, Kind.FORGET_POD, Kind.FORGET_ALL, Kind.FORGET_SIDE}
    | {Kind.UNHEARD, Kind.LIMIT}
)
"""What is done and needs no undoing."""

HARMLESS: Final = frozenset(
    {Kind.DENY, Kind.STRANGER, Kind.DUPLICATE, Kind.FORGET, Kind.UNHEARD, Kind.DROP}
)
"""What ends no link and cuts no pod off from another."""

_OF_PODS: Final = {Kind.CRASH: 3, Kind.STOP: 2, Kind.PAUSE: 2}
_OF_ALL: Final = {
    Kind.KILL: 3,
    Kind.FREEZE: 2,
    Kind.CUT: 3,
    Kind.DELAY: 2,
    Kind.SPLIT: 3,
    Kind.FORGET: 2,
    Kind.DROP: 2,
    Kind.STRANGER: 1,
} | _OF_PODS
WEIGHTS: Final[Mapping[BrokerName, Mapping[Kind, int]]] = {
    "nats": _OF_ALL
    | {Kind.SPLIT: 4, Kind.LAME: 2}
    | {Kind.DENY: 1, Kind.LIMIT: 1, Kind.UNHEARD: 1},
    "redis": _OF_ALL | {Kind.FAILOVER: 3, Kind.DEMOTE: 2, Kind.MOVE: 3, Kind.DROP_ALL: 4},
    "rabbitmq": _OF_ALL
    | {Kind.FORGET_POD: 2, Kind.FORGET_ALL: 2, Kind.FORGET_SIDE: 2, Kind.DUPLICATE: 2}
    | {Kind.LATE: 2, Kind.NACK: 2, Kind.DENY: 1, Kind.LIMIT: 1, Kind.UNHEARD: 1},
}
"""How often what goes wrong with which broker."""
