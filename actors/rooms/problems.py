"""What clients are told of a room with which something is wrong: pure."""

from __future__ import annotations

from ...transport import Problem

__all__ = [
    "cannot_hear",
    "crashed",
    "events_missed",
    "failed_to",
    "may_not_enter",
    "may_not_say",
    "may_not_stay",
    "missed_meanwhile",
    "no_member",
    "room_closed",
]


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


def missed_meanwhile(room: str, events: int) -> Problem:
    """Say how much a member was not told while the room was to say whether it stays."""
    sentence = (
        f"You were not told up to {events} events of the room '{room}', "
        "while it was to say whether you may stay."
    )
    return Problem("events_missed", sentence, room)


def events_missed(room: str, events: int) -> Problem:
    """Say how much was said that the members of a room will not hear."""
    sentence = (
        f"{events} events were missed: they were too large, or came too fast from other pods."
    )
    return Problem("events_missed", sentence, room)
