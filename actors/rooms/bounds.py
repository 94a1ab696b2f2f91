"""What is too large to be said: no client's outbox would take it, so saying it closes them all."""

from __future__ import annotations

from typing import Final, TypeVar

from ...transport import Problem
from ..cluster import CHARACTER, weight

__all__ = ["excess", "lower_of", "may_exceed", "size_of_event", "too_large"]

_GROWTH: Final = 5
"""How many times longer a client's JSON may be when written again: `1e15` becomes 18 bytes."""

_NAMES: Final = 4096
"""Above what a room's and an event's names add, at the default `limits.maxNameLength`."""


def size_of_event(room: str | None, name: str, encoded: bytes) -> int:
    """Return the bytes that an event takes at most, in any client's protocol and on the broker.

    The one measure for whatever is said, wherever it was said.
    """
    return weight(name, encoded) + CHARACTER * len(room or "")


def excess(largest: int, room: str | None, name: str, encoded: bytes) -> Problem | None:
    """Say why an event is more than `largest` bytes (`limits.maxBufferBytes`), or None."""
    nbytes = size_of_event(room, name, encoded)
    if nbytes <= largest:
        return None
    return too_large(nbytes, largest)


def may_exceed(largest: int, nbytes: int) -> bool:
    """Return whether a client's message of so many bytes is worth to be measured exactly."""
    return nbytes * _GROWTH + _NAMES > largest


N = TypeVar("N", int, float)


def lower_of(one: N, other: N) -> N:
    """Return the lower of two limits, of which 0 is none."""
    return min(one, other) if one and other else one or other


def too_large(nbytes: int, largest: int) -> Problem:
    """Say that an event of `nbytes` bytes is more than `largest`."""
    return Problem(
        "too_large",
        f"The event takes {nbytes} bytes and no client may be sent more than {largest} "
        "(limits.maxBufferBytes); send less at a time.",
    )
