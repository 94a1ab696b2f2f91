"""Rooms: who is in, what is said, and how it reaches the members here and elsewhere."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

import orjson
import trio
from attrs import evolve

from ...transport import JSON, Problem, encode_data, encode_error, encode_join
from ..cluster import Degraded, Healed
from ..runtime import (
    ActorDefinitionError,
    Draining,
    Handler,
    NotAMember,
    Timer,
    awaitable,
    failure_of,
    handles,
    on_suspend,
)
from .bounds import may_exceed
from .hooks import RoomHooks
from .member import Member
from .replies import Reply
from .roster import RemoteEmits, RoomEmit, RoomEnvironment, Roster, S, ServerEmit, StatePolicy
from .seat import Identified, Knock, Left, Seat
from .speech import Speech

__all__ = ["CONGESTION_GRACE", "Room"]

CONGESTION_GRACE = 0.25
"""Seconds a room gives its members to catch up when more than half of them lag."""

HEARD_WITHIN = 2.0
"""Seconds that a first member waits for the broker to bring what other pods say."""

LONGEST_WAY = 3600.0
"""Seconds that an event of another pod is counted as at most: its clock may be wrong by years."""

R = TypeVar("R")

_Handled: TypeAlias = RoomEmit | ServerEmit | Knock | Identified | Left


class Room(RoomHooks[S]):
    """A room of members, supervised: subclass it, override hooks, bind it to a pattern.

    Everything in a room runs one at a time: hooks, timers, typed handlers (`@handles`). One that
    raises has said nothing since it last waited, and loses the one message it was about: whoever
    asked is told, the room restarts and keeps its members. One that waits holds up its own room
    only.

    `state` is whatever `initial_state` returns; `state_policy` names what a crash does to it.
    """

    attempts: ClassVar[int] = 1  # half of a broadcast may be out already: never repeat it
    state_policy: ClassVar[StatePolicy] = StatePolicy.KEEP
    keep_alive: ClassVar[bool] = False
    """Whether the room stays when nobody is in it; else it stops after `roomCleanupInterval`."""

    _roster: Roster[S]

    # What hooks may call -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The room's name."""
        return self._roster.name or ""

    @property
    def members(self) -> Mapping[str, Member]:
        """Who is in, by client id. It changes between hooks and never while one waits.

        Who has left meanwhile stands in it, and hears nothing, until `on_leave` has its turn.
        """
        return self._roster.members

    @property
    def state(self) -> S:
        """The room's state: what `initial_state` built, or what was set since."""
        return cast(S, self._roster.state)

    @state.setter
    def state(self, value: S) -> None:
        self._roster.state = value

    def broadcast(
        self, event: str, data: JSON, *, exclude: Member | None = None, local: bool = False
    ) -> str:
        """Tell every member, on all pods, but perhaps one, and return the event's id.

        With `local` only this pod's members are told. Synchronous: the frame is encoded once, now,
        and written when the room has no more to do or is about to wait. Raises `WireError` when
        `data` is not JSON.
        """
        return self._speech.broadcast(event, data, exclude, local=local)

    def relay(self, event: str, data: JSON) -> str:
        """Let the rooms of this name on the other pods tell their members, and nobody here.

        What comes from another pod is not sent on: two pods would echo each other for ever.
        """
        return self._speech.relay(event, data)

    def send_to(self, member: Member, event: str, data: JSON) -> str:
        """Tell one member, in order with the broadcasts, and return the event's id.

        Raises `NotAMember` for whoever does not stand in `members`, None included.
        """
        return self._speech.send([self._recipient(member)], event, data)

    def multicast(self, members: Iterable[Member], event: str, data: JSON) -> str:
        """Tell some members the same, encoded once, and return the event's id.

        Raises `NotAMember`, and tells nobody, when one of them does not stand in `members`.
        """
        return self._speech.send([self._recipient(one) for one in members], event, data)

    def tell_problem(self, member: Member, problem: Problem) -> None:
        """Tell one member that something went wrong, in order with what else it is told.

        Whoever a hook is about may be told too, before it is a member or when it is none. Raises
        `NotAMember` for anybody else.
        """
        asks = self._asker is not None and member is self._asker
        to = member if asks else self._recipient(member)
        payload = encode_error(evolve(problem, room=self.name), self._now())
        self._speech.answer(_client(to) if asks else to, payload)

    def after(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back once in so many seconds, unless the room has crashed or stopped by then."""
        return super().after(seconds, functools.partial(self._timed, awaitable(callback)))

    def every(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back every so many seconds until cancelled or the room has crashed or stopped."""
        return super().every(seconds, functools.partial(self._timed, awaitable(callback)))

    # Life ----------------------------------------------------------------------------------

    def enter(self, roster: Roster[Any], environment: RoomEnvironment) -> None:
        """Take over what the room before this incarnation left. Called once, before it starts."""
        self._roster = roster
        self._environment = environment
        self._speech = Speech(roster, environment)
        self._handled: _Handled | None = None
        self._acknowledged: list[Reply] = []
        self._idle: Timer | None = None
        if not roster.state_built or self.state_policy is StatePolicy.REBUILD:
            roster.state = self.initial_state()
            roster.state_built = True
        roster.takes_batches = self._plain_remote_emit
        roster.listens = self.hears_the_pod()
        if (roster.members or self.keep_alive) and environment.uplink is not None:
            environment.uplink.enter(roster.name)
        self._watch_idleness()

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Write what `on_start` said, live, and say goodbye and write what was said at the end.

        Whatever ends it, the message that it was about is answered. Here and not in `on_stop`,
        which belongs to the subclass; an override must call this one.
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
        """Write what was said while messages waited, and let a lagging crowd catch up.

        An override must call this one.
        """
        await self._settle()

    def on_lost(self, message: object, error: Exception) -> None:
        """Count the message that crashed the room, and tell who said it, now that it is back."""
        self._roster.lost += 1
        if isinstance(message, RoomEmit):
            message.answer.refuse(self._crashed(heard=self._roster.half_heard))

    def describe(self) -> Mapping[str, JSON]:
        """Show the room's figures: members now; events, deliveries and losses since it opened."""
        roster = self._roster
        return {
            "members": roster.present,
            "events": roster.sequence,
            "deliveries": roster.deliveries,
            "lost": roster.lost,
        }

    @classmethod
    def _find_handler(cls, message_type: type) -> Handler | None:
        """Let typed handlers of subclasses speak as hooks do."""
        handler = super()._find_handler(message_type)
        if handler is None or vars(Room).get(handler.__name__) is handler:
            return handler
        own = cast("Callable[..., Coroutine[object, object, object]]", handler)

        @functools.wraps(own)
        async def speaking(room: Room[Any], message: object) -> object:
            return await room._hook(own(room, message))

        return speaking

    # Who is in -----------------------------------------------------------------------------

    @handles(Knock)
    async def _knock(self, message: Knock) -> None:
        seat = message.seat
        if not seat.heard():
            return
        self._handled = message
        problem = await self._refusal(seat)
        if not seat.heard():  # it did not wait for us
            self._stop_listening()
        elif problem is not None:
            seat.turn_away(problem)
        else:
            await self._let_in(seat)
        self._handled = None

    async def _refusal(self, seat: Seat) -> Problem | None:
        """Say why somebody may not come in, or None."""
        if not await self._hook(self._allowed(self.authorize_join(seat))):
            return Problem("room_forbidden", f"The room '{self.name}' does not let you in.")
        if not await self._listen():
            sentence = f"The room '{self.name}' cannot hear the other pods yet; join it again."
            return Problem("room_busy", sentence)
        return None

    async def _let_in(self, seat: Seat) -> None:
        self._speech.flush()  # what was said before is not for the one who joins now
        self._acknowledged = seat.admit()
        self._watch_idleness()
        await self._hook(self._welcome(seat))
        self._acknowledged = []

    async def _welcome(self, seat: Seat) -> None:
        # Said within the hook: when that raises without having waited, nobody was told anything.
        for reply in self._acknowledged:
            self._speech.answer(seat.client, encode_join(self.name, self._now(), reply.id))
        await self.on_join(seat)

    @handles(Left)
    async def _left(self, message: Left) -> None:
        self._handled = message
        await self._say_goodbye(message.seat, message.reason)
        self._handled = None

    @handles(Identified)
    async def _identified(self, message: Identified) -> None:
        seat = message.seat
        if not seat.reconsidered():
            return
        self._handled = message
        stays = await self._hook(self._allowed(self.authorize_join(seat)))
        self._handled = None
        if not stays and seat.taken:
            sentence = f"The room '{self.name}' does not let you stay as whom you are now."
            seat.expel(Problem("room_forbidden", sentence), "may not stay")
        elif seat.taken:
            self._speech.flush()  # what was said before is not for the one who stays
            missed = seat.stay()
            if missed:
                self._speech.answer(seat.client, encode_error(self._missed(missed), self._now()))
            await self._hook(self.on_identity(seat))

    async def _say_goodbye(self, seat: Seat, reason: str) -> None:
        due = seat.depart()
        self._stop_listening()
        self._watch_idleness()
        if due:
            await self._hook(self.on_leave(seat, reason))

    async def _say_goodbyes(self) -> None:
        """Run `on_leave` for those who left before the room has ended of its own will."""
        with trio.move_on_after(self.stop_deadline):
            for seat, reason in list(self._roster.leaving.items()):
                try:
                    await self._say_goodbye(seat, reason)
                except BaseException as error:  # the others' are not lost with it
                    self._speech.discard()
                    self.log.error("on_leave failed", exc_info=failure_of(error))  # noqa: TRY400

    # What is said --------------------------------------------------------------------------

    @handles(RoomEmit)
    async def _emit(self, message: RoomEmit) -> None:
        answer, member = message.answer, message.member
        if not answer.begin():  # it was told that the room is too busy: then it is not said
            return
        seat = member if isinstance(member, Seat) else None
        if seat is not None and not (seat.taken or seat.spoke_in):
            sentence = f"You are not in the room '{self.name}' any more; join it to emit into it."
            answer.refuse(Problem("not_a_member", sentence))
            return
        if may_exceed(self._environment.limits.max_buffer_bytes, message.nbytes):
            problem = self._speech.excess(message.event, encode_data(message.data))
            if problem is not None:
                answer.refuse(evolve(problem, room=self.name))
                return
        self._handled = message
        nobody = self._plain_emit and not self._roster.members
        # Who has asked for no receipt is told only what goes wrong, whoever settles it.
        asked = None if answer.id is None else answer
        self._speech.about(message.event_id, asked, message.born, nobody=nobody)
        if self._plain_emit and (seat is not None or self._plain_join):
            self._speech.broadcast(message.event, message.data, None, local=False)
        else:
            await self._hook(self._consider(message, stranger=seat is None))
        await self._end()

    async def _consider(self, message: RoomEmit, *, stranger: bool) -> None:
        """Let the hooks say whether it may be said, and react to it."""
        member, event, data = message.member, message.event, message.data
        may_be_in = not stranger or await self._allowed(self.authorize_join(member))
        if not may_be_in or not await self._allowed(self.authorize_emit(member, event, data)):
            sentence = f"The room '{self.name}' does not let you say this."
            self._speech.then(
                functools.partial(message.answer.refuse, Problem("room_forbidden", sentence))
            )
        else:
            await self.on_message(member, event, data)

    @handles(ServerEmit)
    async def _server_emit(self, message: ServerEmit) -> None:
        answer = message.answer
        if answer is not None and not answer.begin():
            return
        problem = self._speech.excess(message.event, message.encoded)
        if problem is not None:
            self._leave_out(message, problem)
            return
        self._handled = message
        nobody = self._plain_server_emit and not self._roster.members
        self._speech.about(message.event_id, answer, nobody=nobody)
        if self._plain_server_emit:
            self._speech.broadcast_encoded(message.event, message.encoded)
        else:
            await self._hook(self.on_server_emit(message.event, orjson.loads(message.encoded)))
        await self._end()

    def _leave_out(self, message: ServerEmit, problem: Problem) -> None:
        """Refuse what nobody could be told; where nobody waits, it has happened: it is missed."""
        if message.answer is not None:
            message.answer.refuse(evolve(problem, room=self._roster.name))
            return
        self._speech.miss(message.event, message.encoded, message.event_id)
        self._own_up()

    @handles(RemoteEmits)
    async def _remote_emits(self, message: RemoteEmits) -> None:
        if not message.events:
            self._roster.owns_up = False
        if self._roster.undelivered:
            self._own_up()
        if not message.events:
            return
        for event in message.events:
            self._speech.about_remote(event)
            if self._plain_remote_emit:
                self._speech.repeat(event)
            else:
                hook = self.on_remote_emit(event.event, orjson.loads(event.encoded))
                await self._hook(hook)
            if self._speech.full:
                await self._settle()
        self._speech.over()
        # One look at the clock for all that came together: the oldest of them took longest.
        taken = min(max(0.0, self._now() - message.events[0].time), LONGEST_WAY)
        self._environment.meters.cross_pod_latency.observe(taken, len(message.events))

    @handles(Degraded)
    async def _degraded(self, message: Degraded) -> None:
        await self._hook(self.on_degraded(message))

    @handles(Healed)
    async def _healed(self, message: Healed) -> None:
        await self._hook(self.on_healed(message))

    @handles(Draining)
    async def _drain(self, message: Draining) -> None:
        try:
            await self._hook(self.on_drain())
            self._speech.flush()
        finally:
            message.done()

    # Inside --------------------------------------------------------------------------------

    async def _end(self) -> None:
        self._handled = None
        self._speech.settled()
        if self._speech.full:
            await self._settle()

    def _break_off(self, error: BaseException) -> None:
        """Answer for the message that ended the room, and for what of it is out already."""
        speech, message = self._speech, self._handled
        self._handled = None
        if message is not None:
            error.add_note(f"The room '{self.name}' was handling {_told(message)}.")
        if isinstance(message, ServerEmit) and speech.waited:
            speech.settled()  # its hook has taken it, and perhaps told others
        elif isinstance(message, ServerEmit) and message.answer is not None:
            message.answer.refuse(self._crashed(heard=False))
        speech.discard()
        if isinstance(message, RoomEmit):
            self._roster.half_heard = speech.waited  # told when the room is back
        elif isinstance(message, Knock):
            self._fail_to_let_in(message.seat)
        elif isinstance(message, Identified) and message.seat.taken:
            message.seat.expel(self._failed("was to say whether you may stay"), "room crashed")

    def _fail_to_let_in(self, seat: Seat) -> None:
        """Leave nobody half in: answer the joins, or tell who was told that it is in."""
        problem = self._failed("was to let you in")
        acknowledged, self._acknowledged = self._acknowledged, []
        was_in = seat.taken
        seat.fail(problem)
        if not self._speech.waited:
            for reply in acknowledged:
                reply.give(problem)
        elif was_in and acknowledged:
            seat.put_out(problem, "room crashed")

    def _failed(self, on: str) -> Problem:
        return Problem(
            "room_crashed", f"The room '{self.name}' failed when it {on}; join it again."
        )

    def _crashed(self, *, heard: bool) -> Problem:
        dropped = "failed on this message and dropped it"
        halfway = "failed on this message when a part of it was done and perhaps said"
        return Problem(
            "room_crashed",
            f"The room '{self.name}' {halfway if heard else dropped}; "
            "it has been restarted and you are still in it.",
        )

    def _missed(self, events: int) -> Problem:
        sentence = (
            f"You were not told up to {events} events of the room '{self.name}', "
            "while it was to say whether you may stay."
        )
        return Problem("events_missed", sentence, self.name)

    def _own_up(self) -> None:
        """Tell the members how much was said that they will not hear."""
        missed, self._roster.undelivered = self._roster.undelivered, 0
        self._roster.lost += missed
        problem = Problem(
            "events_missed",
            f"{missed} events were missed: they were too large, or came too fast from other pods.",
            self.name,
        )
        self._speech.announce(encode_error(problem, self._now()))

    @property
    def _asker(self) -> Member | None:
        """Whom the hook that runs is about."""
        message = self._handled
        if isinstance(message, RoomEmit):
            return message.member
        return message.seat if isinstance(message, Knock | Identified) else None

    def _recipient(self, member: Member) -> Member:
        client_id = getattr(member, "client_id", None)  # where types are not checked, it is None
        if client_id is None or self.members.get(client_id) is not member:
            raise NotAMember(self.name, member)
        return member

    async def _listen(self) -> bool:
        """Hear the other pods before the first member is told that it is in, or do not let it in.

        While the broker is away nobody waits for it, and everybody has been told.
        """
        uplink, name = self._environment.uplink, self._roster.name
        if uplink is None or name is None or self._roster.members:
            return True
        uplink.enter(name)
        with trio.move_on_after(HEARD_WITHIN):
            await uplink.heard(name)
            return True
        self._stop_listening()
        return False

    async def _hook(self, hook: Coroutine[object, object, R]) -> R:
        """Run code of a subclass: what it says is out when it returns or waits, else never."""
        speech = self._speech
        speech.begin()
        result = await on_suspend(hook, speech.pause)
        speech.let_out()
        return result

    async def _allowed(self, rule: Awaitable[bool]) -> bool:
        """Say whether a hook allows something. What it forgot to await is no yes."""
        says: object = await rule
        if inspect.isawaitable(says):
            raise ActorDefinitionError(
                f"A rule of {type(self).__name__} returned {type(says).__name__} and not whether "
                "it allows this; write `await` before what it returns."
            )
        return bool(says)

    async def _timed(self, callback: Callable[[], Awaitable[None]]) -> None:
        async def call() -> None:
            await callback()

        await self._hook(call())
        await self._settle()

    def _stop_listening(self) -> None:
        uplink = self._environment.uplink
        if uplink is not None and not self._roster.members and not self.keep_alive:
            uplink.leave(self._roster.name)

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

    def _watch_idleness(self) -> None:
        self._roster.attended(bool(self._roster.members) or self.keep_alive)
        if self._roster.members:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
        elif self._idle is None and not self.keep_alive:
            seconds = self._environment.limits.room_cleanup_interval
            self._idle = super().after(seconds, self._stop_when_idle)

    async def _stop_when_idle(self) -> None:
        self._idle = None
        if self.waiting:  # somebody knocks, or speaks: they were told that we take it
            self._watch_idleness()
        else:
            self.stop("idle")


def _told(message: _Handled) -> str:
    """Say for the log what a room was about: who, and which event, but never what was said."""
    if isinstance(message, RoomEmit):
        client_id, answer = message.member.client_id, message.answer
        return f"the event {message.event!r} of the client {client_id} (id {answer.id!r})"
    if isinstance(message, ServerEmit):
        return f"the event {message.event!r} of the pod itself"
    return f"{type(message).__name__} of the client {message.seat.client_id}"


def _client(member: Member) -> Member:
    """Return the connection of who asks, to which answers go in any case."""
    return member.client if isinstance(member, Seat) else member
