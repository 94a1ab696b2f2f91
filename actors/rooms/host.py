"""What a room asks of the actor that it lives in: all that `Room` offers is done here."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

import orjson
from attrs import evolve
from structlog.typing import FilteringBoundLogger

from ...transport import JSON, Failed, Problem
from ...transport.brokers import brief
from ..runtime import Actor, ActorDefinitionError, ActorRef, NotAMember, Timer, awaitable
from .member import EVERYONE, Member, Whom
from .roster import RoomEmit, RoomEnvironment, Roster, ServerEmit
from .seat import Seat
from .speech import Speech
from .standing import Identified, Knock
from .turn import Occasion

__all__ = ["Host"]


class Host:
    """One incarnation's. It does not hold the actor, which holds the room, which holds this."""

    __slots__ = ("_actor", "_environment", "_roster", "_speech")

    def __init__(
        self, actor: Actor, roster: Roster[Any], environment: RoomEnvironment, speech: Speech
    ) -> None:
        self._actor = weakref.ref(actor)
        self._roster = roster
        self._environment = environment
        self._speech = speech

    @property
    def name(self) -> str:
        """The room's name."""
        return self._roster.name or ""

    @property
    def members(self) -> Mapping[str, Member]:
        """Who is in, by client id."""
        return self._roster.members

    @property
    def state(self) -> Any:
        """The room's state."""
        return self._roster.state

    @state.setter
    def state(self, value: Any) -> None:
        self._roster.state = value

    @property
    def ref(self) -> ActorRef[Any]:
        """The room's address."""
        return self._there().ref

    @property
    def log(self) -> FilteringBoundLogger:
        """A logger that names the room."""
        return self._there().log

    @property
    def waiting(self) -> int:
        """How many messages wait for the room."""
        return self._there().waiting

    @property
    def asked(self) -> Occasion:
        """What the hook that runs is about."""
        turn = self._speech.turn
        message = turn.message
        if isinstance(message, RoomEmit):
            return Occasion(message.answer.id, message.event_id)
        if isinstance(message, ServerEmit):
            return Occasion(None, message.event.id)
        if turn.origin is not None:
            return Occasion(None, turn.origin.id, turn.origin.origin)
        return Occasion()

    @property
    def promised(self) -> bool:
        """Whether the room is to be called back once, at a time that has not come yet."""
        timers = self._there().timers
        return timers is not None and timers.promised

    def stop(self, reason: str = "") -> None:
        """End the room after the current message."""
        self._there().stop(reason)

    def after(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back once, in a turn of its own."""
        return self._there().after(seconds, partial(self._speech.timed, awaitable(callback)))

    def every(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back again and again."""
        return self._there().every(seconds, partial(self._speech.timed, awaitable(callback)))

    def broadcast(
        self,
        event: str,
        data: JSON,
        to: Member | Iterable[Member] | Whom,
        exclude: Member | Iterable[Member] | None,
        *,
        local: bool,
    ) -> str:
        """Tell every member, or some, but perhaps not all of them."""
        speech = self._speech
        if exclude is None or isinstance(exclude, Member):
            if to is EVERYONE:
                return speech.broadcast(event, data, exclude, local=local)
            exclude = (exclude,) if exclude is not None else ()
        left_out = set(map(id, exclude))
        if isinstance(to, Whom):
            told = [one for one in self.members.values() if id(one) not in left_out]
            return speech.broadcast(event, data, None, to=told, local=local)
        several = [to] if isinstance(to, Member) or to is None else to
        told = [self._recipient(one) for one in several]
        return speech.send([one for one in told if id(one) not in left_out], event, data)

    def relay(self, event: str, data: JSON) -> str:
        """Tell the rooms of this name on other pods."""
        return self._speech.relay(event, data)

    def send(self, member: Member, event: str, data: JSON) -> str:
        """Tell one member."""
        return self._speech.send([self._recipient(member)], event, data)

    def tell_problem(self, member: Member, problem: Problem) -> None:
        """Tell a member, or whom the hook is about, of a problem."""
        asker = self._asker
        if asker is None or member is not asker:
            to = self._recipient(member)
        else:  # answers go to the connection in any case
            to = member.client if isinstance(member, Seat) else member
        failed = Failed(evolve(problem, room=self.name), self._environment.wall())
        self._speech.answer(to, failed)

    def describe(self, meta: Mapping[str, JSON]) -> None:
        """Say what the directory shows of the room."""
        self._roster.meta = orjson.loads(brief(meta))
        self._roster.described_at = self._environment.wall()

    def lose(self, events: int) -> None:
        """Count events that members will not hear."""
        self._roster.lost += events

    @property
    def _asker(self) -> Member | None:
        """Whom the hook that runs is about."""
        message = self._speech.turn.message
        if isinstance(message, RoomEmit):
            return message.member
        return message.seat if isinstance(message, Knock | Identified) else None

    def _recipient(self, member: Member) -> Member:
        client_id = getattr(member, "client_id", None)  # where types are not checked, it is None
        if client_id is None or self.members.get(client_id) is not member:
            raise NotAMember(self.name, member)
        return member

    def _there(self) -> Actor:
        actor = self._actor()
        if actor is None:
            raise ActorDefinitionError(f"This object of the room '{self.name}' has ended.")
        return actor
