"""What a room is given, what it is told, and what of it outlives a crash."""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic

from attrs import field, frozen, mutable
from typing_extensions import TypeVar

from ...config import Limits, PatternMap, ReceiptPolicy, Rule
from ...transport import JSON, Event, Meters
from ..cluster import Gap, Uplink
from ..runtime import ActorRef, Returnable
from .fanout import Batching
from .member import Member
from .people import People
from .replies import Answer, Reply
from .seat import Seat

__all__ = [
    "EventIds",
    "LimitsChanged",
    "PodsCounted",
    "RemoteEmits",
    "RoomEmit",
    "RoomEnvironment",
    "RoomRules",
    "Roster",
    "ServerEmit",
    "StatePolicy",
]

S = TypeVar("S", default=None)

NOTHING_SAID: Final[Mapping[str, JSON]] = {}
"""What a room says of itself that says nothing; one for all of them."""
MOST_GAPS: Final = 16
"""Gaps that wait to be told while a room is busy; each tells of all since it began."""


@frozen
class RoomEmit(Returnable):
    """A client says something in a room. `nbytes` is what it took on the wire.

    `born` is when it was read from the client, in seconds of trio's clock. `member` is the seat of
    a member, or a client that a rule lets speak without one.
    """

    member: Member
    event: str
    data: JSON
    event_id: str
    answer: Reply
    nbytes: int = 64
    born: float | None = None

    def returned(self) -> None:
        """Tell the client that the room has ended."""
        self.answer.returned()


@frozen
class ServerEmit(Returnable):
    """The pod itself says something: `event` has no number yet, which the room gives it.

    `answer` learns how far it has got, when somebody waits for that.
    """

    event: Event
    answer: Answer | None = None

    @property
    def nbytes(self) -> int:
        """What the message weighs in a mailbox, in bytes."""
        return len(self.event.encoded)

    def returned(self) -> None:
        """Tell whoever waits that the room has ended."""
        if self.answer is not None:
            self.answer.returned()


@frozen
class RemoteEmits:
    """Other pods' rooms of this name have said something. `nbytes` is a rough weight."""

    events: Sequence[Event]
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


class RoomRules:
    """The access rules, as far as rooms keep them; they may be others while the pod runs."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.adopt(rules)

    def adopt(self, rules: Mapping[str, Rule]) -> None:
        """Go by these from now on."""
        self._rules = PatternMap(rules)

    def limits(self, room: str | None) -> tuple[int, float]:
        """Return how many may be in a room and how fast each may speak; 0 is no limit."""
        rule = None if room is None else self._rules.match(room)
        return (0, 0.0) if rule is None else (rule.members, rule.rate)


@frozen
class LimitsChanged:
    """The limits of the room may be others now. A signal."""


@frozen
class PodsCounted:
    """The other pods that are taken to be there are these now, by their ids. A signal."""

    pods: frozenset[str]


@frozen
class RoomEnvironment:
    """What every room of a pod shares: its limits, its event ids and the wall clock (unix s).

    `batching` is how much a room joins into one write a member. `uplink` leads to the other pods;
    without one this pod is alone. `receipts` say by a room's name when emits are answered, `rules`
    how many may be in it and how fast they may speak.
    """

    limits: Limits
    event_ids: EventIds
    wall: Callable[[], float]
    batching: Batching = field(factory=Batching)
    uplink: Uplink | None = None
    meters: Meters = field(factory=Meters)
    receipts: PatternMap[ReceiptPolicy] = field(factory=lambda: PatternMap({}))
    rules: RoomRules = field(factory=lambda: RoomRules({}))


class StatePolicy(enum.Enum):
    """What becomes of `Room.state` when a handler crashed the room."""

    KEEP = "keep"
    """The next incarnation goes on with the same object, whatever the crash left in it.

    What the hook said before it raised is taken back, what it did to the state is not: change the
    state last, or all at once, where a half of it would be wrong.
    """
    REBUILD = "rebuild"
    """The next incarnation starts from `initial_state()`; `on_start` may load more."""


def _unwatched(by_anybody: bool) -> None:
    """Do nothing: nobody wants to know."""


def _silent() -> None:
    """Be the voice of a room that does not run."""


@mutable(eq=False)
class Roster(Generic[S]):
    """What outlives a room's crash: who is in, numbering, and by policy its state.

    `members`, `knocking`, `leaving` and `withdrawn` are written by seats alone: `leaving` are the
    members that are out and wait for `on_leave`, each with the reason, `knocking` those who ask to
    come in, of whom `withdrawn` do not any more, `away` those whose connection is lost and whose
    place is kept for `grace` seconds, by the word that brings them back. `pod` is this one's id
    where there are others. `ref` is the room's address.

    `takes_batches` is whether other pods' events may come several in a message: not where a hook
    sees each, for one that crashes it must take no other along. `undelivered` counts those (said
    since `undelivered_since`, unix seconds, or just now) that found no place in the mailbox and
    that members do not know of yet, `gaps` what has not come at all; `owns_up` is whether a signal
    is on its way that has them told. `listens` is whether a hook hears what the pod says although
    nobody is in; before it runs that may not be known.
    `counted` is whether receipts say who has heard. `listed` is whether the directory shows the
    room, there since `opened_at`, with the `meta` that it gave of itself at `described_at` (unix
    seconds, 0 for never).
    `half_heard` is whether what crashed the room had said something that is out. `attended` learns
    whether anybody is in, whenever that may have changed. `voice` returns what says and writes what
    waits to be said, while the room runs. `people` are those who are in, on all pods, where the
    room tracks them; `farewell` tells the other pods that it has ended.
    """

    name: str | None
    ref: ActorRef[Any] | None = None
    members: dict[str, Member] = field(factory=dict)
    knocking: dict[Seat, None] = field(factory=dict)
    leaving: dict[Seat, str] = field(factory=dict)
    away: dict[str, Seat] = field(factory=dict)
    grace: float = 0.0
    pod: str = ""
    withdrawn: int = 0
    sequence: int = 0
    deliveries: int = 0
    delivered_bytes: int = 0
    lost: int = 0
    state: S | None = None
    state_built: bool = False
    takes_batches: bool = True
    listens: bool = True
    undelivered: int = 0
    undelivered_since: float = math.inf
    owns_up: bool = False
    gaps: deque[Gap] = field(factory=lambda: deque(maxlen=MOST_GAPS))
    half_heard: bool = False
    counted: bool = False
    listed: bool = False
    opened_at: float = 0.0
    meta: Mapping[str, JSON] = NOTHING_SAID
    described_at: float = 0.0
    attended: Callable[[bool], None] = _unwatched
    voice: Callable[[], Callable[[], None] | None] = _silent
    people: People | None = None
    farewell: Callable[[], object] = _silent

    @property
    def present(self) -> int:
        """How many are in at this moment, and hear what is said."""
        return len(self.members) - len(self.leaving) - len(self.away)

    def call_to_own_up(self, ref: ActorRef[Any] | None) -> None:
        """Have the room at that address tell what it owes: one signal waits, however much it is."""
        if ref is not None and not self.owns_up:
            self.owns_up = True
            ref.signal(RemoteEmits((), 0))

    def signal(self, message: object) -> None:
        """Let the room know of something that must not get lost."""
        if self.ref is not None:
            self.ref.signal(message)

    def seats(self) -> list[Seat]:
        """Return all that are in, or ask to come in."""
        members = [member for member in self.members.values() if isinstance(member, Seat)]
        return [*members, *self.knocking]
