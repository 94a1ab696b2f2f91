"""Who comes in, who stays and who goes: what a room decides of its members, in its own turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import trio
from attrs import evolve
from structlog.typing import FilteringBoundLogger

from ...config import get_logger
from ...transport import JSON, PodMessage, Problem
from ..runtime import failure_of
from . import problems
from .attendance import Attendance
from .bounds import lower_of
from .grace import Grace
from .handlers.answering import misfit
from .handlers.hooks import allows
from .handlers.payloads import WrongPayload
from .handlers.refusal import Refuse
from .member import Member
from .place_words import PlaceGiven
from .replies import Reply
from .room import Room
from .roster import RoomEnvironment, Roster
from .seat import Seat
from .speech import Speech
from .standing import Departed, Identified, Knock, Vanished
from .tracking import Tracking
from .turn import Turn

__all__ = ["Membership"]

_log = get_logger("realtime")


class Membership:
    """For one incarnation of a room."""

    def __init__(
        self,
        room: Room[Any],
        roster: Roster[Any],
        environment: RoomEnvironment,
        speech: Speech,
        attendance: Attendance,
        grace: Grace,
        tracking: Tracking | None,
    ) -> None:
        self._room = room
        self._roster = roster
        self._wall = environment.wall
        self._event_ids = environment.event_ids
        self._speech = speech
        self._attendance = attendance
        self._grace = grace
        self._tracking = tracking
        self._rules = environment.rules

    async def knock(self, message: Knock) -> None:
        """Let somebody in, or say why not."""
        seat = message.seat
        if not seat.heard():
            return
        self._speech.begin(Turn(message))
        place = self._grace.place_of(seat)
        if place is not None:
            await self._take_back(place, seat)
            self._speech.end()
            return
        if self._grace.elsewhere(seat) and await self._attendance.listen():
            self._grace.fetch(seat)  # it is let in, or knocks again, when that pod has answered
            self._speech.end()
            return
        problem = await self._refusal(seat)
        if type(self._room).__params__ is None:
            seat.params = None  # nobody will ask for it again
        if not seat.heard():  # it did not wait for us
            self._attendance.stop_listening()
        elif problem is not None:
            seat.turn_away(problem)
        else:
            await self._let_in(seat)
        self._speech.end()

    async def bring(self, seat: Seat, given: PlaceGiven) -> None:
        """Let somebody in to the place that it had on another pod."""
        self._speech.begin(Turn(Knock(seat)))
        if not seat.heard():  # it did not wait, and the place is gone
            self._attendance.stop_listening()
        elif (full := self._no_place()) is not None:
            seat.turn_away(full)
        else:
            seat.be_called(given.member)
            seat.data = self._data_of(given)
            await self._let_in(seat, given)
        self._speech.end()

    def _data_of(self, given: PlaceGiven) -> object:
        build = type(self._room).__data__
        if build is None or given.data is None:
            return given.data
        try:
            return build(given.data)
        except WrongPayload as error:
            _log.warning(
                "a member comes back from another pod without its data, which does not fit",
                room=self._roster.name,
                reason=str(error),
            )
            return None

    async def may_join(self, member: Member, params: JSON) -> bool:
        """Ask the room, telling it what the client has said of its wish.

        Raises `WrongPayload` for what the room does not take, and `Refuse`.
        """
        build = type(self._room).__params__
        given = () if build is None else (build(params),)
        return await allows(self._room, self._room.authorize_join(member, *given))

    async def identified(self, message: Identified) -> None:
        """Say whether somebody stays as whom it is now."""
        seat = message.seat
        if not seat.reconsidered():
            return
        self._speech.begin(Turn(message))
        problem = await self._verdict(seat, problems.may_not_stay(self._name))
        self._speech.end()
        if problem is not None and seat.taken:
            seat.expel(problem, "may not stay")
        elif seat.taken:
            self._speech.flush()  # what was said before is not for the one who stays
            self._tell_missed(seat, seat.stay())
            if self._tracking is not None:
                self._tracking.is_somebody(seat)
            await self._speech.alone(self._room.on_identity(seat))

    async def vanished(self, message: Vanished) -> None:
        """Keep the place of somebody whose connection is lost."""
        seat = message.seat
        self._grace.watch()
        if not seat.away:  # it is back already, or was put out
            return
        if self._tracking is not None:
            self._tracking.is_away(seat, away=True)
        await self._speech.alone(self._room.on_drop(seat))

    async def departed(self, message: Departed) -> None:
        """Say goodbye to somebody who is out already."""
        self._speech.begin(Turn(message))
        await self._say_goodbye(message.seat, message.reason)
        self._speech.end()

    async def say_goodbyes(self, seconds: float, log: FilteringBoundLogger) -> None:
        """Run `on_leave` for those who left before the room has ended of its own will.

        And for those who are away: they have no room to come back to.
        """
        for away in list(self._roster.away.values()):
            away.leave("the room has ended")
        with trio.move_on_after(seconds):
            for seat, reason in list(self._roster.leaving.items()):
                self._speech.begin(Turn())
                try:
                    await self._say_goodbye(seat, reason)
                except BaseException as error:  # the others' are not lost with it
                    self._speech.discard()
                    log.error("on_leave failed", exc_info=failure_of(error))  # noqa: TRY400

    def broken_off(self, turn: Turn) -> None:
        """Leave nobody half in: the room has crashed in this turn."""
        message = turn.message
        if isinstance(message, Knock):
            problem = problems.failed_to(self._name, "was to let you in")
            self._fail_to_let_in(message.seat, turn, problem, "room crashed")
        elif isinstance(message, Identified) and message.seat.taken:
            problem = problems.failed_to(self._name, "was to say whether you may stay")
            message.seat.expel(problem, "room crashed")

    # Inside ---------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self._roster.name or ""

    async def _refusal(self, seat: Seat) -> Problem | None:
        """Say why somebody may not come in, or None."""
        problem = self._no_place()
        if problem is None:
            problem = await self._verdict(seat, problems.may_not_enter(self._name))
        if problem is not None:
            return problem
        if not await self._attendance.listen():
            return problems.cannot_hear(self._name)
        return None

    def _no_place(self) -> Problem | None:
        """Say that as many are in as may be, those included whose place is kept; or None."""
        most = lower_of(self._room.max_members, self._rules.limits(self._roster.name)[0])
        if most and self._roster.present + len(self._roster.away) >= most:
            return problems.full(self._name, most)
        return None

    async def _verdict(self, seat: Seat, otherwise: Problem) -> Problem | None:
        """Say why the room does not have somebody in it, or None."""
        try:
            allowed = await self._speech.hook(self.may_join(seat, seat.params))
        except WrongPayload as error:
            return misfit("join", error)
        except Refuse as refused:
            self._speech.discard()
            return evolve(refused.problem, room=self._name)
        return None if allowed else otherwise

    async def _let_in(self, seat: Seat, given: PlaceGiven | None = None) -> None:
        self._speech.flush()  # what was said before is not for the one who joins now
        acknowledged = self._speech.turn.acknowledged = seat.admit()
        if self._tracking is not None:
            self._tracking.came(seat)
        self._attendance.changed()
        try:
            if given is None:
                await self._speech.hook(self._welcome(seat, acknowledged))
            else:
                await self._speech.hook(
                    self._welcome_back(seat, acknowledged, given.answers, given.missed, given.away)
                )
        except Refuse as refused:
            self._speech.discard()
            problem = evolve(refused.problem, room=self._name)
            self._fail_to_let_in(seat, self._speech.turn, problem, "not let in")
            self._attendance.stop_listening()
            self._attendance.changed()

    async def _take_back(self, seat: Seat, knocking: Seat) -> None:
        """Give somebody its place again: it was let in before."""
        self._speech.flush()  # what was said before is not for the one who comes back
        asked, missed, away = seat.come_back(knocking, trio.current_time())
        self._speech.turn.acknowledged = asked
        if self._tracking is not None:
            self._tracking.is_away(seat, away=False)
        answers = [] if seat.missed is None else seat.missed.take(seat.client.say)
        await self._speech.hook(self._welcome_back(seat, asked, answers, missed, away))

    async def _welcome_back(
        self,
        seat: Seat,
        asked: Iterable[Reply],
        answers: Iterable[PodMessage],
        missed: int,
        away: float,
    ) -> None:
        for reply in asked:
            told = seat.acknowledgement(self._wall(), reply.id, returned=True)
            self._speech.answer(seat.client, told)
        for answer in answers:
            self._speech.answer(seat.client, answer)
        self._tell_missed(seat, missed, away)
        if self._tracking is not None:
            self._tracking.tell_who_is_there(seat)
        await self._room.on_return(seat)

    def _tell_missed(self, seat: Seat, missed: int, seconds: float = 0.0) -> None:
        """Tell a member how many of the room's events it has not heard, since so long ago."""
        if missed:
            now = self._wall()
            for gap in problems.closed_gap(self._roster.name, missed, now - seconds, now):
                told = problems.told_of_gap(gap, self._event_ids(), now)
                self._speech.answer(seat.client, told)

    async def _welcome(self, seat: Seat, acknowledged: Iterable[Reply]) -> None:
        # Said within the hook: when that raises without having waited, nobody was told anything.
        for reply in acknowledged:
            self._speech.answer(seat.client, seat.acknowledgement(self._wall(), reply.id))
        if self._tracking is not None:
            self._tracking.tell_who_is_there(seat)
        await self._room.on_join(seat)

    async def _say_goodbye(self, seat: Seat, reason: str) -> None:
        due = seat.depart()
        self._note_gone(seat)
        self._attendance.stop_listening()
        self._attendance.changed()
        if due:
            await self._speech.hook(self._room.on_leave(seat, reason))

    def _fail_to_let_in(self, seat: Seat, turn: Turn, problem: Problem, reason: str) -> None:
        """Answer the joins, or tell who was told that it is in."""
        was_in = seat.taken
        seat.fail(problem)
        self._note_gone(seat)
        if not turn.waited:
            for reply in turn.acknowledged:
                reply.give(problem)
        elif was_in and turn.acknowledged:
            seat.put_out(problem, reason)

    def _note_gone(self, seat: Seat) -> None:
        if self._tracking is not None:
            self._tracking.went(seat)
