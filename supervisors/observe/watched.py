"""What can be seen of a pod."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from ...actors import AccessPolicy, DeadLetters, Link, Member, Rooms
from ...config import Config, InForce
from ...documents import StoreUnavailable
from ...transport import JSON, Meters
from ..chaos import Injector
from ..dynamic import DynamicSupervisor
from ..supervisor import Supervisor
from ..watchdog import Watchdog
from .weights import RoomWeights

__all__ = ["Documented", "Watched"]


class Documented(Protocol):
    """What keeps documents."""

    @property
    def store_trouble(self) -> StoreUnavailable | None:
        """Why documents cannot be written, as far as is known."""


@frozen(kw_only=True, eq=False)
class Watched:
    """A pod, as far as it can be looked at; nothing here waits for anything.

    `clients` are the connections' supervisor, whose children's names are the clients' ids, and
    `room_tree` is that of the rooms. What is a callable is asked anew by each look: the `root` of
    the tree, how many connections were `refused` by reason, why no new clients should be sent
    here (`unready`, None when they should), and how each of the `links` to other pods is, without
    secrets. `chaos` is None where no faults are allowed, `documents` where none are kept.
    `certificates` tells when those that it shows end (unix seconds), by their settings. `own_name`
    is what the pod was to be called, `name` what it is, while another pod has that.
    """

    pod_id: str
    own_name: str
    version: str
    started_at: float
    in_force: InForce
    access: AccessPolicy
    meters: Meters
    weights: RoomWeights
    members: Mapping[str, Member]
    rooms: Rooms
    dead_letters: DeadLetters
    link: Link | None
    watchdog: Watchdog
    room_tree: DynamicSupervisor
    clients: DynamicSupervisor
    root: Callable[[], Supervisor]
    refused: Callable[[], Mapping[str, int]]
    unready: Callable[[], str | None]
    links: Callable[[], Sequence[Mapping[str, JSON]]]
    certificates: Callable[[], Mapping[str, float]]
    chaos: Injector | None
    documents: Documented | None

    @property
    def name(self) -> str:
        """What other pods and operators know this one by."""
        return self.own_name if self.link is None else self.link.name.name

    @property
    def config(self) -> Config:
        """The settings in force."""
        return self.in_force.config
