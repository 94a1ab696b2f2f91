"""What clients are told of a room with which something is wrong: pure."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from ...transport import Event, Problem, encode_data
from ..cluster import DEGRADED, HEALED, Gap

__all__ = [
    "cannot_hear",
    "closed_gap",
    "crashed",
    "failed_on",
    "failed_to",
    "full",
    "may_not_enter",
    "may_not_say",
    "may_not_stay",
    "no_member",
    "room_closed",
    "said_by_the_room",
    "told_of_gap",
    "too_fast",
]

MOMENT: Final = 1.0
"""Seconds that something may have been on its way before it was found to have no place here."""


def room_closed(room: str) -> Problem:
    """Say that a room has ended."""
    return Problem("room_closed", f"The room '{room}' has ended; join it again.")


def may_not_enter(room: str) -> Problem:
    """Say that `authorize_join` has refused somebody."""
    return Problem("room_forbidden", f"The room '{room}' does not let you in.")


def may_not_stay(room: str) -> Problem:
    """Say that it has refused a member that is somebody else now."""
    sentence = f"The room '{room}' does not let you stay as whom you are now."
    return Problem("room_forbidden", sentence)


def may_not_say(room: str) -> Problem:
    """Say that `authorize_emit` has refused something."""
    return Problem("room_forbidden", f"The room '{room}' does not let you say this.")


def full(room: str, most: int) -> Problem:
    """Say that as many are in a room as may be."""
    sentence = f"The room '{room}' is full: it takes {most} members; join it again later."
    return Problem("room_full", sentence)


def too_fast(room: str, rate: float, retry_after: float) -> Problem:
    """Say that a member has said too much in a room."""
    sentence = f"The room '{room}' takes {rate:g} messages a second of each member; slow down."
    return Problem("too_fast", sentence, room, round(retry_after, 3))


def said_by_the_room(event: str) -> Problem:
    """Say that members believe an event, for none of them can say it."""
    sentence = f"The event '{event}' is said by the room alone; choose another name."
    return Problem("event_reserved", sentence)


def cannot_hear(room: str) -> Problem:
    """Say that the broker does not bring yet what other pods say in a room."""
    sentence = f"The room '{room}' cannot hear the other pods yet; join it again."
    return Problem("room_busy", sentence)


def no_member(room: str) -> Problem:
    """Say that somebody was put out before the room came to what it said."""
    sentence = f"You are not in the room '{room}' any more; join it to emit into it."
    return Problem("not_a_member", sentence)


def failed_to(room: str, on: str) -> Problem:
    """Say that a room crashed when it was to do something for a client that is out now."""
    return Problem("room_crashed", f"The room '{room}' failed when it {on}; join it again.")


def crashed(room: str, *, heard: bool) -> Problem:
    """Say that a room crashed on an emit; `heard` is whether a part of it may be out."""
    dropped = "failed on this message and dropped it"
    halfway = "failed on this message when a part of it was done and perhaps said"
    return Problem(
        "room_crashed",
        f"The room '{room}' {halfway if heard else dropped}; "
        "it has been restarted and you are still in it.",
    )


def failed_on(room: str) -> Problem:
    """Say that a room crashed on what the pod itself said."""
    sentence = f"The room '{room}' failed on this message and dropped it; it has been restarted."
    return Problem("room_crashed", sentence)


def told_of_gap(gap: Gap, event_id: str, now: float) -> Event:
    """Say what has not come to a room, or that it hears everything again; `now` is unix seconds."""
    name = DEGRADED if gap.whole_at is None else HEALED
    return Event(gap.room, name, encode_data(gap.to_json()), event_id, 0, now)


def closed_gap(room: str | None, missed: int, since: float, now: float) -> tuple[Gap, Gap]:
    """Return the beginning and the end of a gap that was over when it was found.

    `since` is when the first of what is missed was said by the clock of who said it, or infinity.
    """
    gap = Gap(room, missed, min(since, now) - MOMENT)
    return gap, evolve(gap, whole_at=now)
