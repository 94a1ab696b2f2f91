"""What pods may say to each other, whoever it is that reaches the broker: pure.

The pods' own voice (`system:…`, but what rooms tell each other of who is in) and the rooms that
each pod writes alone never come from a broker. In the rooms of collections only changes do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NoReturn

import orjson

from ..errors import EnvelopeError, EnvelopeFault
from ..protocols import JSON, check_name, is_reserved_event, is_reserved_room

__all__ = [
    "DEEPEST",
    "LONGEST_NAME",
    "PRESENCE",
    "demand_change",
    "demand_room",
    "event_fault",
    "may_be_said",
    "of_changes",
    "refuse_event",
    "too_deep",
]

PRESENCE: Final = "system:presence"
"""What the rooms of a name tell each other of who is in: for rooms, and never for clients."""
LONGEST_NAME: Final = 1024
"""Characters; each pod limits its own clients' names further."""
DEEPEST: Final = 128
"""Levels of what is said: twice what clients may say. A room has to be able to wrap it in more and
still write it; what it cannot write is its own failure."""
MOST_NAMES: Final = 8192
"""Names of each kind whose judgement is remembered."""
_WRITABLE: Final = 254
"""Levels that orjson writes."""
CHANGES: Final = frozenset(("created", "updated", "deleted", "revised", "missed"))
"""What pods say of documents, each with the id of one; what they mean says `Hub`."""
COLLECTIONS: Final = "collections"
COLLECTION: Final = "collection:"


@lru_cache(maxsize=MOST_NAMES)
def may_be_said(room: str | None, event: str) -> bool:
    """Whether other pods take an event of that name in that room; None is everyone."""
    if event_fault(event) is not None:
        return False
    if room is None:
        return event != PRESENCE
    return _room_fault(room) is None and (not of_changes(room) or event in CHANGES)


def demand_room(room: JSON) -> str | None:
    """Return the room that a message is for, None for everyone; raise `EnvelopeError`."""
    if room is None:
        return None
    if type(room) is not str:
        raise EnvelopeError("its room is no text")
    fault = _room_fault(room)
    if fault is EnvelopeFault.RESERVED:
        raise EnvelopeError("it is for a room that each pod writes alone", fault)
    if fault is not None:
        raise EnvelopeError("its room has no name that a room may have", fault)
    return room


def refuse_event(event: JSON) -> NoReturn:
    """Raise `EnvelopeError` for an event whose name other pods may not say."""
    if type(event) is not str:
        raise EnvelopeError("the name of an event of it is no text")
    fault = event_fault(event)
    if fault is EnvelopeFault.RESERVED:
        raise EnvelopeError("an event of it is named as what pods say themselves", fault)
    raise EnvelopeError("an event of it has no name that an event may have")


def of_changes(room: str | None) -> bool:
    """Whether a room tells of the changes of collections, and of nothing else."""
    return room is not None and (room.startswith(COLLECTION) or room == COLLECTIONS)


def demand_change(room: str, event: str, data: JSON) -> None:
    """Raise `EnvelopeError` for what is said in a room of changes and is none."""
    if event not in CHANGES:
        raise EnvelopeError(
            "it is for a room of changes and an event of it is none", EnvelopeFault.RESERVED
        )
    document = data
    if room == COLLECTIONS:
        document = None
        if isinstance(data, Mapping) and type(data.get("collection")) is str:
            document = data.get("data") if data.get("type") == event else None
    if not isinstance(document, Mapping) or type(document.get("id")) is not str:
        raise EnvelopeError("a change in it is of no document")


def too_deep(encoded: bytes) -> bool:
    """Say whether JSON is nested deeper than pods take it from each other.

    A level takes two bytes, and a bracket: most events have not even enough of those. For the
    others it is written once more inside so many levels that orjson must fail of one too many.
    """
    if len(encoded) < 2 * DEEPEST or encoded.count(b"[") + encoded.count(b"{") <= DEEPEST:
        return False
    inside: JSON = orjson.loads(encoded)
    for _ in range(_WRITABLE - DEEPEST):
        inside = [inside]
    try:
        orjson.dumps(inside)
    except orjson.JSONEncodeError:
        return True
    return False


@lru_cache(maxsize=MOST_NAMES)
def event_fault(name: str) -> EnvelopeFault | None:
    """Say what is wrong with the name of an event from another pod, or None."""
    if check_name("event", name, LONGEST_NAME) is not None:
        return EnvelopeFault.MALFORMED
    reserved = is_reserved_event(name) and name != PRESENCE
    return EnvelopeFault.RESERVED if reserved else None


@lru_cache(maxsize=MOST_NAMES)
def _room_fault(name: str) -> EnvelopeFault | None:
    if check_name("room", name, LONGEST_NAME) is not None:
        return EnvelopeFault.MALFORMED
    if is_reserved_room(name) and not of_changes(name):
        return EnvelopeFault.RESERVED
    return None
