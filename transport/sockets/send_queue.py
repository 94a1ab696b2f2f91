"""What the kernel has not taken yet: pieces of whole frames, in order; the outbox does the I/O."""

from __future__ import annotations

from collections import deque
from itertools import islice

__all__ = ["SendQueue"]

_GATHERED_PIECES = 64
_GATHERED_BYTES = 64 * 1024


class SendQueue:
    """A queue of pieces, each one or more whole frames, of which the first may be sent in part.

    `messages` and `bytes` are what waits. How many messages of a piece are in a part of it is
    not known, so they are counted in proportion, rounded up, when it is appended.
    """

    __slots__ = ("_offset", "_pieces", "bytes", "messages")

    def __init__(self) -> None:
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._offset = 0  # bytes of the first piece that have left
        self.messages = self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def under_way(self) -> bool:
        """Whether a part of the first piece has left."""
        return self._offset > 0

    @property
    def last_under_way(self) -> bool:
        """Whether only the rest of one piece waits."""
        return self._offset > 0 and len(self._pieces) == 1

    def append(self, data: bytes, messages: int, sent: int = 0) -> int:
        """Queue a piece of which `sent` bytes have left (only the first), and return what waits.

        What waits is the number of its messages.
        """
        if sent:
            self._offset = sent
            messages = -(-messages * (len(data) - sent) // len(data))
        self._pieces.append((data, messages))
        self.messages += messages
        self.bytes += len(data) - sent
        return messages

    def gather(self) -> list[bytes | memoryview]:
        """Return the first pieces, enough for one call of `sendmsg`, without copying them."""
        pieces: list[bytes | memoryview] = [memoryview(self._pieces[0][0])[self._offset :]]
        size = len(pieces[0])
        for data, _ in islice(self._pieces, 1, _GATHERED_PIECES):
            if size + len(data) > _GATHERED_BYTES:
                break
            pieces.append(data)
            size += len(data)
        return pieces

    def advance(self, sent: int) -> int:
        """Take note of bytes that have left, and return how many messages that completed."""
        self._offset += sent
        self.bytes -= sent
        before = self.messages
        while self._pieces and self._offset >= len(self._pieces[0][0]):
            data, messages = self._pieces.popleft()
            self._offset -= len(data)
            self.messages -= messages
        return before - self.messages

    def forget(self) -> None:
        """Drop everything but the rest of a piece that has begun to leave."""
        kept = [self._pieces[0]] if self._offset else []
        self._pieces = deque(kept)
        self.messages = sum(messages for _, messages in kept)
        self.bytes = sum(len(data) for data, _ in kept) - self._offset
