"""What a client is told, beside events and outages."""

from __future__ import annotations

from typing import TypeAlias

import orjson
from attrs import frozen

from ..transport.protocols import JSON, Outage, Problem, Receipted, Scope

__all__ = ["CameUp", "ClientReceipt", "RoomEntered", "RoomLeft", "Signal", "WentDown"]


@frozen
class ClientReceipt:
    """How far an emit has got: `scope`, and the event's `id`, by which others know it.

    In rooms whose receipts say who has heard, `pods` have it of `of` that await it, with `members`
    in the room; elsewhere they are None. `room` is None for what was said to everyone. `answer` is
    what the room's handler has answered, None where it has not.
    """

    scope: Scope
    id: str
    room: str | None
    pods: int | None = None
    of: int | None = None
    members: int | None = None
    answer: JSON = None

    @classmethod
    def read(cls, told: Receipted) -> ClientReceipt:
        """Make it of the pod's answer."""
        reach = told.reach
        answer: JSON = None if told.answer is None else orjson.loads(told.answer)
        if reach is None:
            return cls(told.scope, told.event_id, told.room, answer=answer)
        heard = reach.pods, reach.of, reach.members
        return cls(told.scope, told.event_id, told.room, *heard, answer)


@frozen
class CameUp:
    """There is a connection, on which the pod calls this client `client_id`.

    Rooms are asked for next; each that lets it in is a `RoomEntered`.
    """

    client_id: str


@frozen
class WentDown:
    """The connection has ended, or there was none; the next attempt comes in `wait` seconds.

    `code` is that of the close frame (1006 without one), `reason` for people. The client is in no
    room until a `RoomEntered` says so. After a `final` one it does not come back.
    """

    code: int
    reason: str
    wait: float
    final: bool


@frozen
class RoomEntered:
    """The pod has let the client into a room, for the first time or again.

    `returned` is whether it has its place back, where the room keeps that for a while: it was
    there all along.
    """

    room: str
    returned: bool = False


@frozen
class RoomLeft:
    """The client is in a room no longer though it wanted to be; `code` is for programs."""

    room: str
    code: str
    sentence: str


Signal: TypeAlias = CameUp | WentDown | RoomEntered | RoomLeft | Problem | Outage
"""What befalls a client: a `Problem` is what the pod told of without being asked."""
