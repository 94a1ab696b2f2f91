"""The answers that a client waits for: each is given once, and in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from attrs import evolve

from ...transport import (
    Failed,
    InDoubt,
    Outcome,
    PodMessage,
    Problem,
    Reach,
    Receipted,
    RequestId,
    Scope,
)
from .member import Member
from .problems import room_closed

__all__ = ["Answer", "MissedAnswers", "Replies", "Reply", "scope_of", "settle_unheard"]

_NOTHING_MISSED: Final[Mapping[str, MissedAnswers]] = MappingProxyType({})
"""Of nearly every client, so there is one."""
MOST_MISSED: Final = 64
"""Answers that are kept for a client that may come back; of more the first."""


class Answer(Protocol):
    """What whoever says something in a room is told of it, once: how far it got, or why not."""

    def begin(self) -> bool:
        """Note that the room has come to it; False when nobody waits for it any more."""

    def settle(self, outcome: Outcome) -> None:
        """Tell how far it has got, unless something was told before."""

    def refuse(self, problem: Problem) -> None:
        """Tell why it was not done, unless something was told before."""

    def returned(self) -> None:
        """Tell that the room has ended and had not come to it."""


class Reply:
    """The one answer to one request of a client, whoever comes first with it."""

    __slots__ = ("_event_id", "_overdue", "_replies", "answer", "begun", "id", "open", "room")

    def __init__(
        self,
        replies: Replies,
        request_id: RequestId,
        room: str,
        overdue: Callable[[Reply], Problem],
        event_id: str,
    ) -> None:
        self.id = request_id
        self.room = room
        self.open = True
        self.begun = False
        self.answer: bytes | None = None
        """What the room's handler has answered, as JSON: it goes with the receipt."""
        self._replies = replies
        self._overdue = overdue
        self._event_id = event_id

    def begin(self) -> bool:
        """Note that the room has come to it; False when it has been answered."""
        self.begun = True
        return self.open

    def take(self) -> bool:
        """Say whether the answer is still owed; who is told so must give it."""
        taken, self.open = self.open, False
        self._replies.forget(self)
        return taken

    def give(self, problem: Problem) -> None:
        """Give what was taken: why it was not done."""
        self._replies.refuse(evolve(problem, room=self.room or None), self.id)

    def settle(self, outcome: Outcome) -> None:
        """Give a receipt, where one was asked for."""
        if self.take() and self.id is not None:
            self._replies.receipt(self, outcome, self._event_id)

    def refuse(self, problem: Problem) -> None:
        """Say why it was not done."""
        if self.take():
            self.give(problem)

    def returned(self) -> None:
        """Say that the room has ended."""
        self.refuse(room_closed(self.room))

    def fall_due(self) -> None:
        """Answer now: the time for doing it is over."""
        if self.open:
            self.refuse(self._overdue(self))


class MissedAnswers:
    """What is answered to a client while its connection is lost, for when it is back in a room."""

    def __init__(self) -> None:
        self._kept: list[PodMessage] = []
        self._say: Callable[[PodMessage], None] | None = None

    def add(self, message: PodMessage) -> None:
        """Keep an answer, or give it to the client that is back."""
        if self._say is not None:
            self._say(message)
        elif len(self._kept) < MOST_MISSED:
            self._kept.append(message)

    def take(self, say: Callable[[PodMessage], None]) -> list[PodMessage]:
        """Return what was kept; what comes from now on is said at once."""
        kept, self._kept, self._say = self._kept, [], say
        return kept


class Replies:
    """What one client is still owed, oldest first. `timeout` is in seconds, `wall` unix seconds.

    The clock is passed in. What a request asks for is bounded elsewhere: by the mailboxes of
    rooms, by the rooms that one client may be in.
    """

    __slots__ = ("_client", "_due", "_missed", "_timeout", "_wall")

    def __init__(self, client: Member, timeout: float, wall: Callable[[], float]) -> None:
        self._client: Member | None = client
        self._timeout = timeout
        self._wall = wall
        self._due: dict[Reply, float] = {}
        self._missed = _NOTHING_MISSED

    def __len__(self) -> int:
        return len(self._due)

    def owe(
        self,
        request_id: RequestId,
        room: str,
        overdue: Callable[[Reply], Problem],
        now: float,
        event_id: str = "",
    ) -> Reply:
        """Return a new reply; `overdue` says what to answer when nobody has in time."""
        reply = Reply(self, request_id, room, overdue, event_id)
        self._due[reply] = now + self._timeout
        return reply

    def unasked(self, room: str, overdue: Callable[[Reply], Problem], event_id: str) -> Reply:
        """Return the reply to an emit without an id: only what goes wrong is told, at any time."""
        return Reply(self, None, room, overdue, event_id)

    def due(self) -> float | None:
        """Return when the oldest must be answered; None when nothing is owed."""
        return next(iter(self._due.values()), None)

    def expire(self, now: float) -> None:
        """Answer what is overdue."""
        while (due := self.due()) is not None and due <= now:
            next(iter(self._due)).fall_due()

    def forget(self, reply: Reply) -> None:
        """Note that a reply has been given."""
        self._due.pop(reply, None)

    def end(self, missed: Mapping[str, MissedAnswers]) -> None:
        """Answer nothing any more: the client is gone. What it said before is still done.

        What is answered in rooms that keep its place goes to who waits for it there.
        """
        self._due.clear()
        self._client, self._missed = None, missed

    def refuse(self, problem: Problem, request_id: RequestId = None) -> None:
        """Tell the client of a problem."""
        self.say(Failed(problem, self._wall(), request_id))

    def receipt(self, reply: Reply, outcome: Outcome, event_id: str) -> None:
        """Tell the client how far an emit has got."""
        reach = outcome if isinstance(outcome, Reach) else None
        room = reply.room or None
        scope, now = scope_of(outcome), self._wall()
        self.say(Receipted(scope, event_id, now, reply.id, room, reach, reply.answer))

    def say(self, message: PodMessage) -> None:
        """Tell the client something."""
        if self._client is not None:
            self._client.say(message)
        elif self._missed:
            self._keep(message)

    def _keep(self, message: PodMessage) -> None:
        room: str | None = None
        if isinstance(message, Receipted):
            room = message.room
        elif isinstance(message, Failed) and message.id is not None:
            room = message.problem.room
        missed = None if room is None else self._missed.get(room)
        if missed is not None:
            missed.add(message)


def scope_of(outcome: Outcome) -> Scope:
    """Return how far an emit got, whatever else is known of it."""
    return outcome if isinstance(outcome, Scope) else outcome.scope


def settle_unheard(answer: Answer, outcome: Outcome) -> None:
    """Answer for what nobody could hear on this pod: `local` would be nobody, but for a doubt."""
    nobody = scope_of(outcome) is Scope.LOCAL and not isinstance(outcome, InDoubt)
    answer.settle(Scope.REJECTED if nobody else outcome)
