"""What a client may do: the protocol's requests, each checked and carried out."""

from __future__ import annotations

import trio
from attrs import evolve

from ...config import Audited
from ...transport import (
    JSON,
    Auth,
    Authenticated,
    BadToken,
    ClientMessage,
    Emit,
    Identity,
    Join,
    Leave,
    Left,
    Problem,
    Spawn,
)
from ..rooms import (
    Member,
    Replies,
    Reply,
    Seat,
    Standing,
    room_closed,
    same_person,
)
from ..runtime import Exit, ExitKind, RoomError
from .backpressure import Backpressure
from .emitter import Emitter
from .environment import ConnectionEnvironment

__all__ = ["Session"]


class Session:
    """One client's standing: who it is, which rooms it is in, and what it asks for.

    `act` answers what succeeds and returns the `Problem` of what does not. It never waits: what a
    room is asked for it answers later, and a room that is full has a lane of its own.
    """

    __slots__ = ("_emitter", "_env", "_member", "_replies", "_seats")

    def __init__(
        self, member: Member, environment: ConnectionEnvironment, backpressure: Backpressure
    ) -> None:
        self._member = member
        self._env = environment
        self._seats = member.seats
        self._replies = Replies(member, environment.limits.emit_timeout, environment.wall)
        self._emitter = Emitter(member, environment, self._replies, backpressure)

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
            return self._emitter.emit(message, nbytes, born)
        if isinstance(message, Join):
            return self._join(message)
        if isinstance(message, Leave):
            self._leave(message)
        return None

    def attach(self, spawn: Spawn) -> None:
        """Say where tasks may run as long as the client is there."""
        self._emitter.attach(spawn)

    def end(self, reason: str, *, vanished: bool = False) -> None:
        """Leave all rooms, for the client is gone.

        Where it has not wanted that (`vanished`), rooms may keep its place for a while.
        """
        self._emitter.end()
        now, missed = trio.current_time(), {}
        for name, seat in list(self._seats.items()):
            kept = seat.drop(now) if vanished else None
            if kept is not None:
                missed[name] = kept
            else:
                seat.leave(reason, freely=True)
        self._replies.end(missed)
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

    # What rooms have to say (`SeatOwner`) ---------------------------------------------------

    def room_ended(self, seat: Seat, exit: Exit) -> None:  # noqa: A002
        """Tell that a room has ended, or knock at the next: it ended just as the client knocked."""
        name = seat.name
        asking = seat.waiting()
        if not asking:
            self.tell_problem(evolve(room_closed(name), room=name))
            return
        problem: Problem | None = room_closed(name)
        if exit.kind is ExitKind.NORMAL:
            problem = self._knock(name, asking, seat.params)
        for reply in asking if problem is not None else ():
            reply.refuse(problem or room_closed(name))

    def tell_problem(self, problem: Problem) -> None:
        """Tell the client of a problem."""
        self._replies.refuse(problem)

    def put_out(self, name: str, reason: str) -> None:
        """Tell the client that it is in a room no longer."""
        self._replies.say(Left(name, self._env.wall(), reason=reason))

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
        self._replies.say(Authenticated(identity.user_id, identity.is_root, env.wall(), message.id))
        self._become(identity, "signed in as somebody else")
        return None

    def _tell(self, what: Audited, user: str | None = None) -> None:
        member = self._member
        self._env.audit(what, address=member.address, user=user, client=member.client_id)

    def _become(self, identity: Identity | None, reason: str) -> None:
        """Change who the client is: rules, and then the rooms, say where it may not be any more."""
        was, self._member.identity = self._member.identity, identity
        self._emitter.become_another()
        for name, seat in list(self._seats.items()):
            problem = self._env.access.join(name, identity, local=self._member.local)
            if problem is not None or not same_person(was, identity):
                self._emitter.refuse_waiting(name)  # else it would be said as somebody else
            if problem is None:
                self._identify(seat, identity)
            else:
                self._close(seat, problem, reason)

    def review(self) -> None:
        """Leave the rooms that other rules than before close to the client."""
        member = self._member
        for name, seat in list(self._seats.items()):
            problem = self._env.access.join(name, member.identity, local=member.local)
            if problem is not None:
                self._emitter.refuse_waiting(name)
                self._close(seat, problem, "the rules have changed")

    def _close(self, seat: Seat, problem: Problem, reason: str) -> None:
        was_in = seat.taken
        seat.answer(problem)
        seat.leave(reason)
        if was_in:
            self.put_out(seat.name, reason)

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
        return self._env.too_slow(seat.name, "you are out of it")

    # Rooms ---------------------------------------------------------------------------------

    def _join(self, message: Join) -> Problem | None:
        room = message.room
        problem = (
            self._env.name_problem("room", room)
            or self._env.access.join(room, self._member.identity, local=self._member.local)
            or self._room_limit(room)
        )
        if problem is not None:
            return problem
        seat = self._seats.get(room)
        if seat is not None and seat.standing is Standing.IN:
            self._replies.say(seat.acknowledgement(self._env.wall(), message.id))
            return None
        if seat is not None and not seat.open_to_join:
            return Problem("room_busy", f"Wait for the answer of the room '{room}', or leave it.")
        now = trio.current_time()
        reply = self._replies.owe(message.id, room, self._join_overdue, now)
        problem = self._knock(room, [reply], message.data, message.resume)
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

    def _knock(
        self, name: str, asking: list[Reply], params: JSON, resume: str | None = None
    ) -> Problem | None:
        """Ask a room to let the client in, and leave the answer to it; or say why that is vain."""
        seat = self._seats.get(name)
        if seat is None:
            try:
                self._env.rooms.open(name, self._member.asker())
            except RoomError as error:
                return Problem("too_many_rooms", str(error))
            roster = self._env.rooms.roster(name)
            if roster is None or roster.withdrawn >= self._env.limits.room_mailbox_size:
                return _busy(name)
            seat = Seat(self._member, roster, self)
        for reply in asking:
            seat.knock(reply, params, resume)
        return None

    def _join_overdue(self, reply: Reply) -> Problem:
        seat = self._seats.get(reply.room)
        problem = self._env.too_slow(reply.room, "it has not let you in")
        if seat is not None:
            seat.withdraw(problem)
        return problem

    def _leave(self, message: Leave) -> None:
        room = message.room
        seat = self._seats.get(room)
        if seat is not None:  # else it is out already, which is what it wants
            self._emitter.refuse_waiting(room)
            seat.leave("left", freely=True)
        self._replies.say(Left(room, self._env.wall(), message.id))


def _busy(room: str) -> Problem:
    return Problem("room_busy", f"The room '{room}' is too busy; try again later.")
