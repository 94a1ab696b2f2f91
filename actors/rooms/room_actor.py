"""The actor that a room lives in: one incarnation, from what the last one left to its end."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import orjson
import trio
from attrs import evolve, field, frozen

from ...transport import JSON, Failed, Joined, Problem, encode_data
from ..cluster import Degraded, Healed
from ..runtime import (
    Actor,
    ActorDefinitionError,
    Draining,
    Exit,
    Handler,
    NotAMember,
    Timer,
    awaitable,
    failure_of,
    handler_of,
    handles,
    on_suspend,
)
from . import problems
from .attendance import Attendance
from .bounds import may_exceed
from .member import Member
from .replies import Reply
from .room import Room
from .roster import RemoteEmits, RoomEmit, RoomEnvironment, Roster, ServerEmit, StatePolicy
from .seat import Departed, Identified, Knock, Seat
from .speech import Speech
from .turn import Turn

__all__ = ["CONGESTION_GRACE", "RoomActor", "hears_the_pod"]

CONGESTION_GRACE: Final = 0.25
"""Seconds a room gives its members to catch up when more than half of them lag."""

LONGEST_WAY: Final = 3600.0
"""Seconds that an event of another pod is counted as at most: its clock may be wrong by years."""

R = TypeVar("R")


@frozen
class _Kind:
    """A class of rooms: which hooks it has left as they are, so that they cost nothing."""

    plain_join: bool
    plain_emit: bool
    plain_server_emit: bool
    plain_remote_emit: bool
    handlers: dict[type, Handler | None] = field(factory=dict)
    """What handles each type of message, as far as it was looked for."""


_kinds: WeakKeyDictionary[type[Room[Any]], _Kind] = WeakKeyDictionary()


def _kind_of(cls: type[Room[Any]]) -> _Kind:
    kind = _kinds.get(cls)
    if kind is None:
        kind = _kinds[cls] = _Kind(
            plain_join=cls.authorize_join is Room.authorize_join,
            plain_emit=cls.on_message is Room.on_message
            and cls.authorize_emit is Room.authorize_emit,
            plain_server_emit=cls.on_server_emit is Room.on_server_emit,
            plain_remote_emit=cls.on_remote_emit is Room.on_remote_emit,
        )
    return kind


def hears_the_pod(cls: type[Room[Any]]) -> bool:
    """Say whether a hook hears what the pod says, though nobody is in the room."""
    return not _kind_of(cls).plain_server_emit


class RoomActor(Actor):
    """Has a room's hooks called, one at a time, and does what they ask for."""

    def __init__(self, room: Room[Any], roster: Roster[Any], environment: RoomEnvironment) -> None:
        self._room = room
        self._kind = _kind_of(type(room))
        self._roster = roster
        self._environment = environment
        self._speech = Speech(roster, environment)
        self.attempts = room.attempts  # type: ignore[misc] # it is the room's class that says it
        self.stop_deadline = room.stop_deadline  # type: ignore[misc]
        room.__host__ = weakref.ref(self)
        if not roster.state_built or room.state_policy is StatePolicy.REBUILD:
            roster.state = room.initial_state()
            roster.state_built = True
        roster.takes_batches = self._kind.plain_remote_emit
        roster.listens = not self._kind.plain_server_emit
        self._attendance = Attendance(roster, environment, kept=room.keep_alive)
        self._attendance.begin(self)

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
            await self._say_goodbyes()
        except BaseException as error:
            self._break_off(error)
            raise
        finally:
            self._speech.live = False
            self._speech.flush()

    async def on_idle(self) -> None:
        """Write what was said while messages waited, and let a lagging crowd catch up."""
        await self._settle()
        if type(self._room).on_idle is not Room.on_idle:
            await self._alone(self._room.on_idle())
            await self._settle()

    def on_lost(self, message: object, error: Exception) -> None:
        """Count the message that crashed the room, and tell who said it, now that it is back."""
        self._roster.lost += 1
        if isinstance(message, RoomEmit):
            message.answer.refuse(problems.crashed(self.name, heard=self._roster.half_heard))
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

    # What the room asks for ----------------------------------------------------------------

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

    def broadcast(self, event: str, data: JSON, exclude: Member | None, *, local: bool) -> str:
        """Tell every member but perhaps one."""
        return self._speech.broadcast(event, data, exclude, local=local)

    def relay(self, event: str, data: JSON) -> str:
        """Tell the rooms of this name on other pods."""
        return self._speech.relay(event, data)

    def send(self, members: Iterable[Member], event: str, data: JSON) -> str:
        """Tell some members, or nobody when one of them is none."""
        return self._speech.send([self._recipient(one) for one in members], event, data)

    def tell_problem(self, member: Member, problem: Problem) -> None:
        """Tell a member, or whom the hook is about, of a problem."""
        asker = self._asker
        if asker is None or member is not asker:
            self._recipient(member)
            to = member
        else:  # answers go to the connection in any case
            to = member.client if isinstance(member, Seat) else member
        self._speech.answer(to, self._failed(evolve(problem, room=self.name)))

    def lose(self, events: int) -> None:
        """Count events that members will not hear."""
        self._roster.lost += events

    def call_after(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back once."""
        return self.after(seconds, functools.partial(self._timed, awaitable(callback)))

    def call_every(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back again and again."""
        return self.every(seconds, functools.partial(self._timed, awaitable(callback)))

    # Who is in -----------------------------------------------------------------------------

    @handles(Knock)
    async def _knock(self, message: Knock) -> None:
        seat = message.seat
        if not seat.heard():
            return
        self._speech.begin(Turn(message))
        problem = await self._refusal(seat)
        if not seat.heard():  # it did not wait for us
            self._attendance.stop_listening()
        elif problem is not None:
            seat.turn_away(problem)
        else:
            await self._let_in(seat)
        self._speech.end()

    async def _refusal(self, seat: Seat) -> Problem | None:
        """Say why somebody may not come in, or None."""
        if not await self._hook(self._allowed(self._room.authorize_join(seat))):
            return problems.may_not_enter(self.name)
        if not await self._attendance.listen():
            return problems.cannot_hear(self.name)
        return None

    async def _let_in(self, seat: Seat) -> None:
        self._speech.flush()  # what was said before is not for the one who joins now
        acknowledged = self._speech.turn.acknowledged = seat.admit()
        self._attendance.changed(self)
        await self._hook(self._welcome(seat, acknowledged))

    async def _welcome(self, seat: Seat, acknowledged: Iterable[Reply]) -> None:
        # Said within the hook: when that raises without having waited, nobody was told anything.
        for reply in acknowledged:
            self._speech.answer(seat.client, Joined(self.name, self._now(), reply.id))
        await self._room.on_join(seat)

    @handles(Departed)
    async def _departed(self, message: Departed) -> None:
        self._speech.begin(Turn(message))
        await self._say_goodbye(message.seat, message.reason)
        self._speech.end()

    @handles(Identified)
    async def _identified(self, message: Identified) -> None:
        seat = message.seat
        if not seat.reconsidered():
            return
        self._speech.begin(Turn(message))
        stays = await self._hook(self._allowed(self._room.authorize_join(seat)))
        self._speech.end()
        if not stays and seat.taken:
            seat.expel(problems.may_not_stay(self.name), "may not stay")
        elif seat.taken:
            self._speech.flush()  # what was said before is not for the one who stays
            missed = seat.stay()
            if missed:
                told = problems.missed_meanwhile(self.name, missed)
                self._speech.answer(seat.client, self._failed(told))
            await self._alone(self._room.on_identity(seat))

    async def _say_goodbye(self, seat: Seat, reason: str) -> None:
        due = seat.depart()
        self._attendance.stop_listening()
        self._attendance.changed(self)
        if due:
            await self._hook(self._room.on_leave(seat, reason))

    async def _say_goodbyes(self) -> None:
        """Run `on_leave` for those who left before the room has ended of its own will."""
        with trio.move_on_after(self.stop_deadline):
            for seat, reason in list(self._roster.leaving.items()):
                self._speech.begin(Turn())
                try:
                    await self._say_goodbye(seat, reason)
                except BaseException as error:  # the others' are not lost with it
                    self._speech.discard()
                    self.log.error("on_leave failed", exc_info=failure_of(error))  # noqa: TRY400

    # What is said --------------------------------------------------------------------------

    @handles(RoomEmit)
    async def _emit(self, message: RoomEmit) -> None:
        answer, member, speech, kind = message.answer, message.member, self._speech, self._kind
        if not answer.begin():  # it was told that the room is too busy: then it is not said
            return
        seat = member if isinstance(member, Seat) else None
        if seat is not None and not (seat.taken or seat.spoke_in):
            answer.refuse(problems.no_member(self.name))
            return
        if may_exceed(self._environment.limits.max_buffer_bytes, message.nbytes):
            problem = speech.excess(message.event, encode_data(message.data))
            if problem is not None:
                answer.refuse(evolve(problem, room=self.name))
                return
        nobody = kind.plain_emit and not self._roster.members
        # Who has asked for no receipt is told only what goes wrong, whoever settles it.
        asked = None if answer.id is None else answer
        speech.begin(Turn(message, message.event_id, asked, nobody=nobody), message.born)
        if kind.plain_emit and (seat is not None or kind.plain_join):
            speech.broadcast(message.event, message.data, None, local=False)
        else:
            await self._hook(self._consider(message, stranger=seat is None))
        await self._end()

    async def _consider(self, message: RoomEmit, *, stranger: bool) -> None:
        """Let the hooks say whether it may be said, and react to it."""
        room, member, event, data = self._room, message.member, message.event, message.data
        may_be_in = not stranger or await self._allowed(room.authorize_join(member))
        if not may_be_in or not await self._allowed(room.authorize_emit(member, event, data)):
            refusal = problems.may_not_say(self.name)
            self._speech.then(functools.partial(message.answer.refuse, refusal))
        else:
            await room.on_message(member, event, data)

    @handles(ServerEmit)
    async def _server_emit(self, message: ServerEmit) -> None:
        event, answer, speech = message.event, message.answer, self._speech
        if answer is not None and not answer.begin():
            return
        problem = speech.excess(event.name, event.encoded)
        if problem is not None:
            self._leave_out(message, problem)
            return
        plain = self._kind.plain_server_emit
        nobody = plain and not self._roster.members
        speech.begin(Turn(message, event.id, answer, nobody=nobody))
        if plain:
            speech.broadcast_encoded(event.name, event.encoded)
        else:
            await self._hook(self._room.on_server_emit(event.name, orjson.loads(event.encoded)))
        await self._end()

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
        if self._roster.undelivered:
            self._own_up()
        if not message.events:
            return
        for event in message.events:
            if self._kind.plain_remote_emit:
                speech.repeat(event)
            else:
                data = orjson.loads(event.encoded)
                speech.begin(Turn(event_id=event.id, origin=event))
                await self._hook(self._room.on_remote_emit(event.name, data))
                speech.end()
            if speech.full:
                await self._settle()
        # One look at the clock for all that came together: the oldest of them took longest.
        taken = min(max(0.0, self._now() - message.events[0].time), LONGEST_WAY)
        self._environment.meters.cross_pod_latency.observe(taken, len(message.events))

    @handles(Degraded)
    async def _degraded(self, message: Degraded) -> None:
        await self._alone(self._room.on_degraded(message))

    @handles(Healed)
    async def _healed(self, message: Healed) -> None:
        await self._alone(self._room.on_healed(message))

    @handles(Draining)
    async def _drain(self, message: Draining) -> None:
        try:
            await self._alone(self._room.on_drain())
            self._speech.flush()
        finally:
            message.done()

    # How a turn goes -----------------------------------------------------------------------

    async def _hook(self, hook: Coroutine[object, object, R]) -> R:
        """Run code of the room: what it says is out when it returns or waits, else never."""
        speech = self._speech
        speech.begin_hook()
        result = await on_suspend(hook, speech.pause)
        speech.let_out()
        return result

    async def _alone(self, hook: Coroutine[object, object, R]) -> R:
        """Run code of the room in a turn of its own, in which nobody waits for anything."""
        self._speech.begin(Turn())
        return await self._hook(hook)

    async def typed(self, handler: Handler, message: object) -> object:
        """Run a typed handler of the room, which speaks as hooks do."""
        return await self._alone(_awaiting(handler(self._room, message)))

    async def _allowed(self, rule: Awaitable[bool]) -> bool:
        """Say whether a hook allows something. What it forgot to await is no yes."""
        says: object = await rule
        if inspect.isawaitable(says):
            raise ActorDefinitionError(
                f"A rule of {type(self._room).__name__} returned {type(says).__name__} and not "
                "whether it allows this; write `await` before what it returns."
            )
        return bool(says)

    async def _timed(self, callback: Callable[[], Awaitable[None]]) -> None:
        await self._alone(_awaiting(callback()))
        await self._settle()

    async def _end(self) -> None:
        self._speech.end()
        if self._speech.full:
            await self._settle()

    def _break_off(self, error: BaseException) -> None:
        """Answer for the message that ended the room, and for what of it is out already."""
        speech, turn = self._speech, self._speech.turn
        message = turn.message
        if message is not None:
            error.add_note(f"The room '{self.name}' was handling {_told(message)}.")
        if isinstance(message, ServerEmit) and turn.waited:
            speech.end()  # its hook has taken it, and perhaps told others
        elif isinstance(message, ServerEmit) and message.answer is not None:
            message.answer.refuse(problems.crashed(self.name, heard=False))
        speech.discard()
        if isinstance(message, RoomEmit):
            self._roster.half_heard = turn.waited  # told when the room is back
        elif isinstance(message, Knock):
            self._fail_to_let_in(message.seat, turn)
        elif isinstance(message, Identified) and message.seat.taken:
            problem = problems.failed_to(self.name, "was to say whether you may stay")
            message.seat.expel(problem, "room crashed")

    def _fail_to_let_in(self, seat: Seat, turn: Turn) -> None:
        """Leave nobody half in: answer the joins, or tell who was told that it is in."""
        problem = problems.failed_to(self.name, "was to let you in")
        was_in = seat.taken
        seat.fail(problem)
        if not turn.waited:
            for reply in turn.acknowledged:
                reply.give(problem)
        elif was_in and turn.acknowledged:
            seat.put_out(problem, "room crashed")

    # Inside --------------------------------------------------------------------------------

    def _own_up(self) -> None:
        """Tell the members how much was said that they will not hear."""
        missed, self._roster.undelivered = self._roster.undelivered, 0
        self._roster.lost += missed
        self._speech.announce(self._failed(problems.events_missed(self.name, missed)))

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

    def _failed(self, problem: Problem) -> Failed:
        return Failed(problem, self._now())

    def _now(self) -> float:
        return self._environment.wall()

    async def _settle(self) -> None:
        """Write the batch; when most members lag, slow the room down for a bounded time.

        One slow client never holds a room up, its outbox overflows and it is closed. When more
        than half lag at once the pod or the network is the bottleneck: the room pauses, its
        mailbox fills and the emitters are slowed, instead of everyone being disconnected.
        """
        self._speech.flush()
        members = self._roster.members
        lagging = [member for member in members.values() if member.sink.lagging]
        if len(lagging) * 2 > len(members):
            with trio.move_on_after(CONGESTION_GRACE):
                for member in lagging:
                    await member.sink.flushed()


def _speaking(own: Handler) -> Handler:
    """Let a typed handler of a room speak as hooks do."""

    @functools.wraps(own)
    async def speaking(actor: RoomActor, message: object) -> object:
        return await actor.typed(own, message)

    return speaking


async def _awaiting(awaited: Awaitable[R]) -> R:
    return await awaited


def _told(message: object) -> str:
    """Say for the log what a room was about: who, and which event, but never what was said."""
    if isinstance(message, RoomEmit):
        client_id, answer = message.member.client_id, message.answer
        return f"the event {message.event!r} of the client {client_id} (id {answer.id!r})"
    if isinstance(message, ServerEmit):
        return f"the event {message.event.name!r} of the pod itself"
    seat = message.seat if isinstance(message, Knock | Identified | Departed) else None
    return f"{type(message).__name__} of the client {seat.client_id if seat else ''}"
