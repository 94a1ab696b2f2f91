"""What the views look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ...actors import AccessPolicy, DeadLetters, Link, Member, Rooms
from ...config import Config
from ...transport import JSON, Meters
from ..dynamic import DynamicSupervisor
from ..supervisor import Supervisor
from ..watchdog import Watchdog

__all__ = ["Watched"]


class Watched(Protocol):
    """A pod, as far as it can be looked at. Nothing here waits for anything."""

    pod_id: str
    version: str
    started_at: float
    config: Config
    access: AccessPolicy
    meters: Meters
    members: dict[str, Member]
    rooms: Rooms
    dead_letters: DeadLetters
    link: Link | None
    watchdog: Watchdog

    @property
    def root(self) -> Supervisor:
        """The root of the supervision tree."""

    @property
    def room_tree(self) -> DynamicSupervisor:
        """The supervisor of the rooms."""

    @property
    def clients(self) -> DynamicSupervisor:
        """The supervisor of the connections, whose names are the clients' ids."""

    def unready(self) -> str | None:
        """Say why no new clients should be sent here, or None."""

    def links(self) -> list[Mapping[str, JSON]]:
        """Show how each link to the other pods is, without secrets."""

    def refused(self) -> Mapping[str, int]:
        """Count the connections that were turned away, by reason."""
