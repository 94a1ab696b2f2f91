"""The client's half of RFC 6455, as little of it as a load client needs: bytes in, frames out."""

from __future__ import annotations

import struct

from attrs import frozen

__all__ = [
    "CLOSE",
    "TEXT",
    "Frame",
    "FrameReader",
    "client_frame",
    "retry_after",
    "upgrade_request",
]

TEXT, CLOSE = 0x1, 0x8
_FIN = 0x80
_MASKED = 0x80
_NO_MASK = b"\0\0\0\0"  # a client must mask (section 5.3); a key of zeros leaves the bytes alone


@frozen
class Frame:
    """One frame of the server: its opcode (RFC 6455 section 5.2) and its payload."""

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame, 1005 when it has none (section 7.1.5)."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else 1005


class FrameReader:
    """Cuts the bytes of a server into frames, however they were sliced on the way."""

    __slots__ = ("_rest",)

    def __init__(self, rest: bytes = b"") -> None:
        self._rest = rest

    def __len__(self) -> int:
        """The bytes of the frame that is not whole yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole now. None of the servers here sends fragments."""
        buffer = self._rest + data if self._rest else data
        frames: list[Frame] = []
        at, size = 0, len(buffer)
        while at + 2 <= size:
            start, length = _payload(buffer, at)
            if start + length > size:
                break
            frames.append(Frame(buffer[at] & 0x0F, buffer[start : start + length]))
            at = start + length
        self._rest = buffer[at:]
        return frames


def _payload(buffer: bytes, at: int) -> tuple[int, int]:
    """Find where a frame's payload starts and how long it is; far away when not known yet."""
    length = buffer[at + 1]
    if length < 126:
        return at + 2, length
    head = at + (4 if length == 126 else 10)
    if head > len(buffer):
        return head, 0
    return head, int.from_bytes(buffer[at + 2 : head], "big")


def client_frame(text: str) -> bytes:
    """Make a text frame of a client, masked with zeros."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", _FIN | TEXT, _MASKED | size)
    else:  # no message of the benchmarks has more than 65,535 bytes
        head = struct.pack("!BBH", _FIN | TEXT, _MASKED | 126, size)
    return head + _NO_MASK + payload


def upgrade_request(target: str, port: int) -> bytes:
    """Make the request of the opening handshake (section 4.1)."""
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: ZGVwbG95ZC1iZW5jaG1hcg==",
        "Sec-WebSocket-Version: 13",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def retry_after(head: bytes) -> float:
    """Return the seconds that an answer asks to wait for before the next try, 0 if it does not."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"retry-after":
            return float(value)
    return 0.0
