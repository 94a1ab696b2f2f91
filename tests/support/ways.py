"""One direction of a connection with toxics on it, looked at whenever something is due."""

from __future__ import annotations

from deployd.tools.chaos.proxy import Toxic
from deployd.tools.chaos.proxy.frames import readers
from deployd.tools.chaos.proxy.toxic import Signal, Uses
from deployd.tools.chaos.proxy.way import Way

__all__ = ["CLOSE", "END", "RESET", "Written", "data_of", "passed", "until_quiet", "way_of"]

Written = list[tuple[float, bytes | Signal]]
END, CLOSE, RESET = Signal.END, Signal.CLOSE, Signal.RESET


def way_of(*toxics: Toxic, protocol: str = "", which: int = 0, seed: str = "1") -> Way:
    way = Way(readers(protocol)[which], "upstream", seed)
    for number, toxic in enumerate(toxics):
        way.put(str(number), toxic, Uses(), 0.0)
    return way


def until_quiet(way: Way, end: float = 1e6) -> Written:
    """Look whenever something is due."""
    written: Written = []
    at = 0.0
    while at <= end:
        written += [(round(at, 6), item) for item in way.advance(at)]
        at = max(at, way.due)
    return written


def passed(way: Way, *chunks: bytes, end: bool = False) -> Written:
    for chunk in chunks:
        way.feed(chunk, 0.0)
    if end:
        way.end(0.0)
    return until_quiet(way)


def data_of(written: Written) -> bytes:
    return b"".join(item for _, item in written if isinstance(item, bytes))
