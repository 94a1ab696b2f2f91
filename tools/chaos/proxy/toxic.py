"""What a toxic is: settings that never change, and a stage for each way that it is put on.

A way is one direction of one connection. Its stages hold what is on its way, each item until it is
due; they decide and do nothing else, and times are passed in, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, auto
from random import Random
from typing import Any, ClassVar, Final, Literal, TypeAlias

from attrs import Attribute, field, frozen

from .errors import BadToxic
from .frames import Piece

__all__ = [
    "DOWNSTREAM",
    "MILLISECOND",
    "STREAMS",
    "UPSTREAM",
    "Item",
    "Reception",
    "Signal",
    "Stage",
    "Stream",
    "Toxic",
    "Uses",
    "at_least",
    "between",
    "size_of",
]

Stream: TypeAlias = Literal["upstream", "downstream"]
UPSTREAM: Final[Stream] = "upstream"
"""From the client to the server."""
DOWNSTREAM: Final[Stream] = "downstream"
"""From the server to the client."""
STREAMS: Final[tuple[Stream, ...]] = (UPSTREAM, DOWNSTREAM)

MILLISECOND: Final = 1e-3


class Signal(Enum):
    """What travels beside bytes."""

    END = auto()
    """This end says no more (FIN)."""
    CLOSE = auto()
    """Close both ends."""
    RESET = auto()
    """Reset both ends (RST)."""
    MUTE = auto()
    """Something is missing here: nothing that follows may arrive."""


Item: TypeAlias = Piece | Signal


class Reception(Enum):
    """What becomes of a new connection."""

    REFUSED = auto()
    HUNG = auto()
    """It is accepted, and that is all."""


Validator: TypeAlias = Callable[["Toxic", "Attribute[Any]", float], None]


def at_least(least: float) -> Validator:
    """Return a validator: a number may not be below."""

    def check(toxic: Toxic, attribute: Attribute[Any], value: float) -> None:
        if not value >= least:
            raise BadToxic(
                f"{toxic.kind}: {attribute.name} is {value}; it must be {least} or more."
            )

    return check


def between(least: float, most: float) -> Validator:
    """Return a validator: a number may not be outside."""

    def check(toxic: Toxic, attribute: Attribute[Any], value: float) -> None:
        if not least <= value <= most:
            raise BadToxic(
                f"{toxic.kind}: {attribute.name} is {value}; it must be from {least} to {most}."
            )

    return check


def _known(toxic: Toxic, _: Attribute[str], value: str) -> None:
    if value not in STREAMS:
        raise BadToxic("stream was invalid, can be either upstream or downstream")


@frozen(kw_only=True)
class Toxic:
    """Settings of a fault; times are milliseconds, where nothing else is said.

    `stream` is the direction that it is put on, `toxicity` the share of connections that it is put
    on at all. `kind` is Toxiproxy's name for it, or in its manner.
    """

    kind: ClassVar[str]
    stage: ClassVar[type[Stage] | None] = None
    """What it does to bytes; None: nothing."""
    reception: ClassVar[Reception | None] = None
    """What it does to new connections."""
    on_frames: ClassVar[bool] = False
    """Whether it works on frames, and so must come before what cuts them up."""

    stream: Stream = field(default=DOWNSTREAM, validator=_known)
    toxicity: float = field(default=1.0, validator=between(0, 1))

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The directions that it is put on."""
        return (self.stream,)

    @property
    def takes(self) -> Reception | None:
        """What it does to new connections, as it is set."""
        return self.reception


class Uses:
    """How often a toxic was used, on all connections together."""

    def __init__(self) -> None:
        self.count = 0


class Stage:
    """What a toxic does to one way: takes what comes, holds it, lets it go when it is due.

    Items never overtake each other. `held` are bytes.
    """

    def __init__(self, toxic: Toxic, random: Random, uses: Uses, at: float) -> None:
        self.toxic = toxic
        self.random = random
        self.uses = uses
        self.held = 0
        self.queue: deque[tuple[float, Item]] = deque()
        self.last = at
        self.begin(at)

    @property
    def due(self) -> float:
        """When the next item is due; infinity where none is."""
        return self.queue[0][0] if self.queue else float("inf")

    def begin(self, at: float) -> None:
        """Note when the toxic was put on, or changed."""

    def take(self, item: Item, at: float) -> None:
        """Take an item that comes at a time, and put what becomes of it."""
        self.put(item, at)

    def leave(self, at: float) -> None:
        """Put what follows from the toxic being taken away."""

    def put(self, item: Item, due: float) -> None:
        """Let an item go at a time, or right after what was put before."""
        self.last = max(self.last, due)
        self.queue.append((self.last, item))
        self.held += size_of(item)

    def withdraw(self) -> Item:
        """Take back what was put last, and its time."""
        _, item = self.queue.pop()
        self.held -= size_of(item)
        self.last = self.queue[-1][0] if self.queue else 0.0
        return item

    def discard(self) -> None:
        """Lose all that is held."""
        self.queue.clear()
        self.held = 0

    def release(self, at: float) -> Iterator[tuple[float, Item]]:
        """Let go what is due, and say since when."""
        while self.queue and self.queue[0][0] <= at:
            due, item = self.queue.popleft()
            self.held -= size_of(item)
            yield due, item

    def flush(self, at: float) -> None:
        """Let everything be due."""
        self.queue = deque((at, item) for _, item in self.queue)
        self.last = at

    def change(self, toxic: Toxic, at: float) -> None:
        """Have other settings from now on; what was held under the old ones goes on at once."""
        self.flush(at)
        self.toxic = toxic
        self.begin(at)


def size_of(item: Item) -> int:
    """Return the bytes of an item."""
    return len(item.data) if isinstance(item, Piece) else 0
