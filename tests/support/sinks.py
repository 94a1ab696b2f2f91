"""What a room writes to, without a socket: it remembers, and is as slow as a test wants."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import trio
from attrs import define, field

from deployd.transport import JSON

__all__ = ["FakeSink"]


@define
class FakeSink:
    """`pieces` are the writes, each with how many messages it is said to hold."""

    lagging: bool = False
    deflates: bool = False
    pieces: list[tuple[bytes, int]] = field(factory=list)
    caught_up: trio.Event = field(factory=trio.Event)

    def write(self, data: bytes, messages: int = 1) -> None:
        self.pieces.append((data, messages))

    @property
    def written(self) -> tuple[int, int]:
        return 0, 0

    @property
    def waiting(self) -> tuple[int, int]:
        return 0, 0

    async def flushed(self) -> None:
        await self.caught_up.wait()

    @property
    def data(self) -> bytes:
        return b"".join(data for data, _ in self.pieces)

    @property
    def texts(self) -> list[bytes]:
        """The payloads of the frames."""
        return list(_payloads(self.data))

    @property
    def said(self) -> list[tuple[str, JSON]]:
        """The events, each with its data."""
        messages = [orjson.loads(text) for text in self.texts]
        return [(m["event"], m["data"]) for m in messages if m["type"] == "emit"]


def _payloads(data: bytes) -> Iterator[bytes]:
    while data:  # frames of the server: unmasked, with a length of one or three bytes
        long = data[1] == 126
        start = 4 if long else 2
        size = int.from_bytes(data[2:4]) if long else data[1]
        yield data[start : start + size]
        data = data[start + size :]
