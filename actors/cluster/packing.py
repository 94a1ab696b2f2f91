"""From events that wait to messages for the broker: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import orjson
from attrs import frozen

from ...transport.brokers import ENVELOPE_BYTES, MOST_EVENTS, pack
from ...transport.brokers.contract import Message, room_channel
from .parcel import CHARACTER, Parcel

__all__ = ["Packer"]

MOST_BYTES: Final = 256 * 1024
"""Bytes of one message: large enough that its header costs nothing, small enough to be handled
by a receiver without holding up its clients."""


@frozen
class Packer:
    """Packs events of one pod. Each room's keep their order; rooms among each other have none.

    `joined` is whether events of a room share messages; `limit` is what one may have (bytes).
    """

    origin: str
    epoch: int
    limit: int
    joined: bool = True

    def fits(self, parcel: Parcel) -> bool:
        """Whether an event is small enough for a message."""
        return parcel.nbytes + _header(parcel.room) <= self.limit

    def pack(self, parcels: Sequence[Parcel], *, replayed: bool = False) -> list[Message]:
        """Return the messages that carry these events."""
        rooms: dict[str | None, list[Parcel]] = {}
        for parcel in parcels:
            rooms.setdefault(parcel.room, []).append(parcel)
        return [
            (
                room_channel(room),
                pack(self.origin, self.epoch, room, [_event(p, replayed) for p in piece]),
            )
            for room, waiting in rooms.items()
            for piece in self._pieces(waiting)
        ]

    def _pieces(self, parcels: list[Parcel]) -> Iterator[list[Parcel]]:
        most = MOST_EVENTS if self.joined else 1
        room_for = min(MOST_BYTES, self.limit) - _header(parcels[0].room)
        piece: list[Parcel] = []
        weight = 0
        for parcel in parcels:
            if piece and (len(piece) >= most or weight + parcel.nbytes > room_for):
                yield piece
                piece, weight = [], 0
            piece.append(parcel)
            weight += parcel.nbytes
        yield piece


def _header(room: str | None) -> int:
    return ENVELOPE_BYTES + CHARACTER * len(room or "")


def _event(parcel: Parcel, replayed: bool) -> tuple[object, ...]:
    return (
        parcel.sequence,
        parcel.event_id,
        parcel.event,
        orjson.Fragment(parcel.encoded),
        parcel.time,
        0,
        int(replayed),
    )
