"""What a pod could not say any more before it ended, kept for its next start: hinted handoff.

Source: G. DeCandia et al., "Dynamo: Amazon's Highly Available Key-value Store" (SOSP 2007), 4.6.

Events are kept under the pod that numbered them, and said so by its next start: with their ids and
numbers, whoever has heard one of them already drops it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from attrs import frozen

from ...transport import EnvelopeError, Event
from ...transport.brokers import Envelope, pack, unpack
from .packing import written
from .publication import Publication, weight

__all__ = ["Handoff", "Hint", "hints_of", "publications_of", "read_hints", "write_hints"]


@frozen
class Hint:
    """Events of one room that a pod which has ended did not get to say."""

    origin: str
    epoch: int
    room: str | None
    events: Sequence[Event]


class Handoff(Protocol):
    """Where hints are kept between two lives of a pod. Nothing here raises."""

    @property
    def hints(self) -> Sequence[Hint]:
        """What the life before has left, and this one has not said yet."""

    def keep(self, hints: Sequence[Hint]) -> bool:
        """Keep these for the next start, beside those not said yet; False where that failed."""

    def said(self) -> None:
        """Forget what the life before has left: the broker has it."""


def hints_of(origin: str, epoch: int, waiting: Iterable[Publication]) -> list[Hint]:
    """Return what waits, room by room and in its order."""
    rooms: dict[str | None, list[Event]] = {}
    for publication in waiting:
        rooms.setdefault(publication.event.room, []).append(publication.event)
    return [Hint(origin, epoch, room, events) for room, events in rooms.items()]


def publications_of(hint: Hint, oldest: float) -> list[Publication]:
    """Return what of a hint is not older than a time (unix seconds), ready to be said."""
    return [
        Publication(event, 0.0, weight(event.name, event.encoded))
        for event in hint.events
        if event.time >= oldest
    ]


def write_hints(hints: Iterable[Hint]) -> bytes:
    """Encode hints: one envelope an event and line, as they are said on the broker."""
    return b"".join(
        pack(hint.origin, hint.epoch, hint.room, [written(event, replayed=False)]) + b"\n"
        for hint in hints
        for event in hint.events
    )


def read_hints(written: bytes) -> list[Hint]:
    """Read hints; a line that was not written whole, or is none, is passed over."""
    found: dict[tuple[str, int, str | None], list[Event]] = {}
    for line in written.splitlines():
        try:
            envelope = unpack(line)
        except EnvelopeError:
            continue
        if isinstance(envelope, Envelope):
            whose = (envelope.origin, envelope.epoch, envelope.room)
            found.setdefault(whose, []).extend(envelope.events)
    return [Hint(*whose, events) for whose, events in found.items()]
