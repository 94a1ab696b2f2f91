"""What can go wrong between actors. The class says whose fault it was, the message what to do."""

from __future__ import annotations

__all__ = [
    "ActorDead",
    "ActorDefinitionError",
    "ActorError",
    "AskTimeout",
    "BaseExceptionRaised",
    "EnvironmentFailure",
    "MailboxFull",
    "NotAMember",
    "Poisoned",
    "RoomError",
    "RoomImportError",
    "TooManyRooms",
    "Unanswered",
    "Unhandled",
    "WrongThread",
]


class ActorError(Exception):
    """The root of this package's errors."""


class ActorDefinitionError(ActorError):
    """An actor class or its use contradicts itself: the fault of who wrote it."""


class ActorDead(ActorError):
    """The actor has ended for good and is not restarted: ask someone else."""

    def __init__(self, path: str, reason: str = "") -> None:
        because = f" ({reason})" if reason else ""
        super().__init__(f"'{path}' has ended{because}; look it up again or start it anew.")
        self.path = path
        self.reason = reason


class AskTimeout(ActorError):
    """No answer in time. The request is withdrawn if the actor has not `begun` with it."""

    def __init__(self, path: str, request: str, seconds: float, *, begun: bool = False) -> None:
        super().__init__(
            f"'{path}' did not answer {request} within {seconds:g} s; "
            "see what its handler is doing, or allow it more time."
        )
        self.path = path
        self.begun = begun


class MailboxFull(ActorError):
    """The actor cannot keep up: send less, wait with `send`, or give it a larger mailbox."""

    def __init__(self, path: str, bounds: str) -> None:
        super().__init__(
            f"The mailbox of '{path}' takes no more ({bounds}); "
            "send less, wait with `send`, or raise its bounds."
        )
        self.path = path


class Poisoned(ActorError):
    """The request itself ended its actor on each attempt; `__cause__` is the last error."""

    def __init__(self, path: str, request: str) -> None:
        super().__init__(
            f"{request} ended '{path}' each time it was tried and was set aside; "
            "correct the request or the handler, do not simply repeat it."
        )
        self.path = path


class Unanswered(ActorError):
    """The actor had begun with the request and ended: what became of it is not known."""

    def __init__(self, path: str, request: str) -> None:
        super().__init__(
            f"'{path}' ended before it answered {request}, which may have been done or not; "
            "look before you repeat it."
        )
        self.path = path


class Unhandled(ActorError):
    """The actor has no handler for this type of request: the fault of who asked."""

    def __init__(self, path: str, request: str) -> None:
        super().__init__(f"'{path}' has no handler for {request}; add one with @handles.")
        self.path = path


class BaseExceptionRaised(ActorError):
    """An actor's code raised what is meant to end a process or a task; `__cause__` is it.

    It ends its actor alone, like any other exception. `Actor.stop` is how an actor ends itself.
    """

    def __init__(self, told: str) -> None:
        super().__init__(
            f"{told} was raised, which ends no more than any other exception does here; "
            "raise an Exception, or call `stop()` to end the actor."
        )


class WrongThread(ActorError, RuntimeError):
    """Something of the pod was called from a thread that is not trio's: nothing has changed."""

    def __init__(self, what: str, thread: str) -> None:
        super().__init__(
            f"{what} was called from the thread '{thread}', and a pod lives in trio's thread "
            "alone: take `hub.from_thread` there and hand it to yours, or call with "
            "`trio.from_thread.run_sync`."
        )


class EnvironmentFailure(ActorError):
    """The world is broken (refused, no DNS, disk full), not the code.

    Raise it from a handler, a timer or `on_start`: supervision then backs off for ever and
    does not use up the restart intensity. `retry_after` is the shortest wait (seconds) that makes
    sense before the next try, `told` whether the log says it already.
    """

    # Here too: a subclass may have an `__init__` that does not call this one.
    retry_after: float = 0.0
    told: bool = False

    def __init__(self, *args: object, retry_after: float = 0.0, told: bool = False) -> None:
        super().__init__(*args)
        self.retry_after = retry_after
        self.told = told


class RoomError(ActorError):
    """A room was asked for what it cannot do: the fault of who asked."""


class NotAMember(RoomError):
    """What is meant for one was to be told to nobody, or to somebody who is not in the room."""

    def __init__(self, room: str, recipient: object) -> None:
        super().__init__(
            f"{recipient!r} is no member of the room '{room}', and nobody was told; look it up in "
            "`members` at the moment of telling, and expect that it may have left."
        )


class TooManyRooms(RoomError):
    """Clients have opened all the rooms they may on this pod: raise the limit, or let some go."""


class RoomImportError(ActorError):
    """A room class that the configuration names cannot be had: correct the name or the module."""
