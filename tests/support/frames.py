"""Frames as a client sends them, byte for byte (RFC 6455 section 5.2)."""

from __future__ import annotations

import json

__all__ = ["frame", "saying"]


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a frame of up to 64 KiB, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([(0x80 if fin else 0) | opcode]) + length + bytes(4) + payload


def saying(type_: str, **fields: object) -> bytes:
    """Return a message of the wire protocol in a frame."""
    return frame(1, json.dumps({"type": type_, **fields}).encode())
