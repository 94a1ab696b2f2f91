"""One direction of one connection: frames are read, and go through the toxics. No I/O.

The clock is passed in; what a stage lets go has been due since a time, and that is when the next
one takes it, however late anybody looks.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Final

from attrs import frozen

from .frames import FrameReader, Piece
from .toxic import Item, Signal, Stage, Stream, Toxic, Uses, size_of

__all__ = ["MAX_HELD", "MAX_WRITE", "Way"]

MAX_HELD: Final = 4 * 1024 * 1024
"""Bytes that may be on their way; with more nothing is read, and the sender has to wait."""

MAX_WRITE: Final = 256 * 1024
"""Bytes up to which pieces that are due are written together."""


@frozen
class _Placed:
    name: str
    stage: Stage


class Way:
    """Takes bytes as they come, and says when which may be written.

    `seed` is of this way alone: what is drawn depends on nothing but it and a toxic's name.
    """

    def __init__(self, reader: FrameReader, stream: Stream, seed: str) -> None:
        self.stream = stream
        self._reader = reader
        self._seed = seed
        self._stages: list[_Placed] = []
        self._out: deque[Item] = deque()
        self._out_bytes = 0
        self._muted = False

    @property
    def held(self) -> int:
        """Bytes that have come and were not written."""
        return self._out_bytes + sum(placed.stage.held for placed in self._stages)

    @property
    def due(self) -> float:
        """When to look again, in seconds; infinity: when something happens."""
        return min((placed.stage.due for placed in self._stages), default=float("inf"))

    def feed(self, data: bytes, at: float) -> None:
        """Take what has come."""
        for piece in self._reader.feed(data):
            self._pass(0, piece, at)

    def end(self, at: float, *, reset: bool = False) -> None:
        """Take the end of the stream, or that it was reset."""
        for piece in self._reader.rest():
            self._pass(0, piece, at)
        self._pass(0, Signal.RESET if reset else Signal.END, at)

    def advance(self, at: float) -> list[bytes | Signal]:
        """Return what is to be written now, in order."""
        for index, placed in enumerate(self._stages):
            for since, item in placed.stage.release(at):
                self._pass(index + 1, item, since)
        ready = _joined(self._out)
        self._out.clear()
        self._out_bytes = 0
        return ready

    # Toxics ------------------------------------------------------------------------------------

    def put(self, name: str, toxic: Toxic, uses: Uses, at: float) -> None:
        """Have a toxic, or other settings of one that is there."""
        if toxic.stage is None:
            return
        for placed in self._stages:
            if placed.name == name:
                placed.stage.change(toxic, at)
                return
        random = Random(f"{self._seed}/{name}")  # noqa: S311 - it is to be repeatable
        stage = toxic.stage(toxic, random, uses, at)
        index = len(self._stages)
        if toxic.on_frames:  # before all that cut frames up
            index = sum(placed.stage.toxic.on_frames for placed in self._stages)
        self._stages.insert(index, _Placed(name, stage))

    def remove(self, name: str, at: float) -> None:
        """Have a toxic no more; what it held goes on at once."""
        for index, placed in enumerate(self._stages):
            if placed.name == name:
                placed.stage.leave(at)
                placed.stage.flush(at)
                del self._stages[index]
                for _, item in placed.stage.release(at):
                    self._pass(index, item, at)
                return

    def _pass(self, index: int, item: Item, at: float) -> None:
        """Give an item to a stage, or to whoever writes."""
        if index < len(self._stages):
            self._stages[index].stage.take(item, at)
        elif item is Signal.MUTE:
            self._muted = True
        elif not (self._muted and isinstance(item, Piece)):
            self._out.append(item)
            self._out_bytes += size_of(item)


def _joined(items: deque[Item]) -> list[bytes | Signal]:
    """Put pieces together that may be written together."""
    ready: list[bytes | Signal] = []
    parts: list[bytes] = []
    nbytes = 0
    for item in items:
        piece = item if isinstance(item, Piece) else None
        if parts and (piece is None or piece.alone or nbytes + len(piece.data) > MAX_WRITE):
            ready.append(b"".join(parts))
            parts, nbytes = [], 0
        if isinstance(item, Signal):
            ready.append(item)
        elif item.alone:
            ready.append(item.data)
        else:
            parts.append(item.data)
            nbytes += len(item.data)
    if parts:
        ready.append(b"".join(parts))
    return ready
