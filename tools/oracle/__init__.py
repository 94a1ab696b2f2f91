"""What must hold of everything that clients were told, and who judges it: pure."""

from .history import (
    EVERYBODY,
    Answered,
    Began,
    Calm,
    Entered,
    Gone,
    Hearing,
    Met,
    Paused,
    Record,
    Resumed,
    Slow,
    Spoken,
    Told,
    View,
    digest,
)
from .rules import RULES, Violation, judge

__all__ = [
    "EVERYBODY",
    "RULES",
    "Answered",
    "Began",
    "Calm",
    "Entered",
    "Gone",
    "Hearing",
    "Met",
    "Paused",
    "Record",
    "Resumed",
    "Slow",
    "Spoken",
    "Told",
    "View",
    "Violation",
    "digest",
    "judge",
]
