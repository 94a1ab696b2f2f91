"""What a system has to say of itself to be put on the bench.

A target says how one of its pods is started, how it stands, and brings clients who write down
what they are told. What it has no notion of it leaves out: receipts that say who has heard, or
that something is wrong. What is lost then is lost in silence, and counted so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, NamedTuple

from attrs import frozen

from ...common import ToolError
from ...oracle import Record
from ..scenario import RoomTerms, Scenario, Trouble
from .guest import Guest

__all__ = ["BenchTarget", "GuestSeat", "PodPost", "PodStanding", "TargetError"]


class TargetError(ToolError):
    """What is wrong with a system on the bench; the message says what helps."""


@frozen
class PodPost:
    """What a pod is told: its number of so many, where it works and listens, its broker, rooms.

    `broker` is that section of deployd's settings: others take the address and the login of it.
    With `chaos` it is to take faults from inside.
    """

    number: int
    pods: int
    folder: Path
    port: int
    broker: Mapping[str, object]
    rooms: Sequence[RoomTerms]
    signed: bool = False
    chaos: bool = False


class PodStanding(NamedTuple):
    """The state of a pod's link (`closed` is well), and how many other pods it hears."""

    link: str
    peers: int


@frozen
class GuestSeat:
    """What a client is told: its number, its pod and where that is, and the rooms to be in.

    `blameless` says whether a connection that ends is anybody's fault but the pod's and ours,
    `ahead` by how many seconds the pod's clock is wrong.
    """

    number: int
    pod: int
    url: str
    rooms: Sequence[RoomTerms]
    blameless: Callable[[], bool]
    ahead: Callable[[], float] = float


class BenchTarget(ABC):
    """A system on the bench."""

    name: ClassVar[str]
    tells_all: ClassVar[bool] = False
    """Whether pods and clients say all that is wrong; else all the time to heal is given them."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Which one it is. Raises `NotInstalled` where something is missing."""

    @abstractmethod
    def objection(self, broker: str, topology: str) -> str | None:
        """Say why it is not played on such a broker, or None."""

    @abstractmethod
    def spared(self, scenario: Scenario, trouble: Trouble) -> str | None:
        """Say why something cannot befall it, or a scenario cannot be had of it, or None."""

    @abstractmethod
    def command(self, post: PodPost) -> Sequence[str | Path]:
        """Write what a pod reads into its folder; return how it is started there.

        Raises `NotInstalled` where something is missing.
        """

    @abstractmethod
    def answers(self, post: PodPost) -> bool:
        """Whether a pod serves clients; in a thread."""

    @abstractmethod
    def standing(self, post: PodPost) -> PodStanding | None:
        """Return how a pod stands, None where it does not say; in a thread.

        Pods of a system that never says are taken to think that all is well while they answer.
        """

    @abstractmethod
    def guests(
        self, seats: Sequence[GuestSeat], history: list[Record]
    ) -> AbstractAsyncContextManager[Sequence[Guest]]:
        """Have a client for each seat for the length of the block; they write into a history."""

    def inject(self, post: PodPost, fault: Mapping[str, object]) -> None:
        """Let a fault begin within a pod; in a thread. Raises `ToolError`s."""
        raise TargetError(f"Pods of {self.name} take no faults from inside.")

    def write(self, post: PodPost) -> bool:
        """Have a pod keep a document; say whether it does; in a thread."""
        raise TargetError(f"Pods of {self.name} keep no documents.")

    def database(self, post: PodPost) -> Path:
        """Return the file of SQLite in which a pod keeps documents."""
        raise TargetError(f"Pods of {self.name} keep no documents.")

    def relieve(self, post: PodPost) -> None:
        """End all faults within a pod; in a thread. Raises `ToolError`s."""
        raise TargetError(f"Pods of {self.name} take no faults from inside.")
