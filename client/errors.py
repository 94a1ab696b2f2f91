"""Everything that can go wrong for a client; the class says whose fault it is.

ClientError
├── Misuse             yours: the call, or how the client is used
│   ├── BadUrl             no URL of a pod
│   ├── CannotSend         not JSON, or more than the pod takes; nothing was sent
│   ├── TooMuchUnanswered  more is without an answer than is sensible: wait for receipts
│   ├── FellBehind         events that you have not read were dropped
│   └── ClientClosed       the client's block is over
├── Refused            the pod's: it said no; `code` is for programs, the message tells the remedy
│   └── RoomLost           of a room that you were in: the pod has put you out, or ended it
├── ClosedForGood      the pod's: it does not want this client back as it is
├── NothingHeard       nobody's: no event came in the time that a script waits for one
└── ConnectionTrouble  the world's: a pod that is out of reach, a network that breaks
    ├── Disconnected       nothing was sent; the client goes on trying
    ├── Unconfirmed        it was sent, and the connection ended: nobody knows if it arrived
    └── NoAnswer           it was sent, and no answer came in time: nobody knows either
"""

from __future__ import annotations

from collections.abc import Mapping

from ..transport.protocols import JSON, Problem

__all__ = [
    "BadUrl",
    "CannotSend",
    "ClientClosed",
    "ClientError",
    "ClosedForGood",
    "ConnectionTrouble",
    "Disconnected",
    "FellBehind",
    "Misuse",
    "NoAnswer",
    "NothingHeard",
    "Refused",
    "RoomLost",
    "TooMuchUnanswered",
    "Unconfirmed",
]


class ClientError(Exception):
    """Base of all errors of this package."""


class Misuse(ClientError):
    """What the caller can mend in its code."""


class BadUrl(Misuse):
    """The URL of a pod cannot be one."""


class CannotSend(Misuse):
    """It fits into no message of the protocol; `code` is `not_json`, `too_large`, `bad_room`."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class TooMuchUnanswered(Misuse):
    """So many requests wait for an answer that one more would only wait as well."""


class FellBehind(Misuse):
    """`missed` events found no place while nobody read; those that follow are whole."""

    def __init__(self, missed: int, what: str) -> None:
        super().__init__(
            f"{missed} {what} were dropped, the oldest first, because nobody read them; read "
            "faster, give `most_unread`, or take the loss with Unread.DROP_OLDEST."
        )
        self.missed = missed


class ClientClosed(Misuse):
    """The block that the client lived in is over; make another one."""

    def __init__(self) -> None:
        super().__init__("This client is closed; make a new one.")


class Refused(ClientError):
    """The pod said no: `code` for programs, `sentence` for people.

    `room` is the room it is about; `retry_after` the seconds after which the same may go well.
    `data` is what the room says of its refusal, for programs.
    """

    def __init__(
        self,
        code: str,
        sentence: str,
        room: str | None = None,
        retry_after: float | None = None,
        data: Mapping[str, JSON] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.data: Mapping[str, JSON] = data or {}
        self.room = room
        self.retry_after = retry_after

    @classmethod
    def of(cls, problem: Problem) -> Refused:
        """Make it of what the pod said."""
        told = problem.room, problem.retry_after, problem.data
        return cls(problem.code, problem.message, *told)


class RoomLost(Refused):
    """A room that you were in, and are not any more: `taken_out`, `room_closed`, `forbidden`, ….

    It is yours to join again.
    """


class ClosedForGood(ClientError):
    """The client has ended, for it would be turned away again as it is.

    `code` is the close code (RFC 6455 section 7.4; 4500 to 4999 are deployd's final ones), or the
    status of HTTP (below 1000) where there was no WebSocket at all.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"The pod has closed the connection for good: {reason} ({code}).")
        self.code = code
        self.reason = reason


class NothingHeard(ClientError):
    """Nothing came in the time that was given for it; the next one may still come."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Nothing came in {seconds:g} s.")
        self.seconds = seconds


class ConnectionTrouble(ClientError):
    """What goes over by itself, or when somebody mends the network."""


class Disconnected(ConnectionTrouble):
    """There is no connection, and nothing was sent: try again after `ready()`."""


class Unconfirmed(ConnectionTrouble):
    """The connection ended before the answer came: nobody knows if it arrived."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The connection ended before the answer to this {what}: nobody knows if it arrived."
        )


class NoAnswer(ConnectionTrouble):
    """No answer came in time. What was asked may have been done."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"No answer to this {what} in {seconds:g} s.")
        self.seconds = seconds
