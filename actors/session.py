"""What a client may do: the protocol's requests, each checked and carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Never

import trio
from attrs import field, frozen

from ..config import Audit, Audited, Limits, LogSampler, get_logger, tracing
from ..config import Auth as AuthSettings
from ..transport import (
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
    RequestId,
    Scope,
    Tokens,
    WebSocketLimits,
    check_name,
    encode_auth,
    encode_data,
    encode_leave,
    encode_receipt,
    text_frame,
)
from .access import AccessPolicy
from .errors import ActorDead, ActorError, AskTimeout, TooManyRooms
from .heartbeat import Heartbeat
from .hub import Hub
from .links import Uplink
from .member import Member
from .messages import Delivery
from .ref import ActorRef
from .rooms import RoomRef, Rooms
from .roster import EventIds, JoinRoom, LeaveRoom, RoomEmit, ServerEmit

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

    limits: Limits
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

    `act` answers what succeeds and returns the `Problem` of what does not.
    """

    __slots__ = ("_env", "_member", "_rooms")

    def __init__(self, member: Member, environment: ConnectionEnvironment) -> None:
        self._member = member
        self._env = environment
        self._rooms: dict[str, RoomRef] = {}
        member.rooms = self._rooms.keys()

    @property
    def rooms(self) -> int:
        """How many rooms the client is in."""
        return len(self._rooms)

    async def act(self, message: ClientMessage, nbytes: int, born: float) -> Problem | None:
        """Carry out what the client asked for.

        `nbytes` is what it took on the wire, `born` when it came (seconds of trio's clock).
        """
        if isinstance(message, Auth):
            return self._authenticate(message)
        if self._env.auth.required and not self._member.authenticated:
            return Problem("auth_required", "Send an 'auth' message with a token first.")
        if isinstance(message, Emit):
            return await self._emit(message, nbytes, born)
        if isinstance(message, Join):
            return await self._join(message)
        self._leave(message)
        return None

    def room_down(self, ref: ActorRef[Never]) -> Problem | None:
        """Forget a room that has ended; the problem is what to tell the client."""
        for name, known in self._rooms.items():
            if known == ref:
                del self._rooms[name]
                sentence = f"The room '{name}' has ended; join it again."
                return Problem("room_closed", sentence, name)
        return None

    def end(self) -> None:
        """Watch the rooms no more: each would hold what is left of the connection."""
        for ref in self._rooms.values():
            ref.demonitor(self._member.ref)

    def downgrade(self) -> Problem:
        """Make the client anonymous, and return what to tell it."""
        self._become(None, "token expired")
        return Problem(
            "expired_token", "Your token has expired; you are anonymous until you authenticate."
        )

    # Requests ------------------------------------------------------------------------------

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
        self._answer(encode_auth(identity.user_id, identity.is_root, env.wall(), message.id))
        self._become(identity, "signed in as somebody else")
        return None

    def _tell(self, what: Audited, user: str | None = None) -> None:
        member = self._member
        self._env.audit(what, address=member.address, user=user, client=member.client_id)

    def _become(self, identity: Identity | None, reason: str) -> None:
        """Change who the client is: it leaves the rooms that the new one may not join."""
        self._member.identity = identity
        for name, ref in list(self._rooms.items()):
            local = self._member.local
            if self._env.access.join(name, identity, local=local) is not None:
                del self._rooms[name]
                ref.demonitor(self._member.ref)
                ref.tell(LeaveRoom(self._member, reason))

    async def _join(self, message: Join) -> Problem | None:
        room = message.room
        return (
            self._name_problem("room", room)
            or self._env.access.join(room, self._member.identity, local=self._member.local)
            or self._room_limit(room)
            or await self._enter(room, message.id)
        )

    def _room_limit(self, room: str) -> Problem | None:
        limit = self._env.limits.max_rooms_per_client
        if room in self._rooms or len(self._rooms) < limit:
            return None
        return Problem(
            "too_many_rooms", f"You are in {limit} rooms, the most allowed; leave one first."
        )

    async def _enter(self, name: str, request_id: RequestId) -> Problem | None:
        ask = JoinRoom(self._member, request_id)
        for _ in range(2):  # a room may end of idleness just as we knock: the next one is new
            try:
                ref = self._env.rooms.open(name, self._asker())
            except TooManyRooms as error:
                return Problem("too_many_rooms", str(error))
            try:
                problem = await ref.ask(ask, timeout=self._env.limits.emit_timeout)
            except ActorDead:
                continue
            except AskTimeout:
                ref.tell(LeaveRoom(self._member, "timeout"))  # in case it has just let us in
                break
            except ActorError as error:
                self._tell_of_failure(name, error)
                return Problem("room_crashed", f"The room '{name}' failed; join it again.")
            if problem is None:
                self._rooms[name] = ref
                ref.monitor(self._member.ref)
            return problem
        return _busy(name)

    def _tell_of_failure(self, room: str, error: ActorError) -> None:
        suppressed = self._env.sampler.admit("a join failed")
        if suppressed is not None:
            kind = type(error).__name__
            _log.warning("a join failed", room=room, error=kind, suppressed=suppressed)

    def _leave(self, message: Leave) -> None:
        ref = self._rooms.pop(message.room, None)
        if ref is None:  # it is out already, which is what it wants
            self._answer(encode_leave(message.room, self._env.wall(), message.id))
            return
        ref.demonitor(self._member.ref)
        ref.tell(LeaveRoom(self._member, "left", message.id))

    async def _emit(self, message: Emit, nbytes: int, born: float) -> Problem | None:
        problem = self._name_problem("event", message.event)
        problem = problem or self._env.access.event(message.event)
        if problem is not None:
            return problem
        if message.room is None:
            return self._emit_to_all(message, nbytes)
        return await self._emit_to_room(message, message.room, nbytes, born)

    def _emit_to_all(self, message: Emit, nbytes: int) -> Problem | None:
        problem = self._env.access.emit_to_all(self._member.identity)
        if problem is not None:
            return problem
        return self._refusal(None, nbytes) or self._tell_everyone(message)

    def _tell_everyone(self, message: Emit) -> Problem | None:
        def settle(scope: Scope) -> None:
            self._receipt(message, scope, event_id)

        event_id = self._env.event_ids()
        emit = ServerEmit(message.event, encode_data(message.data), event_id, settle)
        if not self._env.everyone.tell(emit):
            return Problem("busy", "The pod is too busy to tell everyone; try again later.")
        return None

    def _refusal(self, room: str | None, nbytes: int) -> Problem | None:
        uplink = self._env.uplink
        return None if uplink is None else uplink.refusal(room, nbytes)

    async def _emit_to_room(
        self, message: Emit, room: str, nbytes: int, born: float
    ) -> Problem | None:
        env = self._env
        problem = (
            self._name_problem("room", room)
            or env.access.emit(room, self._member.identity)
            or self._refusal(room, nbytes)
        )
        if problem is not None:
            return problem
        try:
            ref = self._rooms.get(room) or self._find(room)
        except TooManyRooms as error:
            return Problem("too_many_rooms", str(error))
        event_id = env.event_ids()
        if tracing():
            client = self._member.client_id
            _log.debug("client emits", client=client, room=room, event_id=event_id)
        if ref is None:  # nobody is in it here
            self._tell_elsewhere(message, room, event_id)
            return None
        event, data = message.event, message.data
        emit = RoomEmit(self._member, event, data, event_id, message.id, nbytes, born)
        return None if await self._deliver(ref, emit) else _busy(room)

    def _tell_elsewhere(self, message: Emit, room: str, event_id: str) -> None:
        def settle(scope: Scope) -> None:
            self._receipt(message, scope, event_id)

        scope: Scope | None = Scope.LOCAL
        if self._env.uplink is not None:
            encoded = encode_data(message.data)
            scope = self._env.uplink.publish(room, message.event, encoded, event_id, settle)
        if scope is not None:
            settle(scope)

    def _find(self, room: str) -> RoomRef | None:
        rooms = self._env.rooms
        return rooms.open(room, self._asker()) if rooms.is_bound(room) else rooms.find(room)

    def _asker(self) -> Asker:
        member = self._member
        return Asker.of(member.address, member.user_id, root=member.is_root)

    async def _deliver(self, ref: RoomRef, emit: RoomEmit) -> Delivery:
        delivery = ref.tell(emit)
        if delivery is Delivery.DROPPED:  # full: wait, and so stop reading from this client
            with trio.move_on_after(self._env.limits.emit_timeout):
                delivery = await ref.send(emit)
        return delivery

    def _answer(self, payload: bytes) -> None:
        self._member.sink.write(text_frame(payload))

    def _receipt(self, message: Emit, scope: Scope, event_id: str) -> None:
        if message.id is not None:
            now, room = self._env.wall(), message.room
            self._answer(encode_receipt(message.id, scope, event_id, now, room))

    def _name_problem(self, kind: Literal["room", "event"], name: str) -> Problem | None:
        sentence = check_name(kind, name, self._env.limits.max_name_length)
        return Problem(f"bad_{kind}", sentence) if sentence else None


def _busy(room: str) -> Problem:
    return Problem("room_busy", f"The room '{room}' is too busy; try again later.")
