"""What may be done to a broker's servers, and to what they know of pods."""

from typing import Final, Literal

from attrs import frozen

from ....config.fields import setting
from .faults import CLUSTERS, RABBITMQ, REDIS, Trouble

__all__ = ["BROKER_FAULTS"]


@frozen
class OfServers(Trouble):
    """What is done to servers."""

    servers: tuple[int, ...] = setting((0,), help="The servers; an empty list is all of them.")


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


BROKER_FAULTS: Final[tuple[type[Trouble], ...]] = (
    *(BrokerKill, BrokerStop, BrokerFreeze, BrokerSplit, BrokerFailover, BrokerDemote, BrokerMove),
    *(BrokerForget, BrokerUnsubscribe, BrokerForgetQueue, BrokerForgetExchange),
    *(BrokerForgetBindings, BrokerDeny, BrokerLimit, BrokerAlarm, BrokerReadOnly, BrokerAnswer),
    *(BrokerPassword, BrokerFull, BrokerDiskFull, BrokerCutSlow, BrokerConfirmLate, BrokerRefuse),
    *(BrokerStranger, BrokerCertificate),
)
