"""What a mailbox does when it is full."""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from attrs import frozen

__all__ = ["Conflate", "MailboxStatistics", "Overflow", "conflate"]

M = TypeVar("M")


class Overflow(enum.Enum):
    """What happens to a message for which there is no room."""

    BLOCK = "block"
    """`put` waits its turn; `put_nowait` refuses."""
    FAIL = "fail"
    """It is refused. The sender still has it, so nothing is lost and `on_drop` is not called."""
    DROP_NEWEST = "drop_newest"
    """It is lost."""
    DROP_OLDEST = "drop_oldest"
    """Those that have waited longest are lost until it fits."""
    DISCONNECT = "disconnect"
    """It is lost, and `overflowed` says that the reader is to be ended."""


@frozen
class Conflate(Generic[M]):
    """Keep the latest message of each key, in the place of the one that waited.

    Replaced messages are counted but not lost: a newer one says it better. A message whose key
    does not wait yet, or that would break the bound in bytes, is lost when the mailbox is full; so
    is one that `key` raises on.
    """

    key: Callable[[M], Hashable]
    value: str = "conflate"


def conflate(key: Callable[[M], Hashable]) -> Conflate[M]:
    """Return the policy that keeps the latest message of each key."""
    return Conflate(key)


@frozen
class MailboxStatistics:
    """Figures of a mailbox: now, the most there ever was, totals, and its bounds."""

    waiting: int
    bytes: int
    high_water: int
    high_water_bytes: int
    accepted: int
    dropped: int
    replaced: int
    max_messages: int
    max_bytes: int
    overflow: str
