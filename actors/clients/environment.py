"""What every connection of a pod shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import define, field

from ...config import Audit, Limits, LogSampler, get_logger
from ...config import Auth as AuthSettings
from ...transport import Meters, Premises, Problem, Tokens, WebSocketLimits, check_name
from ..cluster import Uplink
from ..rooms import EventIds, Hub, Member, RoomRef, Rooms
from .access import AccessPolicy
from .errands import Errands
from .heartbeat import Heartbeat

__all__ = ["ConnectionEnvironment"]

_log = get_logger("realtime")


@define(eq=False)
class ConnectionEnvironment:
    """What every connection of a pod shares.

    `members` are all live connections by client id, `wall` is the wall clock (unix seconds),
    `retry_after` draws the seconds a client should wait before it comes back after a restart,
    `everyone` is the room of all connections, `uplink` leads to the other pods, `premises` say
    who is a developer's own, `sampler` bounds the lines that clients can cause, `audit` writes down
    who fails to sign in, `errands` run what a connection cannot wait for. `limits` may be exchanged
    while the pod runs.
    """

    limits: Limits
    auth: AuthSettings
    websocket: WebSocketLimits
    access: AccessPolicy
    tokens: Tokens
    rooms: Rooms
    hub: Hub
    heartbeat: Heartbeat
    members: dict[str, Member]
    event_ids: EventIds
    wall: Callable[[], float]
    retry_after: Callable[[], float]
    everyone: RoomRef
    meters: Meters
    premises: Premises
    uplink: Uplink | None = None
    audit: Audit = field(factory=Audit)
    sampler: LogSampler = field(factory=LogSampler)
    errands: Errands = field(factory=Errands)

    def too_slow(self, room: str, so: str) -> Problem:
        """Say that a room does not answer in time, to the client and to the operator."""
        limit = self.limits.emit_timeout
        handler, seconds = self.rooms.doing(room)
        suppressed = self.sampler.admit("a room does not answer")
        if suppressed is not None:
            _log.warning(
                "a room does not answer",
                room=room,
                handler=handler,
                seconds=round(seconds, 3),
                patience=limit,
                suppressed=suppressed,
            )
        sentence = f"The room '{room}' has not answered within {limit:g} s, so {so}; "
        return Problem("room_busy", f"{sentence}it is too busy, try again later.")

    def name_problem(self, kind: Literal["room", "event"], name: str) -> Problem | None:
        """Say why a name will not do, or None."""
        sentence = check_name(kind, name, self.limits.max_name_length)
        return Problem(f"bad_{kind}", sentence) if sentence else None
