"""What a client says: judged, left with the room or with all, and answered in any case."""

from __future__ import annotations

from functools import partial

import trio

from ...config import get_logger, tracing
from ...transport import Emit, Event, Outcome, Problem, Scope, Spawn, encode_data
from ..rooms import (
    Member,
    Replies,
    Reply,
    RoomEmit,
    RoomRef,
    ServerEmit,
    Standing,
    publish_elsewhere,
    settle_unheard,
)
from ..runtime import Delivery, RoomError
from .backpressure import Backpressure
from .environment import ConnectionEnvironment
from .lanes import Lanes

__all__ = ["Emitter"]

_log = get_logger("realtime")


class Emitter:
    """The emits of one client. It never waits: a room that is full has a lane of its own."""

    __slots__ = ("_env", "_lanes", "_member", "_replies", "_stranger")

    def __init__(
        self,
        member: Member,
        environment: ConnectionEnvironment,
        replies: Replies,
        backpressure: Backpressure,
    ) -> None:
        self._member = member
        self._env = environment
        self._replies = replies
        self._lanes = Lanes(backpressure, self._not_taken)
        # The client as it speaks where it has not joined; made anew when it becomes another.
        self._stranger: Member | None = None

    def emit(self, message: Emit, nbytes: int, born: float) -> Problem | None:
        """Say something, or return why not; see `Session.act`."""
        problem = self._env.name_problem("event", message.event)
        problem = problem or self._env.access.event(message.event)
        if problem is not None:
            return problem
        if message.room is None:
            return self._emit_to_all(message, nbytes)
        return self._emit_to_room(message, message.room, nbytes, born)

    def attach(self, spawn: Spawn) -> None:
        """Say where tasks may run as long as the client is there."""
        self._lanes.attach(spawn)

    def end(self) -> None:
        """Let go: the client is gone."""
        self._lanes.end()

    def become_another(self) -> None:
        """Learn that the client is somebody else from now on."""
        self._stranger = None

    def refuse_waiting(self, room: str) -> None:
        """Refuse what waits for a room: the client has left it, or would say it as another."""
        self._lanes.close(room)

    # To everyone ---------------------------------------------------------------------------

    def _emit_to_all(self, message: Emit, nbytes: int) -> Problem | None:
        problem = self._env.access.emit_to_all(self._member.identity)
        if problem is not None:
            return problem
        return self._refusal(None, nbytes) or self._tell_everyone(message)

    def _tell_everyone(self, message: Emit) -> Problem | None:
        event = self._event(message)
        reply = self._owe(message, "", event.id)
        if not self._env.everyone.tell(ServerEmit(event, reply)):
            reply.take()
            return Problem("busy", "The pod is too busy to tell everyone; try again later.")
        return None

    def _event(self, message: Emit, event_id: str = "") -> Event:
        env, encoded = self._env, encode_data(message.data)
        event_id = event_id or env.event_ids()
        return Event(message.room, message.event, encoded, event_id, 0, env.wall())

    # Into a room ---------------------------------------------------------------------------

    def _emit_to_room(self, message: Emit, room: str, nbytes: int, born: float) -> Problem | None:
        env, seat = self._env, self._member.seats.get(room)
        joins = seat is not None and seat.standing is not Standing.WITHDRAWN
        problem = (
            (env.name_problem("room", room) if seat is None else None)
            or env.access.emit(room, self._member.identity, member=joins)
            or self._refusal(room, nbytes)
        )
        if problem is not None:
            return problem
        try:
            ref = self._find(room)
        except RoomError as error:
            return Problem("too_many_rooms", str(error))
        event_id = env.event_ids()
        if tracing():
            client = self._member.client_id
            _log.debug("client emits", client=client, room=room, event_id=event_id)
        reply = self._owe(message, room, event_id)
        if ref is None:  # nobody is in it here
            self._tell_elsewhere(self._event(message, event_id), reply)
            return None
        if joins and seat is not None:
            speaker: Member = seat
        else:
            speaker = self._stranger = self._stranger or self._member.as_it_is()
        event, data = message.event, message.data
        self._deliver(room, ref, RoomEmit(speaker, event, data, event_id, reply, nbytes, born))
        return None

    def _find(self, room: str) -> RoomRef | None:
        rooms = self._env.rooms
        ref = rooms.find(room)
        if ref is None and rooms.is_bound(room):
            ref = rooms.open(room, self._member.asker())
        return ref

    def _tell_elsewhere(self, event: Event, reply: Reply) -> None:
        settle = partial(settle_unheard, reply)  # nobody is in it here
        outcome: Outcome | None = Scope.REJECTED
        if self._env.uplink is not None:
            counted = reply.id is not None and self._env.rooms.counts(reply.room)
            outcome = publish_elsewhere(self._env.uplink, event, settle, counted=counted)
        if outcome is not None:
            settle(outcome)

    def _deliver(self, room: str, ref: RoomRef, emit: RoomEmit) -> None:
        """Leave it with the room; what a full room has no place for waits in a lane."""
        if not self._lanes.occupied(room):
            delivery = ref.tell(emit)
            if delivery is not Delivery.DROPPED:
                if delivery is Delivery.DEAD:
                    emit.answer.returned()
                return
        limit = self._env.limits.emit_timeout
        if self._env.rooms.doing(room)[1] > limit:  # it hangs: waiting would be in vain
            emit.answer.refuse(self._env.too_slow(room, "this was dropped"))
            return
        self._lanes.wait(room, ref, emit, trio.current_time() + limit)

    def _not_taken(self, room: str, emit: RoomEmit, delivery: Delivery) -> None:
        if delivery is Delivery.DEAD:
            emit.answer.returned()
        else:
            emit.answer.refuse(self._env.too_slow(room, "this was dropped"))

    # Answers -------------------------------------------------------------------------------

    def _refusal(self, room: str | None, nbytes: int) -> Problem | None:
        uplink = self._env.uplink
        return None if uplink is None else uplink.refusal(room, nbytes)

    def _owe(self, message: Emit, room: str, event_id: str) -> Reply:
        if message.id is None:
            return self._replies.unasked(room, self._overdue, event_id)
        now = trio.current_time()
        return self._replies.owe(message.id, room, self._overdue, now, event_id)

    def _overdue(self, reply: Reply) -> Problem:
        so = "perhaps not all have heard this" if reply.begun else "this was dropped"
        return self._env.too_slow(reply.room, so)
