"""Who hears what the link to the other pods brings: this pod's rooms and clients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...transport import Event
from ...transport.brokers import RoomEntry, RoomQuery
from ..cluster import DEGRADED, HEALED, Degraded, Gap, Healed
from ..rooms import (
    RoomRef,
    Rooms,
    Roster,
    hand_over,
    hand_over_in_turn,
    own_up,
    rooms_of,
    tell_gap,
)
from .notices import Notices

__all__ = ["Audience"]


class Audience:
    """Hands on what the link brings: these are its `Listeners`.

    `everyone` is the room of all connections, `roster` who is in it, `notices` tell all clients.
    """

    def __init__(
        self, rooms: Rooms, everyone: RoomRef, roster: Roster[Any], notices: Notices
    ) -> None:
        self._rooms = rooms
        self._everyone = everyone
        self._roster = roster
        self._notices = notices

    def deliver(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        """Hand another pod's events to a room; return how many found no place in its mailbox."""
        if room is None:
            return hand_over(self._everyone, self._roster, events, nbytes)
        return self._rooms.deliver(room, events, nbytes)

    async def deliver_in_turn(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        """Hand the first of them to a room when it has place; return how many are left."""
        if room is None:
            return await hand_over_in_turn(self._everyone, self._roster, events, nbytes)
        return await self._rooms.deliver_in_turn(room, events, nbytes)

    def missed(self, room: str | None, count: int, since: float = math.inf) -> None:
        """Tell a room that so many events of other pods were not let in."""
        if room is None:
            own_up(self._everyone, self._roster, count, since)
        else:
            self._rooms.missed(room, count, since)

    def gap(self, gap: Gap) -> None:
        """Tell a room of what has not come from other pods."""
        if gap.room is None:
            tell_gap(self._everyone, self._roster, gap)
        else:
            self._rooms.gap(gap.room, gap)

    def rooms_of(self, query: RoomQuery) -> tuple[Sequence[RoomEntry], bool]:
        """Return which rooms of this pod are listed, and whether there are more."""
        return rooms_of(self._rooms.rosters, query)

    def pods(self, counted: frozenset[str]) -> None:
        """Tell the rooms that track who is in them."""
        self._rooms.count_pods(counted)

    def degraded(self, outage: Degraded) -> None:
        """Tell the rooms' hooks and the clients."""
        self._rooms.tell_all(outage)
        self._notices.tell(DEGRADED, outage.to_json(), outage.to_json(root=True))

    def healed(self, outage: Healed) -> None:
        """Tell the rooms' hooks and the clients."""
        self._rooms.tell_all(outage)
        self._notices.tell(HEALED, outage.to_json())
