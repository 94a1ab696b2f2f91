"""Reading frames out of a stream, whatever the slices in which it comes. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable
from typing import Final

from .frame import CHUNK, Frame, Piece

__all__ = ["MAX_FRAME", "MAX_LINE", "ChunkReader", "FrameReader", "Numbers", "UnreadableStream"]

MAX_FRAME: Final = 1024 * 1024
"""Bytes up to which a frame is waited for; the parts of a larger one pass as they come."""

MAX_LINE: Final = 64 * 1024
"""Bytes of a line that says what follows; NATS' INFO takes some kilobytes."""

MAX_NUMBERED: Final = 4096
"""Verbs that are counted on one connection; others have no numbers."""


class UnreadableStream(Exception):
    """These bytes are not the protocol's: encrypted, perhaps."""


class FrameReader(ABC):
    """Takes bytes and returns the same bytes, in pieces that are frames.

    `at` is up to where the first frame's structure is known, in `buffer`; it may be beyond what
    has come. Once something is not understood all passes as bytes, and `lost` is set.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.at = 0
        self.lost = False
        self._measured = False
        self._large = False

    def feed(self, data: bytes) -> list[Piece]:
        """Take what has come; return what is whole, or too large to wait for."""
        if self.lost:
            return [Piece(bytes(data))] if data else []
        self.buffer += data
        pieces: list[Piece] = []
        try:
            while self._take(pieces):
                pass
        except UnreadableStream:
            self.lost = True
            pieces += self.rest()
        return pieces

    def rest(self) -> list[Piece]:
        """Return what is no frame yet, and will not be: the stream has ended."""
        data = bytes(self.buffer)
        self.buffer.clear()
        return [Piece(data)] if data else []

    @abstractmethod
    def measure(self) -> bool:
        """Move `at` on, and say whether it is where the first frame ends.

        Raises `UnreadableStream`.
        """

    @abstractmethod
    def describe(self, data: bytes) -> Frame:
        """Say what a frame is, once for each; of a large one the end is missing."""

    def _take(self, pieces: list[Piece]) -> bool:
        """Take one frame, or a part of a large one; say whether there may be another."""
        self._measured = self._measured or self.measure()
        if (
            not self._large
            and max(self.at, len(self.buffer) if not self._measured else 0) > MAX_FRAME
        ):
            self._large = True
            self.describe(bytes(self.buffer))
        whole = self._measured and self.at <= len(self.buffer)
        if not (whole or self._large):
            return False
        size = min(self.at, len(self.buffer))
        data = bytes(self.buffer[:size])
        if self._large:
            pieces += [Piece(data)] if data else []
        else:
            pieces.append(Piece(data, self.describe(data)))
        del self.buffer[:size]
        self.at -= size
        if whole:
            self._measured = self._large = False
        return whole and bool(self.buffer)


class ChunkReader(FrameReader):
    """Reads nothing: what comes at once is a chunk."""

    def feed(self, data: bytes) -> list[Piece]:
        """Return it as it came."""
        return [Piece(bytes(data), CHUNK)] if data else []

    def measure(self) -> bool:
        """Never asked."""
        return False

    def describe(self, data: bytes) -> Frame:
        """Never asked."""
        return CHUNK


class Numbers:
    """Counts commands, each verb from 1."""

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()

    def next(self, verb: Hashable) -> int:
        """Return the number of a command, 0 where there are too many verbs to count."""
        if verb not in self._counts and len(self._counts) >= MAX_NUMBERED:
            return 0
        self._counts[verb] += 1
        return self._counts[verb]
