"""From events that wait to messages for the broker: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import orjson
from attrs import frozen

from ...transport import Event
from ...transport.brokers import ENVELOPE_BYTES, MOST_EVENTS, pack
from ...transport.brokers.contract import Message, room_channel
from .publication import CHARACTER, Publication

__all__ = ["Packer", "written"]

MOST_BYTES: Final = 256 * 1024
"""Bytes of one message: large enough that its header costs nothing, small enough to be handled
by a receiver without holding up its clients."""


@frozen
class Packer:
    """Packs events of one pod. Each room's keep their order; rooms among each other have none.

    `joined` is whether events of a room share messages; `limit` is what one may have (bytes).
    `counts` is whether a room's receipts say who has heard; without it none do.
    """

    origin: str
    epoch: int
    limit: int
    joined: bool = True
    counts: Callable[[str], bool] | None = None

    def fits(self, publication: Publication) -> bool:
        """Whether an event is small enough for a message."""
        return publication.nbytes + _header(publication.event.room) <= self.limit

    def pack(
        self, publications: Sequence[Publication], *, replayed: bool = False
    ) -> list[tuple[Message, list[Publication]]]:
        """Return the messages that carry these events, each with those that it carries."""
        rooms: dict[str | None, list[Publication]] = {}
        for publication in publications:
            rooms.setdefault(publication.event.room, []).append(publication)
        return [
            (
                (
                    room_channel(room),
                    pack(
                        self.origin,
                        self.epoch,
                        room,
                        [written(p.event, replayed) for p in piece],
                        wants=not replayed and self._waits(room, piece),
                    ),
                ),
                piece,
            )
            for room, waiting in rooms.items()
            for piece in self._pieces(waiting)
        ]

    def _waits(self, room: str | None, piece: Sequence[Publication]) -> bool:
        """Whether somebody waits for who has heard any of these."""
        if room is None or self.counts is None or not self.counts(room):
            return False
        return any(publication.settle is not None for publication in piece)

    def _pieces(self, publications: list[Publication]) -> Iterator[list[Publication]]:
        most = MOST_EVENTS if self.joined else 1
        room_for = min(MOST_BYTES, self.limit) - _header(publications[0].event.room)
        piece: list[Publication] = []
        weight = 0
        for publication in publications:
            if piece and (len(piece) >= most or weight + publication.nbytes > room_for):
                yield piece
                piece, weight = [], 0
            piece.append(publication)
            weight += publication.nbytes
        yield piece


def _header(room: str | None) -> int:
    return ENVELOPE_BYTES + CHARACTER * len(room or "")


def written(event: Event, replayed: bool) -> tuple[object, ...]:
    """Return an event as it stands in an envelope."""
    return (
        event.sequence,
        event.id,
        event.name,
        orjson.Fragment(event.encoded),
        event.time,
        0,
        int(replayed),
    )
