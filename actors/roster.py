"""What a room is given, what it is told, and what of it outlives a crash."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Generic

from attrs import field, frozen, mutable
from typing_extensions import TypeVar

from ..config import Limits
from ..transport import JSON, Meters, Problem, RequestId
from ..transport.brokers import Remote
from .fanout import Batching
from .links import Settle, Uplink
from .member import Member
from .messages import Request

__all__ = [
    "EventIds",
    "JoinRoom",
    "LeaveRoom",
    "RemoteEmits",
    "RoomEmit",
    "RoomEnvironment",
    "Roster",
    "ServerEmit",
    "StatePolicy",
]

S = TypeVar("S", default=None)


@frozen
class JoinRoom(Request[Problem | None]):
    """Ask to let a member in; the answer is why not, or None. The room acknowledges by itself."""

    member: Member
    request_id: RequestId = None


@frozen
class LeaveRoom:
    """A member leaves of its own will or its rights ended."""

    member: Member
    reason: str
    request_id: RequestId = None


@frozen
class RoomEmit:
    """A client says something in a room. `nbytes` is what it took on the wire.

    `born` is when it was read from the client, in seconds of trio's clock.
    """

    member: Member
    event: str
    data: JSON
    event_id: str
    request_id: RequestId = None
    nbytes: int = 64
    born: float | None = None


@frozen
class ServerEmit:
    """The pod itself says something. `encoded` is the data as JSON bytes, frozen at the call.

    `settle` learns how far it has got, when somebody waits for that.
    """

    event: str
    encoded: bytes
    event_id: str
    settle: Settle | None = None

    @property
    def nbytes(self) -> int:
        """What the message weighs in a mailbox, in bytes."""
        return len(self.encoded)


@frozen
class RemoteEmits:
    """Other pods' rooms of this name have said something. `nbytes` is a rough weight."""

    events: Sequence[Remote]
    nbytes: int


class EventIds:
    """Event ids of one pod: its random id and a counter, unique as long as pod ids are."""

    __slots__ = ("_count", "_prefix")

    def __init__(self, pod_id: str) -> None:
        self._prefix = f"{pod_id}-"
        self._count = 0

    def __call__(self) -> str:
        """Return the next id."""
        self._count += 1
        return f"{self._prefix}{self._count}"


@frozen
class RoomEnvironment:
    """What every room of a pod shares: its limits, its event ids and the wall clock (unix s).

    `batching` is how much a room joins into one write a member. `uplink` leads to the other pods;
    without one this pod is alone.
    """

    limits: Limits
    event_ids: EventIds
    wall: Callable[[], float]
    batching: Batching = field(factory=Batching)
    uplink: Uplink | None = None
    meters: Meters = field(factory=Meters)


class StatePolicy(enum.Enum):
    """What becomes of `Room.state` when a handler crashed the room."""

    KEEP = "keep"
    """The next incarnation goes on with the same object, whatever the crash left in it."""
    REBUILD = "rebuild"
    """The next incarnation starts from `initial_state()`; `on_start` may load more."""


def _unwatched(by_anybody: bool) -> None:
    """Do nothing: nobody wants to know."""


@mutable(eq=False)
class Roster(Generic[S]):
    """What outlives a room's crash: members, numbering, and by policy its state.

    `takes_batches` is whether other pods' events may come several in a message: not where a hook
    sees each, for one that crashes it must take no other along. `undelivered` counts those that
    found no place in the mailbox and that members do not know of yet. `attended` learns whether
    anybody is in, whenever that may have changed.
    """

    name: str | None
    members: dict[str, Member] = field(factory=dict)
    sequence: int = 0
    deliveries: int = 0
    lost: int = 0
    state: S | None = None
    state_built: bool = False
    takes_batches: bool = True
    undelivered: int = 0
    attended: Callable[[bool], None] = _unwatched
