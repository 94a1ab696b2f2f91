"""Readers of what brokers speak: bytes in, the same bytes out, and what each frame is."""

from .frame import CHUNK, Frame, Piece
from .protocols import PROTOCOLS, readers
from .reader import MAX_FRAME, MAX_LINE, FrameReader

__all__ = [
    "CHUNK",
    "MAX_FRAME",
    "MAX_LINE",
    "PROTOCOLS",
    "Frame",
    "FrameReader",
    "Piece",
    "readers",
]
