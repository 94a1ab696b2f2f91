"""What clients say in a room: whether they may, what it does, and what they are answered."""

from __future__ import annotations

from functools import partial
from typing import Any

import trio
from attrs import evolve

from ...transport import Problem, TokenBucket
from . import problems
from .bounds import lower_of
from .handlers.answering import EventHandler, misfit, unknown_event
from .handlers.hooks import allows
from .handlers.payloads import WrongPayload
from .handlers.refusal import Refuse
from .membership import Membership
from .presence import PRESENCE_EVENT
from .room import Room
from .room_kind import kind_of
from .roster import RoomEmit, RoomRules
from .seat import Seat
from .speech import Speech

__all__ = ["Emits"]


class Emits:
    """For one incarnation of a room; what of them is `plain` never comes here."""

    def __init__(
        self, room: Room[Any], name: str | None, rules: RoomRules, speech: Speech, among: Membership
    ) -> None:
        self._room = room
        self._kind = kind_of(type(room))
        self._name = name
        self._rules = rules
        self._speech = speech
        self._membership = among
        self._rate = 0.0
        self.plain = False
        """Whether what is said is told to everyone as it is, and nobody is asked."""
        self.review()

    def review(self) -> None:
        """Look again how fast each may speak: the rules may be others."""
        rate = self._rules.limits(self._name)[1]
        self._rate = lower_of(self._room.message_rate, rate)
        self.plain = self._kind.plain_emit and not self._rate and not self._kind.tracks

    async def consider(self, message: RoomEmit) -> None:
        """Do what was asked for, or take back what was said meanwhile and say why not."""
        speech, seat = self._speech, message.member
        problem = self._haste(seat) if self._rate and isinstance(seat, Seat) else None
        if problem is None:
            try:
                problem = await speech.hook(self._react(message))
            except WrongPayload:  # of a stranger, who has said nothing of itself
                problem = problems.may_not_say(self._name or "")
            except Refuse as refused:
                speech.discard()
                problem = evolve(refused.problem, room=self._name)
        if problem is not None:  # in its turn: what was said before is told before
            speech.then(partial(message.answer.refuse, problem))

    def _haste(self, seat: Seat) -> Problem | None:
        """Say that a member speaks faster than the room lets it, or None."""
        now, rate = trio.current_time(), self._rate
        if seat.pace is None:
            seat.pace = TokenBucket(rate, max(rate, 1.0), now)
        if seat.pace.take(now):
            return None
        return problems.too_fast(self._name or "", rate, seat.pace.retry_after(now))

    async def _react(self, message: RoomEmit) -> Problem | None:
        """Let the hooks say whether it may be said, and react to it; say why nothing was done."""
        room, kind = self._room, self._kind
        member, event, data = message.member, message.event, message.data
        if kind.tracks and event == PRESENCE_EVENT:
            return problems.said_by_the_room(event)
        may_be_in = isinstance(member, Seat) or await self._membership.may_join(member, None)
        if not may_be_in or not await allows(room, room.authorize_emit(member, event, data)):
            return problems.may_not_say(self._name or "")
        handler = kind.answers.get(event)
        if handler is not None:
            return await self._answer(handler, message)
        if kind.plain_message and kind.answers:
            return unknown_event(event, kind.answers)
        await room.on_message(member, event, data)
        return None

    async def _answer(self, handler: EventHandler, message: RoomEmit) -> Problem | None:
        try:
            encoded = await handler.run(self._room, message.member, message.data)
        except WrongPayload as error:
            return misfit(message.event, error)
        if encoded != b"null":
            self._speech.demand_room_for(message.event, encoded)
            message.answer.answer = encoded
        return None
