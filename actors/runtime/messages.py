"""What actors say to each other, and the words for what became of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Never, TypeVar

from attrs import frozen

from .failures import error_text

if TYPE_CHECKING:
    from .ref import ActorRef

__all__ = ["Delivery", "Down", "Draining", "Exit", "ExitKind", "Request", "Returnable", "size_of"]

R_co = TypeVar("R_co", covariant=True)

DEFAULT_SIZE = 64
"""Bytes that a message counts for when it does not say: about one small object."""


class Request(Generic[R_co]):
    """Base of the messages that expect an answer: `class Get(Request[int])`.

    The handler's return value is the answer.
    """

    __slots__ = ()


class Returnable:
    """Base of the messages that somebody must hear of when they come to nothing."""

    __slots__ = ()

    def returned(self) -> None:
        """Learn that the actor has ended for good and has not begun with it."""


class Delivery(enum.Enum):
    """What became of a message when it was sent. True only for `ACCEPTED`."""

    ACCEPTED = "accepted"
    """It waits in the mailbox. That it will be handled is not promised."""
    DROPPED = "dropped"
    """A bound of the mailbox was reached."""
    DEAD = "dead"
    """The actor has ended for good."""

    def __bool__(self) -> bool:
        return self is Delivery.ACCEPTED


@frozen
class Draining:
    """The pod stops, and its clients go soon. `done` is to be called when that is dealt with."""

    done: Callable[[], None]


class ExitKind(enum.Enum):
    """How an actor ended. OTP's exit reasons `normal`, `shutdown`, an error, and `killed`."""

    NORMAL = "normal"
    """It stopped of its own will."""
    SHUTDOWN = "shutdown"
    """It was asked to stop, and did."""
    CRASHED = "crashed"
    """A handler, hook or timer raised."""
    KILLED = "killed"
    """It was cancelled: it did not stop in time, or its surroundings went away."""


@frozen
class Exit:
    """Why an actor ended. `error` is there when it crashed."""

    kind: ExitKind
    reason: str = ""
    error: Exception | None = None

    @classmethod
    def normal(cls, reason: str = "") -> Exit:
        """Return the exit of an actor that stopped of its own will."""
        return cls(ExitKind.NORMAL, reason)

    @classmethod
    def shutdown(cls, reason: str = "") -> Exit:
        """Return the exit of an actor that was asked to stop."""
        return cls(ExitKind.SHUTDOWN, reason)

    @classmethod
    def crashed(cls, error: Exception) -> Exit:
        """Return the exit of an actor whose code raised `error`."""
        return cls(ExitKind.CRASHED, error_text(error), error)

    @classmethod
    def killed(cls, reason: str = "") -> Exit:
        """Return the exit of an actor that was cancelled."""
        return cls(ExitKind.KILLED, reason)

    @property
    def abnormal(self) -> bool:
        """Whether a transient child is restarted after this."""
        return self.kind in (ExitKind.CRASHED, ExitKind.KILLED)


@frozen
class Down:
    """A monitored actor has ended and will not be restarted. Sent once to each watcher."""

    ref: ActorRef[Never]
    exit: Exit


def size_of(message: object) -> int:
    """Return what a message weighs in a mailbox, in bytes: its `nbytes`, or 64."""
    nbytes = getattr(message, "nbytes", None)
    return nbytes if type(nbytes) is int and nbytes >= 0 else DEFAULT_SIZE
