"""How a client stands with a room, and the signals by which either side learns of it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from ...transport import Problem
from ..runtime import Exit

if TYPE_CHECKING:
    from .seat import Seat

__all__ = ["Departed", "Identified", "Knock", "SeatOwner", "Standing", "Vanished"]


class Standing(enum.Enum):
    """How a client stands with a room."""

    KNOCKING = "knocking"
    """It has asked to come in."""
    WITHDRAWN = "withdrawn"
    """It does not want to come in any more, and the room has not come to its knock yet."""
    IN = "in"
    """It is a member."""
    DOUBTED = "doubted"
    """It was somebody and is not any more: it hears nothing until the room says that it stays."""
    AWAY = "away"
    """It is a member whose connection is lost: its place is kept for a while."""
    OUT = "out"
    """It is not, or no longer, a member."""


@frozen
class Knock:
    """A client asks to come in. A signal: each client has one at most in a room's mailbox."""

    seat: Seat


@frozen
class Identified:
    """A member is somebody else now. A signal: one at most for each seat."""

    seat: Seat


@frozen
class Departed:
    """A member has gone. A signal: one for each seat that the room has given."""

    seat: Seat
    reason: str


@frozen
class Vanished:
    """A member's connection is lost, and its place is kept. A signal: one for each time."""

    seat: Seat


class SeatOwner(Protocol):
    """Who has the seats of one client: its session."""

    def room_ended(self, seat: Seat, exit: Exit) -> None:  # noqa: A002
        """Learn that the room of a seat has ended, which is vacant now."""

    def tell_problem(self, problem: Problem) -> None:
        """Tell the client of a problem."""

    def put_out(self, name: str, reason: str) -> None:
        """Tell the client that it is in a room no longer, and why."""
