"""Whether anybody is in a room: then it hears the other pods, else it ends after a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol

import trio

from ..runtime import Timer
from .roster import RoomEnvironment, Roster

__all__ = ["HEARD_WITHIN", "Attendance"]

HEARD_WITHIN: Final = 2.0
"""Seconds that a first member waits for the broker to bring what other pods say."""


class Host(Protocol):
    """The room's actor."""

    @property
    def waiting(self) -> int:
        """How many messages wait for the room."""

    def after(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back in so many seconds."""

    def stop(self, reason: str = "") -> None:
        """End the room."""


class Attendance:
    """Keeps count for one incarnation of a room. One that is `kept` stays and hears in any case."""

    def __init__(self, roster: Roster[Any], environment: RoomEnvironment, *, kept: bool) -> None:
        self._roster = roster
        self._uplink = environment.uplink
        self._empty_for = environment.limits.room_cleanup_interval
        self._kept = kept
        self._idle: Timer | None = None

    def begin(self, host: Host) -> None:
        """Take over who is in from the room before this incarnation."""
        if (self._roster.members or self._kept) and self._uplink is not None:
            self._uplink.enter(self._roster.name)
        self.changed(host)

    def changed(self, host: Host) -> None:
        """Look again: somebody came or went. The host is not kept, which holds what keeps it."""
        members = self._roster.members
        self._roster.attended(bool(members) or self._kept)
        if members:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
        elif self._idle is None and not self._kept:
            end = partial(self._end_if_idle, host)
            self._idle = host.after(self._empty_for, end)

    async def listen(self) -> bool:
        """Hear the other pods before the first member is told that it is in, or do not let it in.

        While the broker is away nobody waits for it, and everybody has been told.
        """
        uplink, name = self._uplink, self._roster.name
        if uplink is None or name is None or self._roster.members:
            return True
        uplink.enter(name)
        with trio.move_on_after(HEARD_WITHIN):
            await uplink.heard(name)
            return True
        self.stop_listening()
        return False

    def stop_listening(self) -> None:
        """Hear the other pods no longer, if nobody is in."""
        if self._uplink is not None and not self._roster.members and not self._kept:
            self._uplink.leave(self._roster.name)

    async def _end_if_idle(self, host: Host) -> None:
        self._idle = None
        if host.waiting:  # somebody knocks, or speaks: they were told that we take it
            self.changed(host)
        else:
            host.stop("idle")
