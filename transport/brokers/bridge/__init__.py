"""How asyncio's clients of brokers are used from trio."""

from .bridge import (
    CancelledError,
    Event,
    Future,
    Lock,
    StreamReader,
    StreamWriter,
    Task,
    WriteTransport,
    addresses,
    beside,
    ended,
    first,
    gather,
    open_connection,
    sleep,
    within,
)
from .bridged import Bridged
from .driver import Driver, Feed

__all__ = [
    "Bridged",
    "CancelledError",
    "Driver",
    "Event",
    "Feed",
    "Future",
    "Lock",
    "StreamReader",
    "StreamWriter",
    "Task",
    "WriteTransport",
    "addresses",
    "beside",
    "ended",
    "first",
    "gather",
    "open_connection",
    "sleep",
    "within",
]
