"""What may go wrong: each a class, named as scenarios name it.

A scenario's `with` holds the fields of such a class. Servers, pods and clients are counted from 0.
"""

from collections.abc import Collection
from typing import ClassVar, Final, Literal, TypeAlias

from attrs import frozen

__all__ = [
    "CLUSTERS",
    "RABBITMQ",
    "REDIS",
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
