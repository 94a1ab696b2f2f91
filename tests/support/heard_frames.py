"""What a reader of frames hears, kept for a test."""

from __future__ import annotations

from deployd.transport import FrameViolation
from deployd.transport.sockets.client_frames import ClientFrames

__all__ = ["HeardFrames"]


class HeardFrames:
    """A sink that keeps all; `ended` is the code and the reason with which it is over."""

    def __init__(self, reader: ClientFrames) -> None:
        self.reader = reader
        self.messages: list[tuple[str | bytes, int]] = []
        self.pings: list[bytes] = []
        self.ended: tuple[int, str] | None = None

    def take(self, data: bytes) -> None:
        try:
            self.reader.receive(data, self)
        except FrameViolation as violation:
            self.ended = (violation.code, violation.sentence)

    def said(self, message: str | bytes, nbytes: int) -> None:
        self.messages.append((message, nbytes))

    def pinged(self, payload: bytes) -> None:
        self.pings.append(payload)

    def closed(self, code: int, reason: str) -> None:
        self.ended = (code, reason)
