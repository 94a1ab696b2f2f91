"""The actor that a room lives in: one incarnation, from what the last one left to its end."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import orjson
from attrs import evolve

from ...transport import JSON, Event, Failed, Problem, encode_data
from ...transport.brokers import BETWEEN_ROOMS, PLACES
from ..cluster import Degraded, Gap, Healed, Uplink
from ..runtime import Actor, ActorDefinitionError, Draining, Exit, Handler, handler_of, handles
from . import problems
from .attendance import Attendance
from .bounds import may_exceed
from .emits import Emits
from .grace import Grace
from .handlers.refusal import Refuse
from .host import Host
from .membership import Membership
from .naming import name_of
from .presence import PRESENCE_EVENT, Presence
from .room import Room
from .room_kind import kind_of
from .roster import (
    LimitsChanged,
    PodsCounted,
    RemoteEmits,
    RoomEmit,
    RoomEnvironment,
    Roster,
    ServerEmit,
    StatePolicy,
)
from .seat import Seat
from .speech import Speech
from .standing import Departed, Identified, Knock, Vanished
from .tracking import Tracking
from .turn import Turn

__all__ = ["RoomActor"]

_OURS: Final = ("__host__", "presence")
LONGEST_WAY: Final = 3600.0
"""Seconds that an event of another pod is counted as at most: its clock may be wrong by years."""


class RoomActor(Actor):
    """Has a room's hooks called, one at a time, and does what they ask for."""

    def __init__(self, room: Room[Any], roster: Roster[Any], environment: RoomEnvironment) -> None:
        _check_new(room, roster.name)
        self._room = room
        self._kind = kind_of(type(room))
        self._roster = roster
        self._environment = environment
        self._speech = speech = Speech(roster, environment)
        self.attempts = room.attempts  # type: ignore[misc] # it is the room's class that says it
        self.stop_deadline = room.stop_deadline  # type: ignore[misc]
        room.__host__ = host = Host(self, roster, environment, speech)
        if not roster.state_built or room.state_policy is StatePolicy.REBUILD:
            roster.state = room.initial_state()
            roster.state_built = True
        roster.voice = weakref.WeakMethod(speech.say_now)
        roster.takes_batches = self._kind.plain_remote_emit
        roster.listed = room.listed
        roster.listens = self._kind.hears_the_pod
        attendance = Attendance(host, roster, environment, kept=room.keep_alive)
        roster.grace = room.grace
        self._grace = Grace(host, roster, environment, speech)
        self._tracking = None
        if self._kind.tracks:
            self._tracking = Tracking(host, roster, environment, speech)
            Presence(self._tracking).give(room)
        self._membership = Membership(
            *(room, roster, environment, speech), attendance, self._grace, self._tracking
        )
        self._emits = Emits(room, roster.name, environment.rules, speech, self._membership)

    # Life ----------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """The name of the room's class."""
        return type(self._room).__name__

    async def on_start(self) -> None:
        """Start the room."""
        await self._room.on_start()

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        """Stop the room."""
        await self._room.on_stop(exit)

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Write what `on_start` said, live, and say goodbye and write what was said at the end.

        Whatever ends it, the message that it was about is answered.
        """
        self._speech.let_out()
        self._speech.flush()
        try:
            await loop()
            await self._membership.say_goodbyes(self.stop_deadline, self.log)
        except BaseException as error:
            self._break_off(error)
            raise
        finally:
            self._speech.live = False
            self._speech.flush()

    async def on_idle(self) -> None:
        """Write what was said while messages waited, and let a lagging crowd catch up."""
        await self._speech.settle()
        if not self._kind.plain_idle:
            await self._speech.alone(self._room.on_idle())
            await self._speech.settle()

    def on_lost(self, message: object, error: Exception) -> None:
        """Count the message that crashed the room, and tell who said it, now that it is back."""
        self._roster.lost += 1
        if isinstance(message, RoomEmit):
            message.answer.refuse(problems.crashed(self._name, heard=self._roster.half_heard))
        self._room.on_lost(message, error)

    def describe(self) -> Mapping[str, JSON]:
        """Show the room's figures: members now; events, deliveries and losses since it opened."""
        roster = self._roster
        return {
            "members": roster.present,
            "events": roster.sequence,
            "deliveries": roster.deliveries,
            "lost": roster.lost,
        }

    def held(self) -> Iterable[object]:
        """Return what the room keeps: its state, and what its author has put on it; only look."""
        own = getattr(self._room, "__dict__", {})
        return [self._roster.state, *(value for key, value in own.items() if key not in _OURS)]

    def naming(self, message: object) -> Mapping[str, str]:
        """Name what crashed the room: who said which event, under which id."""
        return {
            "room": self._name or "",
            "room_class": self.kind,
            **super().naming(message),
            **name_of(message),
        }

    def handler_for(self, message_type: type) -> Handler | None:
        """Return what handles messages of this type: this actor, or the room's typed handlers."""
        found = self._kind.handlers
        try:
            return found[message_type]
        except KeyError:
            handler = handler_of(type(self), message_type)
            own = handler_of(type(self._room), message_type)
            if handler is None and own is not None:
                handler = _speaking(own)
            found[message_type] = handler
            return handler

    # Who is in -----------------------------------------------------------------------------

    @handles(Knock)
    async def _knock(self, message: Knock) -> None:
        await self._membership.knock(message)

    @handles(Identified)
    async def _identified(self, message: Identified) -> None:
        await self._membership.identified(message)

    @handles(Vanished)
    async def _vanished(self, message: Vanished) -> None:
        await self._membership.vanished(message)

    @handles(Departed)
    async def _departed(self, message: Departed) -> None:
        await self._membership.departed(message)

    # What is said --------------------------------------------------------------------------

    @handles(RoomEmit)
    async def _emit(self, message: RoomEmit) -> None:
        answer, member, speech, kind = message.answer, message.member, self._speech, self._kind
        if not answer.begin():  # it was told that the room is too busy: then it is not said
            return
        seat = member if isinstance(member, Seat) else None
        if seat is not None and not (seat.taken or seat.spoke_in):
            answer.refuse(problems.no_member(self._name))
            return
        if may_exceed(self._environment.limits.max_buffer_bytes, message.nbytes):
            problem = speech.excess(message.event, encode_data(message.data))
            if problem is not None:
                answer.refuse(evolve(problem, room=self._name))
                return
        nobody = kind.plain_emit and not self._roster.members
        # Who has asked for no receipt is told only what goes wrong, whoever settles it.
        asked = None if answer.id is None else answer
        speech.begin(Turn(message, message.event_id, asked, nobody=nobody), message.born)
        if self._emits.plain and (seat is not None or kind.plain_join):
            speech.broadcast_encoded(message.event, encode_data(message.data))
        else:
            await self._emits.consider(message)
        await self._end()

    @handles(ServerEmit)
    async def _server_emit(self, message: ServerEmit) -> None:
        event, answer, speech = message.event, message.answer, self._speech
        if answer is not None and not answer.begin():
            return
        if self._kind.tracks and event.name == PRESENCE_EVENT:
            self._refuse_own(message)
            return
        problem = speech.excess(event.name, event.encoded)
        if problem is not None:
            self._leave_out(message, problem)
            return
        plain = self._kind.plain_server_emit
        nobody = plain and not self._roster.members
        speech.begin(Turn(message, event.id, answer, nobody=nobody))
        if plain:
            speech.say(event)
        else:
            try:
                await speech.hook(
                    self._room.on_server_emit(event.name, orjson.loads(event.encoded))
                )
            except Refuse as refused:
                if answer is None:  # nobody waits who could be told
                    raise
                speech.discard()
                problem = evolve(refused.problem, room=self._name)
                speech.then(partial(answer.refuse, problem))
        await self._end()

    def _refuse_own(self, message: ServerEmit) -> None:
        """Refuse what members believe of the room alone, whoever may say all else here."""
        problem = problems.said_by_the_room(message.event.name)
        if message.answer is not None:
            message.answer.refuse(evolve(problem, room=self._roster.name))
        else:
            self.log.warning("not said", reason=problem.message)

    def _leave_out(self, message: ServerEmit, problem: Problem) -> None:
        """Refuse what nobody could be told; where nobody waits, it has happened: it is missed.

        The other pods learn by its number that it was.
        """
        if message.answer is not None:
            message.answer.refuse(evolve(problem, room=self._roster.name))
            return
        self._roster.undelivered += 1
        self._speech.publish(message.event)
        self._own_up()

    @handles(RemoteEmits)
    async def _remote_emits(self, message: RemoteEmits) -> None:
        speech = self._speech
        if not message.events:
            self._roster.owns_up = False
        if self._roster.undelivered or self._roster.gaps:
            await self._tell_what_is_missing()
        if not message.events:
            return
        for event in message.events:
            if event.name in BETWEEN_ROOMS:
                await self._between_rooms(event)
            elif self._kind.plain_remote_emit:
                speech.repeat(event)
            else:
                data = orjson.loads(event.encoded)
                speech.begin(Turn(event_id=event.id, origin=event))
                await self._speech.hook(self._room.on_remote_emit(event.name, data))
                speech.end()
            if speech.full:
                await self._speech.settle()
        uplink = self._environment.uplink
        if self._roster.counted and uplink is not None:
            speech.then(partial(_tell, uplink, message.events, self._roster))
        # One look at the clock for all that came together: the oldest of them took longest.
        taken = min(max(0.0, self._environment.wall() - message.events[0].time), LONGEST_WAY)
        self._environment.meters.cross_pod_latency.observe(taken, len(message.events))

    @handles(LimitsChanged)
    async def _limits_changed(self, message: LimitsChanged) -> None:
        self._emits.review()
        for seat in self._roster.seats():
            seat.pace = None

    @handles(PodsCounted)
    async def _pods_counted(self, message: PodsCounted) -> None:
        if self._tracking is not None:
            self._tracking.counts(message.pods)

    @handles(Degraded)
    async def _degraded(self, message: Degraded) -> None:
        if self._tracking is not None:
            self._tracking.degraded(message)
        await self._speech.alone(self._room.on_degraded(message))

    @handles(Healed)
    async def _healed(self, message: Healed) -> None:
        if self._tracking is not None:
            self._tracking.healed()
        await self._speech.alone(self._room.on_healed(message))

    @handles(Draining)
    async def _drain(self, message: Draining) -> None:
        try:
            await self._speech.alone(self._room.on_drain())
            self._speech.flush()
        finally:
            message.done()

    # How a turn goes -----------------------------------------------------------------------

    async def _end(self) -> None:
        self._speech.end()
        if self._speech.full:
            await self._speech.settle()

    def _break_off(self, error: BaseException) -> None:
        """Answer for the message that ended the room, and for what of it is out already."""
        speech, turn = self._speech, self._speech.turn
        message = turn.message
        if message is not None:
            error.add_note(f"The room '{self._name}' was handling {_told(message)}.")
        if isinstance(message, ServerEmit) and turn.waited:
            speech.end()  # its hook has taken it, and perhaps told others
        elif isinstance(message, ServerEmit) and message.answer is not None:
            message.answer.refuse(problems.failed_on(self._name))
        speech.discard()
        if isinstance(message, RoomEmit):
            self._roster.half_heard = turn.waited  # told when the room is back
        else:
            self._membership.broken_off(turn)

    async def typed(self, handler: Handler, message: object) -> object:
        """Run a typed handler of the room, which speaks as hooks do."""
        speaking = cast("Coroutine[object, object, object]", handler(self._room, message))
        return await self._speech.alone(speaking)

    # Inside --------------------------------------------------------------------------------

    async def _between_rooms(self, event: Event) -> None:
        """Take what the room of this name on another pod tells the room itself."""
        if event.name == PLACES:
            fetched = await self._grace.heard(event)
            if fetched is not None:
                await self._membership.bring(*fetched)
        elif self._tracking is not None:
            self._tracking.heard(event)

    def _own_up(self) -> None:
        """Tell the members how much was said that they will not hear: the room hears all else."""
        roster, now = self._roster, self._environment.wall()
        missed, roster.undelivered = roster.undelivered, 0
        since, roster.undelivered_since = roster.undelivered_since, math.inf
        roster.lost += missed
        roster.gaps.extend(problems.closed_gap(roster.name, missed, since, now))
        roster.call_to_own_up(roster.ref)
        if self._tracking is not None:
            self._tracking.missed()

    async def _tell_what_is_missing(self) -> None:
        if self._roster.undelivered:
            self._own_up()
        while self._roster.gaps:
            await self._tell_gap(self._roster.gaps.popleft())

    async def _tell_gap(self, gap: Gap) -> None:
        """Tell the members of what has not come, and then the room itself."""
        env = self._environment
        if self._tracking is not None:
            self._tracking.missed()
        self._speech.announce(problems.told_of_gap(gap, env.event_ids(), env.wall()))
        await self._speech.alone(self._room.on_gap(gap))

    @property
    def _name(self) -> str:
        return self._roster.name or ""

    def _failed(self, problem: Problem) -> Failed:
        return Failed(problem, self._environment.wall())


def _check_new(room: object, name: str | None) -> None:
    """Hold that somebody's factory has made a room, and a new one."""
    if not isinstance(room, Room) or room.__host__ is not None:
        raise ActorDefinitionError(
            f"What is bound to the room '{name}' gave {room!a}; a factory makes a new object of a "
            "class of rooms each time it is called."
        )


def _speaking(own: Handler) -> Handler:
    """Let a typed handler of a room speak as hooks do."""

    @functools.wraps(own)
    async def speaking(actor: RoomActor, message: object) -> object:
        return await actor.typed(own, message)

    return speaking


def _tell(uplink: Uplink, events: Sequence[Event], roster: Roster[Any]) -> None:
    """Tell other pods, now that it is written, how many their events were told to."""
    if roster.name is not None:
        uplink.told(roster.name, events, roster.present)


def _told(message: object) -> str:
    """Say for the log what a room was about: who, and which event, but never what was said."""
    if isinstance(message, RoomEmit):
        client_id, answer = message.member.client_id, message.answer
        return f"the event {message.event!r} of the client {client_id} (id {answer.id!r})"
    if isinstance(message, ServerEmit):
        return f"the event {message.event.name!r} of the pod itself"
    about_seats = Knock | Identified | Departed | Vanished
    seat = message.seat if isinstance(message, about_seats) else None
    return f"{type(message).__name__} of the client {seat.client_id if seat else ''}"
