"""What was seen of a run, by those who were told: what an oracle judges."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

__all__ = [
    "EVERYBODY",
    "TAKEN",
    "Answered",
    "Befell",
    "Began",
    "Calm",
    "Carried",
    "Dropped",
    "Entered",
    "Gone",
    "Hearing",
    "Linked",
    "Mended",
    "Met",
    "Paused",
    "Record",
    "Resumed",
    "Slow",
    "Spoken",
    "Struck",
    "Told",
    "View",
    "digest",
]

EVERYBODY: Final = "everybody"
"""Stands for the room of all who are connected."""
TAKEN: Final = "taken"
"""The scope of a receipt that says nothing of who hears: its pod has it. Ours have none such."""


class Entered(NamedTuple):
    """A client's join was acknowledged. `at` is seconds since the run began, here and below."""

    at: float
    client: str
    pod: int
    room: str


class Gone(NamedTuple):
    """A client has left a room, or all of them (`room` None): it is gone, or its pod."""

    at: float
    client: str
    room: str | None


class Spoken(NamedTuple):
    """A client emitted; `number` counts what it says, and is the request's id."""

    at: float
    client: str
    pod: int
    room: str
    number: int


class Answered(NamedTuple):
    """An emit got its receipt: a scope, or `error:` and a code.

    `members` is how many it says have heard, -1 where it does not.
    """

    at: float
    client: str
    number: int
    scope: str
    members: int = -1


class Hearing(NamedTuple):
    """A client heard what another, or it itself, has said."""

    at: float
    client: str
    room: str
    speaker: str
    number: int


class Told(NamedTuple):
    """A client was told of a hole, of one room or (None) of all, by `since` and `until`.

    `until` is None as long as it is open: `system:degraded`, and then `system:healed`.
    """

    at: float
    client: str
    room: str | None
    code: str
    since: float
    until: float | None
    missed: int
    unheard: int = 0
    """Pods that were not back when what waited was replayed."""
    lost: int = 0
    """Events of its pod that did not reach the others."""


class Carried(NamedTuple):
    """A server of the broker took what somebody said, and brings it to those `pods` (no others)."""

    at: float
    speaker: str
    number: int
    pods: tuple[int, ...]


class Befell(NamedTuple):
    """Something goes wrong, until a time; `kind` is what, `harms` whether it may end a link.

    What is `hidden` is known to nobody until all is proven again.
    """

    at: float
    kind: str
    until: float
    harms: bool
    hidden: bool = False


class Dropped(NamedTuple):
    """A client's connection has ended, though it did not want that and nobody had ended its pod."""

    at: float
    client: str
    code: int


class Linked(NamedTuple):
    """How a pod stands from now on: the state of its link's breaker, and how many others it counts.

    `link` is `ended` where there is no pod any more.
    """

    at: float
    pod: int
    link: str
    peers: int


class Struck(NamedTuple):
    """A scenario's step begins: what goes wrong."""

    at: float
    step: str
    fault: str


class Mended(NamedTuple):
    """It is over; `in_vain` is whether it waited too long for what it was to last until.

    `struck` is how many messages it struck, of what strikes messages alone.
    """

    at: float
    step: str
    in_vain: bool = False
    struck: int | None = None


class Slow(NamedTuple):
    """For so many seconds every way to a server, and from it, takes `delay` seconds longer."""

    at: float
    seconds: float
    delay: float


class Paused(NamedTuple):
    """A pod does nothing from now on."""

    at: float
    pod: int


class Resumed(NamedTuple):
    """It goes on."""

    at: float
    pod: int


class Calm(NamedTuple):
    """From now on nothing is wrong any more, and has not been for a while."""

    at: float


class Began(NamedTuple):
    """A pod begins a life."""

    at: float
    pod: int


class Met(NamedTuple):
    """From now on a pod can know of another: something of it has come, or of one that knows it.

    It is of both their lives; before, the pod cannot know that there is the other.
    """

    at: float
    pod: int
    other: int


class View(NamedTuple):
    """What a pod thinks at the end: how many others there are, and whether it is degraded."""

    at: float
    pod: int
    peers: int
    live: int
    degraded: str


Record: TypeAlias = (
    Calm
    | Slow
    | Entered
    | Gone
    | Spoken
    | Answered
    | Hearing
    | Told
    | Carried
    | Befell
    | Dropped
    | Linked
    | Struck
    | Mended
    | Paused
    | Resumed
    | Began
    | Met
    | View
)


def digest(history: Iterable[Record]) -> str:
    """Return what two runs have in common only where they were the same."""
    whole = hashlib.blake2b(digest_size=8)
    for record in history:
        whole.update(repr(record).encode())
    return whole.hexdigest()


def moved(record: Record, clock: Callable[[float], float]) -> Record:
    """Return a record as of the times of another clock."""
    match record:
        case Told():
            until = None if record.until is None else clock(record.until)
            times = (clock(record.at), *record[1:4], clock(record.since), until, *record[6:])
            return Told(*times)
        case Befell():
            return Befell(clock(record.at), record.kind, clock(record.until), *record[3:])
        case _:
            return type(record)(clock(record.at), *record[1:])
