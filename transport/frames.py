"""Encode the frames that a server sends (RFC 6455 section 5.2): whole and unmasked."""

import struct

__all__ = ["MAX_REASON_BYTES", "PING", "close_frame", "text_frame"]

PING: bytes = b"\x89\x00"
"""An empty ping: any byte that comes back proves that the client lives."""

MAX_REASON_BYTES = 123
"""A control frame holds at most 125 bytes (section 5.5), of which the close code takes two."""

_FIN_TEXT = 0x81
_FIN_CLOSE = 0x88
_short_header = struct.Struct("!BB").pack
_medium_header = struct.Struct("!BBH").pack
_long_header = struct.Struct("!BBQ").pack


def text_frame(payload: bytes) -> bytes:
    """Return a text message as one frame; `payload` must be valid UTF-8, which is not checked."""
    size = len(payload)
    if size < 126:
        return _short_header(_FIN_TEXT, size) + payload
    if size < 65536:
        return _medium_header(_FIN_TEXT, 126, size) + payload
    return _long_header(_FIN_TEXT, 127, size) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame (section 5.5.1); a long reason is cut between two characters."""
    cut = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES]
    payload = cut.decode("utf-8", "ignore").encode()
    return _short_header(_FIN_CLOSE, 2 + len(payload)) + code.to_bytes(2, "big") + payload
