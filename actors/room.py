"""Rooms: who is in, what is said, and how it reaches the members here and elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar, TypeVar, cast

import orjson
import trio
from attrs import evolve

from ..config import get_logger, tracing
from ..transport import (
    JSON,
    Problem,
    Scope,
    encode_data,
    encode_emit,
    encode_error,
    encode_join,
    encode_leave,
    encode_receipt,
    text_frame,
)
from ..transport.brokers import Remote
from .actor import handles
from .fanout import Batch
from .hooks import RoomHooks
from .links import Degraded, Healed, Settle
from .member import Member
from .messages import Down, Draining
from .roster import (
    JoinRoom,
    LeaveRoom,
    RemoteEmits,
    RoomEmit,
    RoomEnvironment,
    Roster,
    S,
    ServerEmit,
    StatePolicy,
)
from .stepping import before_waiting
from .timers import Timer

__all__ = ["CONGESTION_GRACE", "Room"]

CONGESTION_GRACE = 0.25
"""Seconds a room gives its members to catch up when more than half of them lag."""

HEARD_WITHIN = 2.0
"""Seconds that a first member waits for the broker to bring what other pods say."""

LONGEST_WAY = 3600.0
"""Seconds that an event of another pod is counted as at most: its clock may be wrong by years."""

R = TypeVar("R")

_log = get_logger("realtime")


class Room(RoomHooks[S]):
    """A room of members, supervised: subclass it, override hooks, bind it to a pattern.

    Everything in a room runs one at a time: hooks, timers, typed handlers (`@handles`). A hook
    that raises loses the one message it was about: its sender is told, the room restarts and
    keeps its members. A hook that waits holds up its own room only.

    `state` is whatever `initial_state` returns; `state_policy` names what a crash does to it.
    """

    attempts: ClassVar[int] = 1  # half of a broadcast may be out already: never repeat it
    state_policy: ClassVar[StatePolicy] = StatePolicy.KEEP
    keep_alive: ClassVar[bool] = False
    """Whether the room stays when nobody is in it; else it stops after `roomCleanupInterval`."""

    _roster: Roster[S]
    _relayed: bool

    # What hooks may call -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The room's name."""
        return self._roster.name or ""

    @property
    def members(self) -> Mapping[str, Member]:
        """Who is in, by client id."""
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
        local = local or self._environment.uplink is None or self._remote is not None
        event_id = self._take_event_id(published=not local)
        if local:
            self._put(self._frame(event, data, event_id), but=exclude)
            return event_id
        encoded = encode_data(data)
        self._put(self._frame(event, orjson.Fragment(encoded), event_id), but=exclude)
        self._publish(event, encoded, event_id)
        return event_id

    def relay(self, event: str, data: JSON) -> str:
        """Let the rooms of this name on the other pods tell their members, and nobody here.

        What comes from another pod is not sent on: two pods would echo each other for ever.
        """
        event_id = self._event_id
        if event_id is None or (self._relayed and self._remote is None):
            event_id = self._environment.event_ids()
        self._relayed = True
        if self._remote is None:
            self._publish(event, encode_data(data), event_id)
        return event_id

    def send_to(self, member: Member, event: str, data: JSON) -> str:
        """Tell one member, in order with the broadcasts, and return the event's id."""
        event_id = self._take_event_id()
        self._put(self._frame(event, data, event_id), to=member)
        return event_id

    def multicast(self, members: Iterable[Member], event: str, data: JSON) -> str:
        """Tell some members the same, encoded once, and return the event's id."""
        event_id = self._take_event_id()
        frame = self._frame(event, data, event_id)
        for member in members:
            self._put(frame, to=member)
        return event_id

    def tell_problem(self, member: Member, problem: Problem) -> None:
        """Tell one member that something went wrong, in order with what else it is told."""
        problem = evolve(problem, room=self.name)
        self._answer(member, encode_error(problem, self._now()))

    def after(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back once in so many seconds, unless the room has crashed or stopped by then."""
        return super().after(seconds, functools.partial(self._timed, callback))

    def every(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back every so many seconds until cancelled or the room has crashed or stopped."""
        return super().every(seconds, functools.partial(self._timed, callback))

    # Life ----------------------------------------------------------------------------------

    def enter(self, roster: Roster[Any], environment: RoomEnvironment) -> None:
        """Take over what the room before this incarnation left. Called once, before it starts."""
        self._roster = roster
        self._environment = environment
        self._batch = Batch(environment.batching, environment.meters.fan_out)
        self._born: list[float] = []
        self._event_id: str | None = None
        self._relayed = False
        self._remote: Remote | None = None
        self._answering: RoomEmit | ServerEmit | None = None
        self._outcome: Settle | None = None
        self._idle: Timer | None = None
        self._ending = False
        if not roster.state_built or self.state_policy is StatePolicy.REBUILD:
            roster.state = self.initial_state()
            roster.state_built = True
        roster.takes_batches = self._plain_remote_emit
        if (roster.members or self.keep_alive) and environment.uplink is not None:
            environment.uplink.enter(roster.name)
        self._watch_idleness()

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Write what `on_start` said, live, and write what was said before the end or the crash.

        Here and not in `on_stop`, which belongs to the subclass; an override must call this one.
        """
        self._flush()
        try:
            await loop()
        finally:
            self._ending = True
            self._settle_unsaid()
            self._flush()

    async def on_idle(self) -> None:
        """Write what was said while messages waited, and let a lagging crowd catch up.

        An override must call this one.
        """
        await self._settle()

    def on_lost(self, message: object, error: Exception) -> None:
        """Count the message that crashed the room and tell its sender."""
        self._roster.lost += 1
        if isinstance(message, RoomEmit):
            problem = Problem(
                "room_crashed",
                f"The room '{self.name}' failed on this message and dropped it; "
                "it has been restarted and you are still in it.",
            )
            self._refuse(message, problem)
            self._flush()

    def describe(self) -> Mapping[str, JSON]:
        """Show the room's figures: members now; events, deliveries and losses since it opened."""
        roster = self._roster
        return {
            "members": len(roster.members),
            "events": roster.sequence,
            "deliveries": roster.deliveries,
            "lost": roster.lost,
        }

    # Handlers ------------------------------------------------------------------------------

    @handles(JoinRoom)
    async def _join(self, message: JoinRoom) -> Problem | None:
        member = message.member
        comes = member.client_id not in self._roster.members
        if comes:
            if not await self._hook(self.authorize_join(member)):
                return Problem("room_forbidden", f"The room '{self.name}' does not let you in.")
            if not await self._listen():
                sentence = f"The room '{self.name}' cannot hear the other pods yet; join it again."
                return Problem("room_busy", sentence)
            self._flush()  # what was said before is not for the one who joins now
            self._roster.members[member.client_id] = member
            member.ref.monitor(cast("Any", self.ref))
            self._watch_idleness()
        self._answer(member, encode_join(self.name, self._now(), message.request_id))
        if comes:
            await self._hook(self.on_join(member))
        return None

    @handles(LeaveRoom)
    async def _leave(self, message: LeaveRoom) -> None:
        member = message.member
        if member.client_id in self._roster.members:
            member.ref.demonitor(cast("Any", self.ref))
            await self._remove(member, message.reason)
        told = None if message.reason == "left" else message.reason
        self._answer(member, encode_leave(self.name, self._now(), message.request_id, told))

    @handles(Down)
    async def _member_down(self, message: Down) -> None:
        member = self._roster.members.get(message.ref.name)
        if member is not None:
            await self._remove(member, message.exit.reason or "disconnected")

    @handles(RoomEmit)
    async def _emit(self, message: RoomEmit) -> None:
        outcome = None
        if message.request_id is not None:
            outcome = functools.partial(self._give_receipt, message)
        self._begin(message, outcome)
        if message.born is not None:
            self._born.append(message.born)
        if self._plain_emit:
            self.broadcast(message.event, message.data)
        elif not await self._hook(self.authorize_emit(message.member, message.event, message.data)):
            self._outcome = None
            sentence = f"The room '{self.name}' does not let you say this."
            self._refuse(message, Problem("room_forbidden", sentence))
        else:
            await self._hook(self.on_message(message.member, message.event, message.data))
        await self._end()

    @handles(ServerEmit)
    async def _server_emit(self, message: ServerEmit) -> None:
        self._begin(message, message.settle)
        if self._plain_server_emit:
            event_id = self._take_event_id()
            data = orjson.Fragment(message.encoded)
            self._put(self._frame(message.event, data, event_id))
            self._publish(message.event, message.encoded, event_id)
        else:
            data = orjson.loads(message.encoded)
            await self._hook(self.on_server_emit(message.event, data))
        await self._end()

    @handles(RemoteEmits)
    async def _remote_emits(self, message: RemoteEmits) -> None:
        if self._roster.undelivered:
            self._own_up()
        if not message.events:
            return
        for event in message.events:
            self._event_id, self._remote = event.id, event
            if self._plain_remote_emit:
                data = orjson.Fragment(event.encoded)
                self._put(self._frame(event.event, data, event.id))
            else:
                hook = self.on_remote_emit(event.event, orjson.loads(event.encoded))
                await self._hook(hook)
            if self._batch.full:
                await self._settle()
        self._event_id = self._remote = None
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
        finally:
            self._flush()
            message.done()

    # Inside --------------------------------------------------------------------------------

    def _begin(self, message: RoomEmit | ServerEmit, outcome: Settle | None) -> None:
        self._event_id, self._answering, self._outcome = message.event_id, message, outcome
        self._relayed = False

    async def _end(self) -> None:
        """Answer what was not said to the other pods, which is all that could take longer."""
        if self._outcome is not None:
            self._outcome(Scope.LOCAL)
        # A hook that said nothing leaves these, and nothing else may use them.
        self._event_id = self._answering = self._outcome = None
        if self._batch.full:
            await self._settle()

    def _settle_unsaid(self) -> None:
        """Answer for a server's emit that crashed the room before the other pods were told."""
        if isinstance(self._answering, ServerEmit) and self._outcome is not None:
            outcome, self._outcome = self._outcome, None
            outcome(Scope.LOCAL)

    def _give_receipt(self, message: RoomEmit, scope: Scope) -> None:
        request_id, event_id = message.request_id, message.event_id
        receipt = encode_receipt(request_id, scope, event_id, self._now(), self.name)
        if self._answering is message:
            self._answer(message.member, receipt)
        else:  # the broker took its time, and the room may have nothing else to write
            message.member.sink.write(text_frame(receipt))

    def _publish(self, event: str, encoded: bytes, event_id: str) -> None:
        uplink = self._environment.uplink
        if uplink is None:
            return
        outcome, self._outcome = self._outcome, None
        scope = uplink.publish(self._roster.name, event, encoded, event_id, outcome)
        if scope is not None and outcome is not None:
            outcome(scope)

    def _own_up(self) -> None:
        """Tell the members what other pods said and this room did not get."""
        missed, self._roster.undelivered = self._roster.undelivered, 0
        self._roster.lost += missed
        problem = Problem(
            "events_missed",
            f"{missed} events of other pods were missed: they were too large, or came too fast.",
            self.name,
        )
        self._put(text_frame(encode_error(problem, self._now())))

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
        return await before_waiting(hook, self._flush)

    async def _timed(self, callback: Callable[[], Awaitable[None]]) -> None:
        async def call() -> None:
            await callback()

        await self._hook(call())
        await self._settle()

    async def _remove(self, member: Member, reason: str) -> None:
        self._flush()
        self._roster.members.pop(member.client_id, None)
        self._stop_listening()
        self._watch_idleness()
        await self._hook(self.on_leave(member, reason))

    def _stop_listening(self) -> None:
        uplink = self._environment.uplink
        if uplink is not None and not self._roster.members and not self.keep_alive:
            uplink.leave(self._roster.name)

    def _refuse(self, message: RoomEmit, problem: Problem) -> None:
        problem = evolve(problem, room=self.name)
        self._answer(message.member, encode_error(problem, self._now(), message.request_id))

    def _frame(self, event: str, data: JSON | orjson.Fragment, event_id: str) -> bytes:
        roster = self._roster
        roster.sequence += 1
        if tracing():
            members = len(roster.members)
            _log.debug(
                "room says",
                room=roster.name,
                event_id=event_id,
                seq=roster.sequence,
                members=members,
            )
        return text_frame(
            encode_emit(
                event,
                data,
                roster.name,
                self._now(),
                event_id=event_id,
                seq=roster.sequence,
                replayed=self._remote is not None and self._remote.replayed != 0,
            )
        )

    def _answer(self, member: Member, payload: bytes) -> None:
        self._put(text_frame(payload), to=member)

    def _put(self, frame: bytes, *, to: Member | None = None, but: Member | None = None) -> None:
        self._batch.add(frame, to=to, but=but)
        if self._ending:  # no later turn would write it
            self._flush()

    def _take_event_id(self, *, published: bool = False) -> str:
        event_id, self._event_id = self._event_id, None
        if published and self._relayed:  # other pods drop a second event of one id
            event_id = None
        return event_id or self._environment.event_ids()

    def _now(self) -> float:
        return self._environment.wall()

    def _flush(self) -> None:
        if len(self._batch):
            self._roster.deliveries += self._batch.write(self._roster.members.values())
        if self._born:
            now, latency = trio.current_time(), self._environment.meters.local_latency
            for born in self._born:
                latency.observe(now - born)
            self._born.clear()

    async def _settle(self) -> None:
        """Write the batch; when most members lag, slow the room down for a bounded time.

        One slow client never holds a room up, its outbox overflows and it is closed. When more
        than half lag at once the pod or the network is the bottleneck: the room pauses, its
        mailbox fills and the emitters are slowed, instead of everyone being disconnected.
        """
        self._flush()
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
