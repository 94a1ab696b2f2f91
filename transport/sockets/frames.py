"""Encode the frames that a server sends (RFC 6455 section 5.2): whole and unmasked."""

import struct

__all__ = [
    "MAX_REASON_BYTES",
    "NO_CODE",
    "PING",
    "binary_frame",
    "close_frame",
    "deflated",
    "payload_of",
    "pong_frame",
    "text_frame",
]

PING: bytes = b"\x89\x00"
"""An empty ping: any byte that comes back proves that the client lives."""

MAX_REASON_BYTES = 123
"""A control frame holds at most 125 bytes (section 5.5), of which the close code takes two."""

NO_CODE = 1005
"""What stands for the code of a close frame that has none (section 7.4.1)."""

_FIN_TEXT = 0x81
_FIN_BINARY = 0x82
_DEFLATED = 0x40  # RFC 7692 section 6.1
_FIN_CLOSE = 0x88
_FIN_PONG = 0x8A
_short_header = struct.Struct("!BB").pack
_medium_header = struct.Struct("!BBH").pack
_long_header = struct.Struct("!BBQ").pack


def text_frame(payload: bytes) -> bytes:
    """Return a text message as one frame; `payload` must be valid UTF-8, which is not checked."""
    return _frame(_FIN_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """Return a binary message as one frame."""
    return _frame(_FIN_BINARY, payload)


def deflated(frame: bytes, payload: bytes) -> bytes:
    """Return the frame of the same message with its payload compressed."""
    return _frame(frame[0] | _DEFLATED, payload)


def payload_of(frame: bytes) -> bytes:
    """Return the payload of one of these frames."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return _short_header(first, size) + payload
    if size < 65536:
        return _medium_header(first, 126, size) + payload
    return _long_header(first, 127, size) + payload


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a ping (section 5.5.3), of which this is the payload."""
    return _short_header(_FIN_PONG, len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame (section 5.5.1); a long reason is cut between two characters.

    With `NO_CODE` it is empty.
    """
    if code == NO_CODE:
        return _short_header(_FIN_CLOSE, 0)
    cut = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES]
    payload = cut.decode("utf-8", "ignore").encode()
    return _short_header(_FIN_CLOSE, 2 + len(payload)) + code.to_bytes(2, "big") + payload
