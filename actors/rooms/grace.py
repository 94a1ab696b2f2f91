"""Keeps the places of members whose connection is lost, for as long as the room gives them."""

from __future__ import annotations

from typing import Any, Final

import trio

from ..runtime import Timer
from .host import Host
from .roster import Roster
from .seat import Seat

__all__ = ["Grace"]

REASON: Final = "did not come back"


class Grace:
    """For one incarnation of a room; who is away outlives it (`Roster.away`)."""

    def __init__(self, host: Host, roster: Roster[Any]) -> None:
        self._host = host
        self._roster = roster
        self._timer: Timer | None = None
        self.watch()

    def watch(self) -> None:
        """See to it that whoever is away too long leaves."""
        away = self._roster.away
        if away and (self._timer is None or not self._timer.active):
            due = min(seat.away_until for seat in away.values())
            wait = max(0.0, due - trio.current_time())
            self._timer = self._host.after(wait, self._look)

    async def _look(self) -> None:
        now = trio.current_time()
        for seat in list(self._roster.away.values()):
            if seat.away_until <= now:
                seat.leave(REASON)
        self.watch()

    def place_of(self, knocking: Seat) -> Seat | None:
        """Return the place that somebody had who knocks with its word, and as the same user."""
        seat = None if knocking.resume is None else self._roster.away.get(knocking.resume)
        if seat is None or seat.user_id != knocking.user_id:
            return None
        return seat
