"""What may be done to a broker and the ways to it: each a class, named as scenarios name it.

A scenario's `with` holds the fields of such a class. Servers, pods and clients are counted from 0.
"""

# ruff: noqa: RUF009 - `setting` declares a field, as `attrs.field` does

from collections.abc import Collection
from typing import ClassVar, Final, Literal, TypeAlias

from attrs import frozen

from ....config.fields import setting

__all__ = [
    "BROKER_FAULTS",
    "WAY_FAULTS",
    "BrokerName",
    "Direction",
    "Trouble",
]

BrokerName: TypeAlias = Literal["nats", "redis", "rabbitmq"]
Direction: TypeAlias = Literal["both", "in", "out"]
"""`in` is what comes from the broker to a pod."""

RABBITMQ: Final = frozenset({"rabbitmq"})
REDIS: Final = frozenset({"redis"})
ALL: Final = frozenset({"nats", "redis", "rabbitmq"})
CLUSTERS: Final = frozenset({"cluster", "sentinel"})
SINGLE_TOO: Final = frozenset({"single", "cluster", "sentinel"})


@frozen
class Trouble:
    """Something that goes wrong. `momentary` is what is done and needs no undoing."""

    name: ClassVar[str]
    brokers: ClassVar[Collection[str]] = ALL
    """Those that know such a thing."""
    topologies: ClassVar[Collection[str]] = SINGLE_TOO
    momentary: ClassVar[bool] = False


@frozen
class OfServers(Trouble):
    """What is done to servers."""

    servers: tuple[int, ...] = setting((0,), help="The servers; an empty list is all of them.")


@frozen
class OfWays(Trouble):
    """What is done to the ways of pods to the broker."""

    pods: tuple[int, ...] = setting((), help="Whose ways; an empty list is all pods'.")


@frozen
class OfSubscription(Trouble):
    """What is done to what pods hear of a room."""

    pods: tuple[int, ...] = setting((0,), help="The pods; an empty list is all of them.")
    room: str = setting("plain", help="The room.")


@frozen
class BrokerKill(OfServers):
    """A server is killed, and started again when it is over."""

    name = "broker.kill"


@frozen
class BrokerStop(OfServers):
    """A server stops as it is told to, or says that it will; it is started again."""

    name = "broker.stop"


@frozen
class BrokerFreeze(OfServers):
    """A server does nothing, its connections open."""

    name = "broker.freeze"


@frozen
class BrokerSplit(Trouble):
    """The road between two servers is cut; their pods reach each of them."""

    name = "broker.split"
    topologies = CLUSTERS

    server: int = setting(0, ge=0, help="One of them.")
    other: int = setting(1, ge=0, help="The other.")


@frozen
class BrokerFailover(Trouble):
    """The master dies, and another takes over; it comes back as its replica when it is over."""

    name = "broker.failover"
    brokers = REDIS
    topologies = CLUSTERS


@frozen
class BrokerDemote(Trouble):
    """Another becomes the master, and the old one lives on as its replica."""

    name = "broker.demote"
    brokers = REDIS
    topologies = frozenset({"sentinel"})


@frozen
class BrokerMove(Trouble):
    """The slot of a room moves to another master."""

    name = "broker.move"
    brokers = REDIS
    topologies = frozenset({"cluster"})

    room: str = setting("plain", help="The room.")


@frozen
class BrokerForget(OfSubscription):
    """A pod's subscription of a room is gone, in silence."""

    name = "broker.forget"
    momentary = True


@frozen
class BrokerUnsubscribe(OfSubscription):
    """A pod's subscription of a room is ended, and the pod is told."""

    name = "broker.unsubscribe"
    brokers = frozenset({"nats", "rabbitmq"})
    momentary = True


@frozen
class BrokerForgetQueue(Trouble):
    """A pod's queue is deleted."""

    name = "broker.forget_queue"
    brokers = RABBITMQ
    momentary = True

    pods: tuple[int, ...] = setting((0,), help="The pods; an empty list is all of them.")


@frozen
class BrokerForgetExchange(Trouble):
    """An exchange is deleted, and all that was bound to it."""

    name = "broker.forget_exchange"
    brokers = RABBITMQ
    momentary = True

    of: Literal["rooms", "pods", "everyone"] = setting("rooms", help="Which exchange.")


@frozen
class BrokerForgetBindings(Trouble):
    """A server is back with an older state: it has forgotten what is bound on another."""

    name = "broker.forget_bindings"
    brokers = RABBITMQ
    topologies = frozenset({"cluster"})
    momentary = True

    server: int = setting(0, ge=0, help="Who has forgotten.")
    other: int = setting(1, ge=0, help="What is bound there.")


@frozen
class BrokerDeny(OfSubscription):
    """A pod may not say anything in a room; on RabbitMQ in none."""

    name = "broker.deny"


@frozen
class BrokerLimit(Trouble):
    """The server takes no large messages any more."""

    name = "broker.limit"
    brokers = frozenset({"nats", "rabbitmq"})
    momentary = True

    size: int = setting(1500, unit="bytes", ge=512, help="What it takes at most.")


@frozen
class BrokerAlarm(Trouble):
    """The server is short of memory or disk: it takes nothing and says so to who listens."""

    name = "broker.alarm"
    brokers = RABBITMQ

    of: Literal["memory", "disk"] = setting("memory", help="What it is short of.")


@frozen
class BrokerReadOnly(Trouble):
    """The server may not write: it is a replica of nobody, or its memory is used up."""

    name = "broker.read_only"
    brokers = REDIS

    how: Literal["replica", "maxmemory"] = setting("replica", help="Why it may not.")


@frozen
class BrokerAnswer(Trouble):
    """Whatever a pod asks of it, the server answers with an error of its own."""

    name = "broker.answer"

    error: str = setting(
        "LOADING", help="As its protocol has it: `LOADING`, `CLUSTERDOWN`, `403`, …"
    )


@frozen
class BrokerPassword(Trouble):
    """The password has changed, and is given back when it is over."""

    name = "broker.password"


@frozen
class BrokerFull(Trouble):
    """The server takes no more connections, and cuts those that it has."""

    name = "broker.full"


@frozen
class BrokerDiskFull(Trouble):
    """The disk of the server is full."""

    name = "broker.disk_full"


@frozen
class BrokerCutSlow(Trouble):
    """The server cuts off a pod that is slow to read."""

    name = "broker.cut_slow"
    brokers = REDIS
    momentary = True

    pods: tuple[int, ...] = setting((0,), help="The pods; an empty list is all of them.")


@frozen
class BrokerConfirmLate(OfServers):
    """A server confirms late what it has long delivered."""

    name = "broker.confirm_late"
    brokers = RABBITMQ

    delay: float = setting(1.0, unit="seconds", ge=0.05, le=10, help="How late.")


@frozen
class BrokerRefuse(Trouble):
    """Some of what a pod says is refused by the server, which has taken it or not."""

    name = "broker.refuse"
    brokers = RABBITMQ

    pods: tuple[int, ...] = setting((0,), help="The pods; an empty list is all of them.")
    share: float = setting(0.5, gt=0, le=1, help="How much of it.")


@frozen
class BrokerStranger(Trouble):
    """Somebody who is no pod writes on the broker: rubbish, and what pods said before."""

    name = "broker.stranger"


@frozen
class BrokerCertificate(Trouble):
    """What the server shows by TLS is out of date or another's, or its handshake stalls."""

    name = "broker.certificate"

    how: Literal["expired", "changed", "stalled"] = setting("expired", help="What is wrong.")


@frozen
class WayLatency(OfWays):
    """What goes to the broker and comes from it takes longer, and keeps its order."""

    name = "way.latency"

    delay: float = setting(0.5, unit="seconds", ge=0, le=30, help="How much longer each way takes.")
    jitter: float = setting(
        0.0, unit="seconds", ge=0, le=30, help="By how much that differs, up and down."
    )


@frozen
class WayBlackhole(OfWays):
    """The way swallows everything; nothing is reset."""

    name = "way.blackhole"

    direction: Direction = setting("both", help="`in` is what comes from the broker.")


@frozen
class WayCut(OfWays):
    """Connections are reset."""

    name = "way.cut"
    momentary = True


@frozen
class WayBandwidth(OfWays):
    """The way is narrow."""

    name = "way.bandwidth"

    rate: int = setting(16_384, unit="bytes a second", ge=1, help="What goes through, each way.")


@frozen
class WayCutAfter(OfWays):
    """Connections are reset after so many bytes: in the middle of a message."""

    name = "way.cut_after"

    size: int = setting(100, unit="bytes", ge=1, help="What still goes through.")


@frozen
class WaySlices(OfWays):
    """Bytes come in small pieces."""

    name = "way.slices"

    size: int = setting(1, unit="bytes", ge=1, help="How small.")


@frozen
class WaySlowClose(OfWays):
    """That a connection has ended is not told."""

    name = "way.slow_close"


@frozen
class WayHang(OfWays):
    """Connections are reset, new ones accepted, and nothing is said on them."""

    name = "way.hang"


@frozen
class WayRefuse(OfWays):
    """Connections are reset, and no new ones accepted."""

    name = "way.refuse"


@frozen
class WayDrop(OfWays):
    """Messages to a pod vanish."""

    name = "way.drop"

    room: str = setting("", help="Of which room; empty is all.")
    share: float = setting(1.0, gt=0, le=1, help="How many of them.")


@frozen
class WayDuplicate(OfWays):
    """Messages come to a pod twice."""

    name = "way.duplicate"

    share: float = setting(0.5, gt=0, le=1, help="How many of them.")


@frozen
class WayReorder(OfWays):
    """Messages come to a pod after those that were said later."""

    name = "way.reorder"

    share: float = setting(0.5, gt=0, le=1, help="How many of them.")


@frozen
class WayFlip(OfWays):
    """Bits are flipped."""

    name = "way.flip"

    share: float = setting(0.01, gt=0, le=1, help="In how many of the pieces that come.")


@frozen
class WayNoName(OfWays):
    """The broker's name cannot be resolved, and its connections are reset."""

    name = "way.no_name"


@frozen
class WayDeadAddress(OfWays):
    """The broker's name leads to an address at which nobody answers, and to its own."""

    name = "way.dead_address"


BROKER_FAULTS: Final[tuple[type[Trouble], ...]] = (
    *(BrokerKill, BrokerStop, BrokerFreeze, BrokerSplit, BrokerFailover, BrokerDemote, BrokerMove),
    *(BrokerForget, BrokerUnsubscribe, BrokerForgetQueue, BrokerForgetExchange),
    *(BrokerForgetBindings, BrokerDeny, BrokerLimit, BrokerAlarm, BrokerReadOnly, BrokerAnswer),
    *(BrokerPassword, BrokerFull, BrokerDiskFull, BrokerCutSlow, BrokerConfirmLate, BrokerRefuse),
    *(BrokerStranger, BrokerCertificate),
)
WAY_FAULTS: Final[tuple[type[Trouble], ...]] = (
    *(WayLatency, WayBlackhole, WayCut, WayBandwidth, WayCutAfter, WaySlices, WaySlowClose),
    *(WayHang, WayRefuse, WayDrop, WayDuplicate, WayReorder, WayFlip, WayNoName, WayDeadAddress),
)
