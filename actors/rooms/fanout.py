"""What a room has to send, joined: encode once, write once per member.

Measured (2 cores, 200 clients, 115-byte frames): a write per frame and member makes some
200,000 deliveries a second, ten frames joined into one write some 1,900,000. The system call
is the cost, so a room collects frames while messages wait in its mailbox and writes them in
one piece. Bounds keep a batch well below what may wait for one client.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from attrs import frozen

from ...config import Config
from ...transport import Deflater, Histogram
from .member import Member

__all__ = ["Batch", "Batching"]


@frozen
class Batching:
    """How much a room joins: it writes what holds so many messages or bytes. Who compresses."""

    max_messages: int = 64
    max_bytes: int = 64 * 1024
    deflater: Deflater | None = None

    @classmethod
    def of(cls, config: Config) -> Batching:
        """Return what is configured; at most a quarter of what may wait for one client."""
        performance, network = config.performance, config.network
        messages = max(1, min(cls().max_messages, config.limits.message_buffer_size // 4))
        return cls(
            max_messages=messages if performance.batch_message_processing else 1,
            max_bytes=network.write_buffer_size,
            deflater=Deflater.of(config),
        )


_Entry = tuple[Member | None, Member | None, bytes]


class Batch:
    """Frames in the order they were said, each for everyone, for all but one, or for one member.

    `reached` counts how many members each event for everyone went to.
    """

    __slots__ = ("_bytes", "_deflater", "_entries", "_max_bytes", "_max_messages", "_reached")

    def __init__(self, batching: Batching, reached: Histogram) -> None:
        self._entries: list[_Entry] = []
        self._bytes = 0
        self._max_messages, self._max_bytes = batching.max_messages, batching.max_bytes
        self._deflater = batching.deflater
        self._reached = reached

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """Whether the batch should be written before more is added."""
        return self._bytes >= self._max_bytes or len(self._entries) >= self._max_messages

    def add(self, frame: bytes, *, to: Member | None = None, but: Member | None = None) -> None:
        """Append a frame for one member (`to`), or for everyone, perhaps `but` one."""
        self._entries.append((to, but, frame))
        self._bytes += len(frame)

    def mark(self) -> tuple[int, int]:
        """Return where it ends now, for `rewind`."""
        return len(self._entries), self._bytes

    def rewind(self, entries: int, nbytes: int) -> None:
        """Forget what was added since a mark, if nothing was written since."""
        del self._entries[entries:]
        self._bytes = nbytes

    def write(self, members: Iterable[Member]) -> int:
        """Hand everything to the sinks, each member's frames in order, and return the deliveries.

        Members are read once per run of frames with the same audience; in the usual case, only
        broadcasts, that is once, and every member gets the same bytes object.
        """
        entries, self._entries, self._bytes = self._entries, [], 0
        deliveries = 0
        for (to, but), run in groupby(entries, key=lambda entry: entry[:2]):
            frames = [frame for _, _, frame in run]
            audience = members if to is None else (to,)
            reached = self._write_run(frames, audience, but)
            if to is None:
                self._reached.observe(reached, len(frames))
            deliveries += reached * len(frames)
        return deliveries

    def _write_run(
        self, frames: Sequence[bytes], members: Iterable[Member], but: Member | None
    ) -> int:
        count, reached = len(frames), 0
        plain = frames[0] if count == 1 else b"".join(frames)
        deflater, packed = self._deflater, b""
        # The usual run: members are asked for nothing that a small message does not need.
        if deflater is None or len(plain) < deflater.threshold:
            for member in members:
                if member is not but:
                    member.sink.write(plain, count)
                    reached += 1
            return reached
        for member in members:
            if member is but:
                continue
            if member.sink.deflates:
                packed = packed or deflater.pack(frames)  # once, when somebody takes it
            member.sink.write(packed if member.sink.deflates else plain, count)
            reached += 1
        return reached
