"""What a client may do: the protocol's requests, each checked and carried out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import trio
from attrs import evolve, field, frozen

from ...config import Audit, Audited, AuthSettings, LimitSettings, LogSampler, get_logger, tracing
from ...transport import (
    Asker,
    Auth,
    BadToken,
    ClientMessage,
    Emit,
    Identity,
    Join,
    Leave,
    Meters,
    Premises,
    Problem,
    Scope,
    Tokens,
    WebSocketLimits,
    check_name,
    encode_auth,
    encode_data,
    encode_join,
    encode_leave,
)
from ..cluster import Uplink
from ..rooms import (
    EventIds,
    Hub,
    Member,
    Replies,
    Reply,
    RoomEmit,
    RoomRef,
    Rooms,
    Seat,
    ServerEmit,
    Standing,
    room_closed,
    same_person,
    settle_unheard,
)
from ..runtime import Delivery, Exit, ExitKind, RoomError
from .access import AccessPolicy
from .heartbeat import Heartbeat
from .intake import Intake
from .lanes import Lanes, Spawn

__all__ = ["ConnectionEnvironment", "Session"]

_log = get_logger("realtime")


@frozen
class ConnectionEnvironment:
    """What every connection of a pod shares.

    `members` are all live connections by client id, `wall` is the wall clock (unix seconds),
    `retry_after` draws the seconds a client should wait before it comes back after a restart,
    `everyone` is the room of all connections, `uplink` leads to the other pods, `premises` say
    who is a developer's own, `sampler` bounds the lines that clients can cause, `audit` writes down
    who fails to sign in.
    """

    limits: LimitSettings
    auth: AuthSettings
    websocket: WebSocketLimits
    access: AccessPolicy
    tokens: Tokens
    rooms: Rooms
    hub: Hub
    heartbeat: Heartbeat
    members: dict[str, Member]
    event_ids: EventIds
    wall: Callable[[], float]
    retry_after: Callable[[], float]
    everyone: RoomRef
    meters: Meters
    premises: Premises
    uplink: Uplink | None = None
    audit: Audit = field(factory=Audit)
    sampler: LogSampler = field(factory=LogSampler)


class Session:
    """One client's standing: who it is, which rooms it is in, and what it asks for.

    `act` answers what succeeds and returns the `Problem` of what does not. It never waits: what a
    room is asked for it answers later, and a room that is full has a lane of its own.
    """

    __slots__ = ("_env", "_lanes", "_member", "_replies", "_seats", "_stranger")

    def __init__(self, member: Member, environment: ConnectionEnvironment, intake: Intake) -> None:
        self._member = member
        self._env = environment
        self._seats = member.seats
        self._replies = Replies(member, environment.limits.emit_timeout, environment.wall)
        self._lanes = Lanes(intake, self._not_taken)
        # The client as it speaks where it has not joined; made anew when it becomes another.
        self._stranger: Member | None = None

    @property
    def rooms(self) -> int:
        """How many rooms the client is in."""
        return len(self._member.rooms)

    def act(self, message: ClientMessage, nbytes: int, born: float) -> Problem | None:
        """Carry out what the client asked for.

        `nbytes` is what it took on the wire, `born` when it came (seconds of trio's clock).
        """
        if isinstance(message, Auth):
            return self._authenticate(message)
        if self._env.auth.required and not self._member.authenticated:
            return Problem("auth_required", "Send an 'auth' message with a token first.")
        if isinstance(message, Emit):
            return self._emit(message, nbytes, born)
        if isinstance(message, Join):
            return self._join(message)
        if isinstance(message, Leave):
            self._leave(message)
        return None

    def attach(self, spawn: Spawn) -> None:
        """Say where tasks may run as long as the client is there."""
        self._lanes.attach(spawn)

    def end(self, reason: str) -> None:
        """Leave all rooms, for the client is gone."""
        self._lanes.end()
        self._replies.end()
        for seat in list(self._seats.values()):
            seat.leave(reason, freely=True)
        self._seats.clear()

    def downgrade(self) -> Problem:
        """Make the client anonymous, and return what to tell it."""
        self._become(None, "token expired")
        return Problem(
            "expired_token", "Your token has expired; you are anonymous until you authenticate."
        )

    # Answers in time -----------------------------------------------------------------------

    def due(self) -> float | None:
        """Return when something must be answered at the latest (trio's seconds), or None."""
        return self._replies.due()

    def answer_overdue(self) -> None:
        """Answer what no room has answered in time."""
        self._replies.expire(trio.current_time())

    # What rooms have to say (`Landlord`) ---------------------------------------------------

    def room_ended(self, seat: Seat, exit: Exit) -> None:  # noqa: A002
        """Tell that a room has ended, or knock at the next: it ended just as the client knocked."""
        name = seat.name
        asking = seat.waiting()
        if not asking:
            self.tell_problem(evolve(room_closed(name), room=name))
            return
        problem: Problem | None = room_closed(name)
        if exit.kind is ExitKind.NORMAL:
            problem = self._knock(name, asking)
        for reply in asking if problem is not None else ():
            reply.refuse(problem or room_closed(name))

    def tell_problem(self, problem: Problem) -> None:
        """Tell the client of a problem."""
        self._replies.refuse(problem)

    def put_out(self, name: str, reason: str) -> None:
        """Tell the client that it is in a room no longer."""
        self._replies.write(encode_leave(name, self._env.wall(), reason=reason))

    # Who it is -----------------------------------------------------------------------------

    def _authenticate(self, message: Auth) -> Problem | None:
        env = self._env
        try:
            identity = env.tokens.verify(message.token)
        except BadToken as error:
            expired = error.code == "expired_token"
            self._tell(Audited.TOKEN_EXPIRED if expired else Audited.TOKEN_REFUSED)
            return Problem(error.code, error.sentence)
        if identity.is_root:
            self._tell(Audited.ROOT_SIGNED_IN, identity.user_id)
        payload = encode_auth(identity.user_id, identity.is_root, env.wall(), message.id)
        self._replies.write(payload)
        self._become(identity, "signed in as somebody else")
        return None

    def _tell(self, what: Audited, user: str | None = None) -> None:
        member = self._member
        self._env.audit(what, address=member.address, user=user, client=member.client_id)

    def _become(self, identity: Identity | None, reason: str) -> None:
        """Change who the client is: rules, and then the rooms, say where it may not be any more."""
        was, self._member.identity = self._member.identity, identity
        self._stranger = None
        for name, seat in list(self._seats.items()):
            problem = self._env.access.join(name, identity, local=self._member.local)
            if problem is not None or not same_person(was, identity):
                self._lanes.close(name)  # else it would be said as somebody else
            if problem is None:
                self._identify(seat, identity)
                continue
            was_in = seat.taken
            seat.answer(problem)
            seat.leave(reason)
            if was_in:
                self.put_out(name, reason)

    def _identify(self, seat: Seat, identity: Identity | None) -> None:
        seat.identify(identity)
        if seat.standing is Standing.DOUBTED and seat.doubt is None:
            seat.doubt = self._replies.owe(
                None, seat.name, lambda _: self._not_asked(seat), trio.current_time()
            )

    def _not_asked(self, seat: Seat) -> Problem:
        seat.doubt = None  # it is answered here, and not settled by leaving
        seat.leave("not asked in time")
        self.put_out(seat.name, "not asked in time")
        return self._too_slow(seat.name, "you are out of it")

    # Rooms ---------------------------------------------------------------------------------

    def _join(self, message: Join) -> Problem | None:
        room = message.room
        problem = (
            self._name_problem("room", room)
            or self._env.access.join(room, self._member.identity, local=self._member.local)
            or self._room_limit(room)
        )
        if problem is not None:
            return problem
        seat = self._seats.get(room)
        if seat is not None and seat.standing is Standing.IN:
            self._replies.write(encode_join(room, self._env.wall(), message.id))
            return None
        if seat is not None and not seat.open_to_join:
            return Problem("room_busy", f"Wait for the answer of the room '{room}', or leave it.")
        now = trio.current_time()
        reply = self._replies.owe(message.id, room, self._join_overdue, now)
        problem = self._knock(room, [reply])
        if problem is not None:
            reply.take()
        return problem

    def _room_limit(self, room: str) -> Problem | None:
        limit = self._env.limits.max_rooms_per_client
        if room in self._seats or len(self._seats) < limit:
            return None
        return Problem(
            "too_many_rooms", f"You are in {limit} rooms, the most allowed; leave one first."
        )

    def _knock(self, name: str, asking: list[Reply]) -> Problem | None:
        """Ask a room to let the client in, and leave the answer to it; or say why that is vain."""
        seat = self._seats.get(name)
        if seat is None:
            try:
                self._env.rooms.open(name, self._asker())
            except RoomError as error:
                return Problem("too_many_rooms", str(error))
            roster = self._env.rooms.roster(name)
            if roster is None or roster.withdrawn >= self._env.limits.room_mailbox_size:
                return _busy(name)
            seat = Seat(self._member, roster, self)
        for reply in asking:
            seat.knock(reply)
        return None

    def _join_overdue(self, reply: Reply) -> Problem:
        seat = self._seats.get(reply.room)
        problem = self._too_slow(reply.room, "it has not let you in")
        if seat is not None:
            seat.withdraw(problem)
        return problem

    def _leave(self, message: Leave) -> None:
        room = message.room
        seat = self._seats.get(room)
        if seat is not None:  # else it is out already, which is what it wants
            self._lanes.close(room)
            seat.leave("left", freely=True)
        self._replies.write(encode_leave(room, self._env.wall(), message.id))

    def _too_slow(self, room: str, so: str) -> Problem:
        """Say that a room does not answer in time, to the client and to the operator."""
        patience = self._env.limits.emit_timeout
        handler, seconds = self._env.rooms.doing(room)
        suppressed = self._env.sampler.admit("a room does not answer")
        if suppressed is not None:
            _log.warning(
                "a room does not answer",
                room=room,
                handler=handler,
                seconds=round(seconds, 3),
                patience=patience,
                suppressed=suppressed,
            )
        sentence = f"The room '{room}' has not answered within {patience:g} s, so {so}; "
        return Problem("room_busy", f"{sentence}it is too busy, try again later.")

    # Emits ---------------------------------------------------------------------------------

    def _emit(self, message: Emit, nbytes: int, born: float) -> Problem | None:
        problem = self._name_problem("event", message.event)
        problem = problem or self._env.access.event(message.event)
        if problem is not None:
            return problem
        if message.room is None:
            return self._emit_to_all(message, nbytes)
        return self._emit_to_room(message, message.room, nbytes, born)

    def _emit_to_all(self, message: Emit, nbytes: int) -> Problem | None:
        problem = self._env.access.emit_to_all(self._member.identity)
        if problem is not None:
            return problem
        return self._refusal(None, nbytes) or self._tell_everyone(message)

    def _tell_everyone(self, message: Emit) -> Problem | None:
        event_id = self._env.event_ids()
        reply = self._owe(message, "", event_id)
        emit = ServerEmit(message.event, encode_data(message.data), event_id, reply)
        if not self._env.everyone.tell(emit):
            reply.take()
            return Problem("busy", "The pod is too busy to tell everyone; try again later.")
        return None

    def _refusal(self, room: str | None, nbytes: int) -> Problem | None:
        uplink = self._env.uplink
        return None if uplink is None else uplink.refusal(room, nbytes)

    def _emit_to_room(self, message: Emit, room: str, nbytes: int, born: float) -> Problem | None:
        env, seat = self._env, self._seats.get(room)
        joins = seat is not None and seat.standing is not Standing.WITHDRAWN
        problem = (
            (self._name_problem("room", room) if seat is None else None)
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
            self._tell_elsewhere(message, room, event_id, reply)
            return None
        if joins and seat is not None:
            speaker: Member = seat
        else:
            speaker = self._stranger = self._stranger or self._member.as_it_is()
        event, data = message.event, message.data
        self._deliver(room, ref, RoomEmit(speaker, event, data, event_id, reply, nbytes, born))
        return None

    def _owe(self, message: Emit, room: str, event_id: str) -> Reply:
        if message.id is None:
            return self._replies.unasked(room, self._emit_overdue, event_id)
        now = trio.current_time()
        return self._replies.owe(message.id, room, self._emit_overdue, now, event_id)

    def _emit_overdue(self, reply: Reply) -> Problem:
        so = "perhaps not all have heard this" if reply.begun else "this was dropped"
        return self._too_slow(reply.room, so)

    def _tell_elsewhere(self, message: Emit, room: str, event_id: str, reply: Reply) -> None:
        settle = partial(settle_unheard, reply)  # nobody is in it here
        scope: Scope | None = Scope.REJECTED
        if self._env.uplink is not None:
            encoded = encode_data(message.data)
            scope = self._env.uplink.publish(room, message.event, encoded, event_id, settle)
        if scope is not None:
            settle(scope)

    def _find(self, room: str) -> RoomRef | None:
        rooms = self._env.rooms
        ref = rooms.find(room)
        if ref is None and rooms.is_bound(room):
            ref = rooms.open(room, self._asker())
        return ref

    def _asker(self) -> Asker:
        member = self._member
        return Asker.of(member.address, member.user_id, root=member.is_root)

    def _deliver(self, room: str, ref: RoomRef, emit: RoomEmit) -> None:
        """Leave it with the room; what a full room has no place for waits in a lane."""
        if not self._lanes.occupied(room):
            delivery = ref.tell(emit)
            if delivery is not Delivery.DROPPED:
                if delivery is Delivery.DEAD:
                    emit.answer.returned()
                return
        patience = self._env.limits.emit_timeout
        if self._env.rooms.doing(room)[1] > patience:  # it hangs: waiting would be in vain
            emit.answer.refuse(self._too_slow(room, "this was dropped"))
            return
        self._lanes.wait(room, ref, emit, trio.current_time() + patience)

    def _not_taken(self, room: str, emit: RoomEmit, delivery: Delivery) -> None:
        if delivery is Delivery.DEAD:
            emit.answer.returned()
        else:
            emit.answer.refuse(self._too_slow(room, "this was dropped"))

    def _name_problem(self, kind: Literal["room", "event"], name: str) -> Problem | None:
        sentence = check_name(kind, name, self._env.limits.max_name_length)
        return Problem(f"bad_{kind}", sentence) if sentence else None


def _busy(room: str) -> Problem:
    return Problem("room_busy", f"The room '{room}' is too busy; try again later.")
