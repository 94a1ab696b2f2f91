"""A scenario: pods, a broker, clients who talk, what goes wrong when, and what must hold.

Nothing here knows whether it is played in the simulator or on real servers.
"""

# ruff: noqa: RUF009 - `setting` declares a field, as `attrs.field` does

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from ....config import FailurePolicy, ReceiptPolicy
from ....config.fields import setting
from .faults import BrokerName, Trouble
from .way_faults import WayCut

__all__ = [
    "BROKERS",
    "CONDITIONS",
    "TOPOLOGIES",
    "Condition",
    "Expectations",
    "Population",
    "RoomTerms",
    "Scenario",
    "ScenarioStep",
    "TopologyName",
    "Traffic",
]

TopologyName: TypeAlias = Literal["single", "cluster", "sentinel"]
Condition: TypeAlias = Literal[
    "breaker opens",
    "all breakers open",
    "pod missed",
    "hole told",
    "emit not for all",
    "all healed",
]
BROKERS: Final[tuple[BrokerName, ...]] = get_args(BrokerName)
TOPOLOGIES: Final[tuple[TopologyName, ...]] = get_args(TopologyName)
CONDITIONS: Final[tuple[Condition, ...]] = get_args(Condition)
CATALOGUE: Final = 48
"""Cases that the catalogue has (docs/faults.md)."""


def combined(broker: str, topology: str) -> bool:
    """Whether there is such a broker of such a shape: only Redis has sentinels."""
    return topology != "sentinel" or broker == "redis"


@frozen
class Population:
    """The pods."""

    count: int = setting(3, ge=1, le=8, help="How many.")
    signed: bool = setting(False, help="Whether they have a secret, and sign what they say.")
    clocks: tuple[float, ...] = setting(
        (), unit="seconds", help="How wrong each one's clock is; those not named are right."
    )
    roam: bool = setting(
        False, help="Whether each knows all servers of NATS; else its own alone, one after another."
    )


@frozen
class RoomTerms:
    """A room, and what holds in it."""

    name: str = setting("plain", help="Its name.")
    policy: FailurePolicy = setting(
        FailurePolicy.LOCAL_ONLY, help="What becomes of emits while the broker is away."
    )
    receipt: ReceiptPolicy = setting(
        ReceiptPolicy.CONFIRMED, help="When emits are answered, and what the receipt says."
    )


ROOMS: Final = (
    RoomTerms("plain"),
    RoomTerms("heard", receipt=ReceiptPolicy.HEARD),
    RoomTerms("kept", FailurePolicy.BUFFER, ReceiptPolicy.HEARD),
    RoomTerms("strict", FailurePolicy.REJECT),
)


@frozen
class Traffic:
    """Clients, and what they say to each other all the while."""

    clients: int = setting(2, ge=1, le=1000, help="How many, on each pod.")
    rate: float = setting(
        2.0, unit="words a second", gt=0, le=1000, help="How often each says something somewhere."
    )
    size: int = setting(
        0, unit="bytes", ge=0, le=60_000, help="How long a word is beside the least."
    )
    rooms: tuple[RoomTerms, ...] = setting(
        ROOMS, help="The rooms; each client is in all of them. One of each kind, if none is named."
    )


@frozen
class ScenarioStep:
    """Something that goes wrong: when it begins, what it is, and when it is over.

    It begins `at` a time, or when a condition comes about after the step before it has begun, and
    `wait` seconds later. It is over after `lasting` seconds (`for` in files), or when `until` comes
    about.
    """

    name: str = setting("", help="What other steps and reports call it; its fault's name, if none.")
    at: float | None = setting(
        None,
        unit="seconds",
        ge=0,
        le=3600,
        help="When, from the time on when all are in their rooms.",
    )
    when: Condition | None = setting(
        None, help="What is waited for instead, after the step before this one has begun."
    )
    wait: float = setting(0.0, unit="seconds", ge=0, le=600, help="How long after that.")
    within: float = setting(
        20.0, unit="seconds", gt=0, le=600, help="How long `when` and `until` are waited for."
    )
    trouble: Trouble = field(factory=WayCut)
    lasting: float = setting(0.0, unit="seconds", ge=0, le=600, help="How long it lasts.")
    until: str = setting(
        "", help="What it lasts until, instead: a condition, or the name of a step that begins."
    )

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or self.trouble.name


@frozen
class Expectations:
    """What must hold beside the promise itself, which is not to be had for less."""

    outage: Literal["must", "may", "never"] = setting(
        "must", help="Whether somebody must notice what goes wrong, or nobody may."
    )
    undeclared: int = setting(0, ge=0, help="Words missed of which nobody was told.")
    false_receipts: int = setting(0, ge=0, help="Receipts that say more than what came about.")
    duplicated: int = setting(0, ge=0, help="Words that came twice.")
    reordered: int = setting(0, ge=0, help="Words that came after later ones.")
    clients_dropped: int = setting(0, ge=0, help="Clients cut off whose pod was not to blame.")
    detected_within: float = setting(
        3.0, unit="seconds", gt=0, help="Until a pod notices what has begun to go wrong."
    )
    told_within: float = setting(
        3.0, unit="seconds", gt=0, help="Until who has missed a word is told."
    )
    healed_within: float = setting(
        5.0, unit="seconds", gt=0, help="From the end of what went wrong until all are told so."
    )
    local_p99: float = setting(
        0.25, unit="seconds", gt=0, help="Within which 99 of 100 words reach those on the same pod."
    )


@frozen
class Scenario:
    """A scenario. `name` is its file's."""

    name: str = setting("", help="What it is called: its file's name.")
    title: str = setting("", help="What happens, in a line.")
    about: str = setting("", help="Why, and what to look at.")
    catalogue: tuple[int, ...] = setting(
        (), help="Which cases of the catalogue it plays (docs/faults.md)."
    )
    servers: int = setting(3, ge=2, le=7, help="How many a cluster has, or masters and replicas.")
    not_with: Mapping[str, str] = setting(
        {}, help='With which brokers and topologies it has no sense, and why: `nats = "…"`.'
    )
    not_simulated: str = setting("", help="Why it can't be played in the simulator.")
    not_run: str = setting("", help="Why it can't be played on real servers.")
    pods: Population = field(factory=Population)
    load: Traffic = field(factory=Traffic)
    steps: tuple[ScenarioStep, ...] = field(default=())
    expect: Expectations = field(factory=Expectations)

    def objection(self, broker: str, topology: str) -> str | None:
        """Say why it has no sense with a broker of a topology, or None."""
        if not combined(broker, topology):
            return "Only Redis has sentinels."
        for place in (f"{broker}-{topology}", broker, topology):
            if place in self.not_with:
                return self.not_with[place]
        for step in self.steps:
            if broker not in step.trouble.brokers:
                return f"{step.trouble.name} is nothing that can befall {broker}."
            if topology not in step.trouble.topologies:
                return f"{step.trouble.name} takes more than a {topology} broker has."
        return None

    def applies(self) -> Iterator[tuple[BrokerName, TopologyName]]:
        """Yield the brokers and topologies with which it has sense."""
        for broker in BROKERS:
            for topology in TOPOLOGIES:
                if self.objection(broker, topology) is None:
                    yield broker, topology
