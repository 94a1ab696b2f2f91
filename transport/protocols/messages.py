"""What clients and pods say to each other, whatever a client's protocol makes of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from attrs import field, frozen

from ...config import JSON

__all__ = [
    "Auth",
    "Authenticated",
    "ClientEvent",
    "ClientMessage",
    "Connected",
    "Emit",
    "Event",
    "Failed",
    "FromPod",
    "InDoubt",
    "Join",
    "Joined",
    "KeptPlace",
    "Leave",
    "Left",
    "Outcome",
    "Ping",
    "PodMessage",
    "Pong",
    "Problem",
    "Reach",
    "Receipted",
    "RequestId",
    "Scope",
]

RequestId: TypeAlias = str | int | float | None
"""What a client calls its request, to know the answer by; None when it asks for none."""


class Scope(StrEnum):
    """How far an emit has got when its receipt is given."""

    CLUSTER = "cluster"
    """The broker took it: every pod will hear it. With a `Reach`: every pod has said so."""
    PARTIAL = "partial"
    """The broker took it, and not all pods that await it have said that they have it."""
    LOCAL = "local"
    """This pod took it; no other pod will hear it, or it was under way when the link ended."""
    QUEUED = "queued"
    """It waits here for the broker: to confirm it, or to come back."""
    REJECTED = "rejected"
    """Nobody took it; `reason` says why."""


@frozen
class Reach:
    """How far an emit has got in a room whose receipts say who has heard it.

    `pods` with members in the room have it, of `of` that have some or may have; `members` are in
    the room on those that have it.
    """

    scope: Scope
    pods: int
    of: int
    members: int


@frozen
class InDoubt:
    """An emit was with the broker when the link ended: other pods have it, or none."""

    scope = Scope.LOCAL


Outcome: TypeAlias = Scope | Reach | InDoubt
"""What became of an emit: in most rooms how far it got is all that is known."""


@frozen
class Problem:
    """Why something was not done: `code` for machines, `message` a sentence with the remedy.

    `room` is the room it is about, `retry_after` the seconds after which the same may go well,
    `document` the id of the document that can be read instead of what was missed. `data` is what a
    room that refuses something says of it, for programs.
    """

    code: str
    message: str
    room: str | None = None
    retry_after: float | None = None
    document: str | None = None
    data: Mapping[str, JSON] = field(factory=dict)


# -- what clients say ------------------------------------------------------------------------


@frozen
class Auth:
    """Show a token."""

    token: str
    id: RequestId = None


@frozen
class Join:
    """Ask to be let into a room; `data` is what the room is told of the wish.

    `resume` is what the room gave to who was in, to come back with.
    """

    room: str
    id: RequestId = None
    data: JSON = None
    resume: str | None = None


@frozen
class Leave:
    """Leave a room."""

    room: str
    id: RequestId = None


@frozen
class Emit:
    """Say something in a room; without a room, to everyone."""

    event: str
    data: JSON = None
    room: str | None = None
    id: RequestId = None


@frozen
class Ping:
    """Ask whether the pod is there: browsers cannot see the pings of RFC 6455 section 5.5.2."""

    id: RequestId = None


ClientMessage: TypeAlias = Auth | Join | Leave | Emit | Ping


# -- what pods say: `time` is unix seconds, `id` the request's that it answers ---------------


@frozen
class Connected:
    """Greet: who the client is here, and the bytes that a message of it may have."""

    client_id: str
    max_message_bytes: int
    time: float


@frozen
class Authenticated:
    """Answer to a token that was accepted."""

    user_id: str
    is_root: bool
    time: float
    id: RequestId = None


@frozen
class Pong:
    """Answer to a ping."""

    time: float
    id: RequestId = None


@frozen
class KeptPlace:
    """What brings a client back to its place in a room, within `grace` seconds of vanishing.

    `member` is what the room calls it; `returned` is whether it has just come back.
    """

    resume: str
    grace: float
    member: str
    returned: bool = False


@frozen
class Joined:
    """Acknowledge a join; `place` is there in rooms that keep it for who loses its connection."""

    room: str
    time: float
    id: RequestId = None
    place: KeptPlace | None = None


@frozen
class Left:
    """Tell that the client is out of a room; a `reason` is why it was taken out unasked."""

    room: str
    time: float
    id: RequestId = None
    reason: str | None = None


@frozen
class Failed:
    """Tell why something was not done, or what went wrong."""

    problem: Problem
    time: float
    id: RequestId = None


@frozen
class Receipted:
    """Tell how far an emit has got; `room` is where, None for one to everyone.

    `reach` is there when the room's receipts say who has heard. `answer` is what the room's handler
    has answered, as JSON; None where it has not.
    """

    scope: Scope
    event_id: str
    time: float
    id: RequestId
    room: str | None = None
    reach: Reach | None = None
    answer: bytes | None = None


class Event(NamedTuple):
    """Something said: in a room, or to everyone (`room` None). A tuple, for each event is one.

    It is the same on its whole way: from whoever says it to the broker, from there to the rooms of
    other pods, and to each client. `encoded` is its data as JSON, frozen when it was said; what a
    broker brought is written anew, for it goes on only as far as it was understood. `sequence` is
    its number where it is told: on the broker among its pod's events for that room, in a room in
    the order of that room here; 0 for what has none. `time` is unix seconds of the pod where it was
    said, `origin` that pod ("": this one), `hops` and `replayed` (0 or 1) what became of it on the
    way.
    """

    room: str | None
    name: str
    encoded: bytes
    id: str
    sequence: int
    time: float
    origin: str = ""
    hops: int = 0
    replayed: int = 0


PodMessage: TypeAlias = (
    Connected | Authenticated | Pong | Joined | Left | Failed | Receipted | Event
)


@frozen
class ClientEvent:
    """An `Event` as a client hears it: its `data` are values again.

    `room` is None for what is said to everyone. `sequence` is its number in the room, on the pod
    that told it, 0 for what has none; `time` unix seconds, whole ones. `replayed` is whether it
    comes late, after an outage.
    """

    room: str | None
    name: str
    data: JSON
    id: str
    sequence: int
    time: float
    replayed: bool = False


FromPod: TypeAlias = (
    Connected | Authenticated | Pong | Joined | Left | Failed | Receipted | ClientEvent
)
"""What a client reads of a pod's words: `PodMessage` on the other side."""
