"""Whether anybody is in a room: then it hears the other pods, else it ends after a while.

A room that has set itself a time (`after`) stays until then; one that ticks (`every`) does not.
"""

from __future__ import annotations

from typing import Any, Final

import trio

from ..cluster import Uplink
from ..runtime import Timer
from .host import Host
from .roster import RoomEnvironment, Roster

__all__ = ["HEARD_WITHIN", "Attendance"]

HEARD_WITHIN: Final = 2.0
"""Seconds that a first member waits for the broker to bring what other pods say."""


class Attendance:
    """Keeps count for one incarnation of a room. One that is `kept` stays and hears in any case."""

    def __init__(
        self, host: Host, roster: Roster[Any], environment: RoomEnvironment, *, kept: bool
    ) -> None:
        self._host = host
        self._roster = roster
        self._uplink = environment.uplink
        self._empty_for = environment.limits.room_cleanup_interval
        self._kept = kept
        self._idle: Timer | None = None
        if (roster.members or kept) and self._uplink is not None:
            self._uplink.enter(roster.name)
        self.changed()

    def changed(self) -> None:
        """Look again: somebody came or went."""
        members = self._roster.members
        self._roster.attended(bool(members) or self._kept)
        if members:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
        elif self._idle is None and not self._kept:
            self._idle = self._host.every(self._empty_for, self._end_if_idle)

    async def listen(self) -> bool:
        """Hear the other pods before the first member is told that it is in, or do not let it in.

        While the broker is away nobody waits for it, and everybody has been told.
        """
        uplink, name = self._uplink, self._roster.name
        if uplink is None or name is None or self._roster.members:
            return True
        uplink.enter(name)
        if not self._roster.counted:
            return await self._heard(uplink, name)
        uplink.lets_in(name)
        try:
            if not await self._heard(uplink, name):
                return False
            await uplink.noted(name)
        finally:
            uplink.let_in(name)
        return True

    async def _heard(self, uplink: Uplink, name: str) -> bool:
        with trio.move_on_after(HEARD_WITHIN):
            await uplink.heard(name)
            return True
        self.stop_listening()
        return False

    def stop_listening(self) -> None:
        """Hear the other pods no longer, if nobody is in."""
        if self._uplink is not None and not self._roster.members and not self._kept:
            self._uplink.leave(self._roster.name)

    async def _end_if_idle(self) -> None:
        """Look whether the room may end; if not, it is looked again after as long a time.

        Who knocks or speaks was told that we take it. And what the room is to do at a time it does,
        though nobody watches: an auction ends.
        """
        if not self._host.waiting and not self._host.promised:
            self._host.stop("idle")
