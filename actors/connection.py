"""The actor of one WebSocket connection: the protocol's answers and the client's limits."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import trio
from attrs import frozen

from ..config import Auth as AuthSettings
from ..config import Limits, get_logger, tracing
from ..transport import (
    Auth,
    BadToken,
    CloseCode,
    Closed,
    Emit,
    HandshakeRejected,
    Join,
    Leave,
    OutboxFailure,
    Problem,
    Refusal,
    RequestId,
    Scope,
    TokenBucket,
    Tokens,
    UpgradeRequest,
    WebSocket,
    WebSocketLimits,
    WireError,
    check_name,
    decode,
    encode_auth,
    encode_connect,
    encode_error,
    encode_leave,
    encode_receipt,
    response_bytes,
    text_frame,
)
from .access import AccessPolicy
from .actor import Actor, handles
from .cell import ActorCell
from .dead_letters import DeadLetters
from .errors import ActorDead, AskTimeout, TooManyRooms
from .heartbeat import Heartbeat
from .hub import Hub
from .mailbox import Mailbox
from .member import Member
from .messages import Delivery, Down
from .rooms import RoomRef, Rooms
from .roster import EventIds, JoinRoom, LeaveRoom, RoomEmit
from .timers import Timer

__all__ = ["ConnectionActor", "ConnectionEnvironment", "connection_cell"]

MAX_WAITING_MESSAGES = 64
"""Messages of one client that may wait for its actor before the pod stops reading from it."""

MAX_WAITING_BYTES = 64 * 1024
"""The same in bytes; one message more may always wait, however large it is."""

SMALLEST_MESSAGE = 6
"""Bytes of the smallest frame a client can send (RFC 6455 section 5.2)."""

STRIKE_FOR_HASTE = 0.1
"""What one message over the rate limit counts against `abuseLimit`; any other error counts 1."""

_log = get_logger("realtime")


@frozen
class ConnectionEnvironment:
    """What every connection of a pod shares.

    `members` are all live connections by client id, `wall` is the wall clock (unix seconds),
    `retry_after` draws the seconds a client should wait before it comes back after a restart.
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


@frozen
class _Received:
    """A whole text message of the client; `nbytes` on the wire."""

    text: str
    nbytes: int


@frozen
class _Ended:
    """The socket is closed."""

    closed: Closed


@frozen
class _Doomed:
    """The connection must be closed with this code; `abandon` when the client does not read."""

    code: CloseCode
    reason: str
    abandon: bool = False


class ConnectionActor(Actor):
    """One client. It decodes, limits and answers; what is said in rooms goes past it.

    Rooms write frames straight into `socket.outbox`. What the client sends is handled one
    message at a time; while the actor is behind, the pod stops reading from the client.
    """

    attempts: ClassVar[int] = 1

    def __init__(
        self, client_id: str, request: UpgradeRequest | None, environment: ConnectionEnvironment
    ) -> None:
        self._client_id = client_id
        self._request = request
        self._env = environment
        self._waiting = self._waiting_bytes = 0
        self._resume: trio.Event | None = None
        self._rooms: dict[str, RoomRef] = {}
        self._expiry: Timer | None = None
        self._open = False
        limits = environment.limits
        now = trio.current_time()
        rate = limits.message_rate_limit
        self._rate = TokenBucket(rate, max(rate, 1.0), now)
        self._strikes: TokenBucket | None = None
        self._told_haste = float("-inf")

    # Life ----------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Answer the handshake and greet."""
        request, self._request = self._request, None
        if request is None:  # a socket cannot be opened twice
            self.stop("connection lost")
            return
        env = self._env
        try:
            self.socket = WebSocket(request.sock, request.head, env.websocket, self)
        except HandshakeRejected as error:
            self._reject(request.sock, error)
            return
        self.member = Member(self._client_id, self.ref, self.socket.outbox, request.remote)
        env.members[self._client_id] = self.member
        env.heartbeat.watch(self, trio.current_time())
        if env.auth.required:
            self.after(env.auth.timeout, self._auth_overdue)
        self._open = True
        self._answer(encode_connect(self._client_id, env.wall()))
        _log.debug("connected", client=self._client_id, address=request.remote)

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Read from the socket as long as the actor lives, and close it however that ends."""
        if not self._open:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, nursery)
            code, reason = CloseCode.SERVICE_RESTART, ""
            try:
                await loop()
            except Exception:
                code, reason = CloseCode.INTERNAL_ERROR, "the server failed on this connection"
                raise
            finally:
                self._leave_all()
                if self._open:
                    await self.socket.close(code, reason or self._retry_hint())
                self.socket.abort()
            nursery.cancel_scope.cancel()

    def _reject(self, sock: socket.socket, error: HandshakeRejected) -> None:
        with contextlib.suppress(OSError):  # a client that is gone needs no answer
            sock.send(response_bytes(Refusal(error.status, error.sentence)))
        sock.close()
        self.stop("handshake rejected")

    async def _read(self, nursery: trio.Nursery) -> None:
        closed = await self.socket.run(nursery.start_soon)
        self.ref.signal(_Ended(closed))

    def _leave_all(self) -> None:
        self._env.members.pop(self._client_id, None)
        self._env.heartbeat.forget(self)

    def _retry_hint(self) -> str:
        return f"retry_after={self._env.retry_after():.1f}"

    # Inbox of the socket: called by the reader, must not wait but in `ready` ------------------

    def put(self, text: str, nbytes: int) -> None:
        """Take a whole message from the socket."""
        self._waiting += 1
        self._waiting_bytes += nbytes
        self.ref.tell(_Received(text, nbytes))

    async def ready(self) -> None:
        """Wait until the actor has caught up: meanwhile nothing is read from the client."""
        while self._waiting >= MAX_WAITING_MESSAGES or self._waiting_bytes >= MAX_WAITING_BYTES:
            self._resume = trio.Event()
            await self._resume.wait()

    def _caught_up(self, nbytes: int) -> None:
        self._waiting -= 1
        self._waiting_bytes -= nbytes
        if (
            self._resume is not None
            and self._waiting <= MAX_WAITING_MESSAGES // 2
            and self._waiting_bytes <= MAX_WAITING_BYTES // 2
        ):
            self._resume.set()
            self._resume = None

    def outbox_failed(self, failure: OutboxFailure) -> None:
        """Close the connection: the client does not read, or its socket is broken."""
        if failure is OutboxFailure.OVERFLOW:
            self._doom(CloseCode.SLOW_CONSUMER, "too many messages wait for you", abandon=True)
        elif failure is OutboxFailure.STALLED:
            self._doom(CloseCode.DEAD_CLIENT, "you have stopped reading", abandon=True)
        else:
            self.ref.signal(_Ended(Closed(1006, "connection broken", by_peer=True)))

    # Pulse: called by the heartbeat -------------------------------------------------------------

    @property
    def last_received(self) -> float:
        """When the last byte came from the client (seconds of trio's clock)."""
        return self.socket.last_received

    @property
    def paused(self) -> bool:
        """Whether the pod has stopped reading from this client."""
        return self.socket.paused

    def ping(self) -> None:
        """Ping the client."""
        self.socket.ping()

    def flatline(self) -> None:
        """Close the connection: the client has not answered a ping."""
        self._doom(CloseCode.PONG_TIMEOUT, "no answer to a ping", abandon=True)

    # Handlers ------------------------------------------------------------------------------

    @handles(_Ended)
    async def _on_ended(self, message: _Ended) -> None:
        self._open = False
        self.stop(f"closed {message.closed.code}")

    @handles(_Doomed)
    async def _on_doomed(self, message: _Doomed) -> None:
        _log.info(
            "closing a client",
            client=self._client_id,
            code=int(message.code),
            reason=message.reason,
        )
        self._leave_all()
        close = self.socket.abandon if message.abandon else self.socket.close
        await close(message.code, message.reason)
        self._open = False
        self.stop(message.reason)

    @handles(Down)
    async def _on_room_down(self, message: Down) -> None:
        for name, ref in list(self._rooms.items()):
            if ref == message.ref:
                del self._rooms[name]
                problem = Problem("room_closed", f"The room '{name}' has ended; join it again.")
                self._answer(encode_error(problem, self._env.wall(), None))

    @handles(_Received)
    async def _on_received(self, received: _Received) -> None:
        self._caught_up(received.nbytes)
        now = trio.current_time()
        if not self._rate.take(now):
            self._too_fast(now)
            return
        try:
            message = decode(received.text)
        except WireError as error:
            self._refuse(Problem(error.code, error.sentence), error.id)
            return
        if tracing():
            kind, request_id = type(message).__name__.lower(), message.id
            _log.debug("client says", client=self._client_id, kind=kind, id=request_id)
        await self._act(message, received.nbytes)

    async def _act(self, message: Auth | Join | Leave | Emit, nbytes: int) -> None:
        if isinstance(message, Auth):
            self._authenticate(message)
        elif self._env.auth.required and self.member.identity is None:
            problem = Problem("auth_required", "Send an 'auth' message with a token first.")
            self._refuse(problem, message.id)
        elif isinstance(message, Emit):
            await self._emit(message, nbytes)
        elif isinstance(message, Join):
            await self._join(message)
        else:
            self._leave(message)

    # The protocol ----------------------------------------------------------------------------

    def _authenticate(self, message: Auth) -> None:
        env = self._env
        try:
            identity = env.tokens.verify(message.token)
        except BadToken as error:
            self._refuse(Problem(error.code, error.sentence), message.id)
            return
        self.member.identity = identity
        if self._expiry is not None:
            self._expiry.cancel()
        if identity.expires_at is not None:
            seconds = identity.expires_at + env.auth.leeway - env.wall()
            self._expiry = self.after(max(0.0, seconds), self._token_expired)
        self._answer(encode_auth(identity.user_id, identity.is_root, env.wall(), message.id))

    async def _join(self, message: Join) -> None:
        env, room = self._env, message.room
        problem = self._name_problem("room", room) or env.access.join(room, self.member.identity)
        if problem is None and room not in self._rooms:
            problem = self._room_limit()
        if problem is None:
            problem = await self._enter(room, message.id)
        if problem is not None:
            self._refuse(problem, message.id)

    def _room_limit(self) -> Problem | None:
        limit = self._env.limits.max_rooms_per_client
        if len(self._rooms) < limit:
            return None
        return Problem(
            "too_many_rooms", f"You are in {limit} rooms, the most allowed; leave one first."
        )

    async def _enter(self, name: str, request_id: RequestId) -> Problem | None:
        ask = JoinRoom(self.member, request_id)
        for _ in range(2):  # a room may end of idleness just as we knock: the next one is new
            try:
                ref = self._env.rooms.open(name, by_client=True)
                problem = await ref.ask(ask, timeout=self._env.limits.emit_timeout)
            except ActorDead:
                continue
            except TooManyRooms as error:
                return Problem("too_many_rooms", str(error))
            except AskTimeout:
                ref.tell(LeaveRoom(self.member, "timeout"))  # in case it gets to our question yet
                return _busy(name)
            except Exception as error:  # noqa: BLE001 - the room's bug, not ours: tell the client
                _log.warning("join failed", room=name, error=type(error).__name__)
                return Problem("room_crashed", f"The room '{name}' failed; join it again.")
            if problem is None:
                self._rooms[name] = ref
                ref.monitor(self.ref)
            return problem
        return _busy(name)

    def _leave(self, message: Leave) -> None:
        ref = self._rooms.pop(message.room, None)
        if ref is None:
            self._answer(encode_leave(message.room, self._env.wall(), message.id))
            return
        ref.demonitor(self.ref)
        ref.tell(LeaveRoom(self.member, "left", message.id))

    async def _emit(self, message: Emit, nbytes: int) -> None:
        env = self._env
        problem = self._name_problem("event", message.event) or env.access.event(message.event)
        if problem is None:
            if message.room is None:
                problem = self._emit_to_all(message)
            else:
                problem = await self._emit_to_room(message, message.room, nbytes)
        if problem is not None:
            self._refuse(problem, message.id)

    def _emit_to_all(self, message: Emit) -> Problem | None:
        problem = self._env.access.emit_to_all(self.member.identity)
        if problem is not None:
            return problem
        receipt = self._env.hub.emit_to_all(message.event, message.data)
        if receipt.scope is Scope.REJECTED:
            return Problem("busy", "The pod is too busy to tell everyone; try again later.")
        self._receipt(message.id, receipt.scope, receipt.id)
        return None

    async def _emit_to_room(self, message: Emit, room: str, nbytes: int) -> Problem | None:
        env = self._env
        problem = self._name_problem("room", room) or env.access.emit(room, self.member.identity)
        if problem is not None:
            return problem
        event_id = env.event_ids()
        if tracing():
            _log.debug("emit", client=self._client_id, room=room, event_id=event_id)
        ref = self._rooms.get(room) or env.rooms.find(room)
        if ref is None:
            if not env.rooms.is_bound(room):
                self._receipt(message.id, Scope.LOCAL, event_id)  # nobody is in it
                return None
            try:
                ref = env.rooms.open(room, by_client=True)
            except TooManyRooms as error:
                return Problem("too_many_rooms", str(error))
        emit = RoomEmit(self.member, message.event, message.data, event_id, message.id, nbytes)
        delivery = ref.tell(emit)
        if delivery is Delivery.DROPPED:  # full: wait, and so stop reading from this client
            with trio.move_on_after(env.limits.emit_timeout):
                delivery = await ref.send(emit)
        return None if delivery else _busy(room)

    # Endings ---------------------------------------------------------------------------------

    async def _auth_overdue(self) -> None:
        if self.member.identity is None:
            self._doom(CloseCode.AUTH_TIMEOUT, "no 'auth' message in time")

    async def _token_expired(self) -> None:
        self.member.identity = None
        if self._env.auth.on_expiry == "close":
            self._doom(CloseCode.TOKEN_EXPIRED, "your token has expired")
            return
        problem = Problem(
            "expired_token", "Your token has expired; you are anonymous until you authenticate."
        )
        self._answer(encode_error(problem, self._env.wall(), None))
        for name, ref in list(self._rooms.items()):
            if self._env.access.join(name, None) is not None:
                del self._rooms[name]
                ref.demonitor(self.ref)
                ref.tell(LeaveRoom(self.member, "token expired"))

    def _doom(self, code: CloseCode, reason: str, *, abandon: bool = False) -> None:
        self.ref.signal(_Doomed(code, reason, abandon))

    # Answers ---------------------------------------------------------------------------------

    def _answer(self, payload: bytes) -> None:
        self.socket.write(text_frame(payload))

    def _receipt(self, request_id: RequestId, scope: Scope, event_id: str) -> None:
        if request_id is not None:
            self._answer(encode_receipt(request_id, scope, event_id, self._env.wall()))

    def _refuse(self, problem: Problem, request_id: RequestId) -> None:
        self._answer(encode_error(problem, self._env.wall(), request_id))
        self._strike(1.0)

    def _too_fast(self, now: float) -> None:
        limit = self._env.limits.message_rate_limit
        if now >= self._told_haste + 1.0:  # one answer a second, or the pod joins the flood
            self._told_haste = now
            problem = Problem(
                "too_fast", f"At most {limit:g} messages a second; this one was dropped, slow down."
            )
            self._answer(encode_error(problem, self._env.wall(), None))
        self._strike(STRIKE_FOR_HASTE)

    def _strike(self, weight: float) -> None:
        limits, now = self._env.limits, trio.current_time()
        if self._strikes is None:
            rate = limits.abuse_limit / limits.abuse_period
            self._strikes = TokenBucket(rate, limits.abuse_limit, now)
        if not self._strikes.take(now, weight):
            self._doom(CloseCode.ABUSE, "too many errors in a short time")

    def _name_problem(self, kind: Any, name: str) -> Problem | None:
        sentence = check_name(kind, name, self._env.limits.max_name_length)
        return Problem(f"bad_{kind}", sentence) if sentence else None


def connection_cell(
    path: str,
    request: UpgradeRequest,
    environment: ConnectionEnvironment,
    dead_letters: DeadLetters,
) -> ActorCell[Any]:
    """Make the cell of a connection; the last part of its path is the client's id.

    The mailbox never overflows: reading pauses before, and one read brings a bounded number.
    """
    client_id = path.rpartition("/")[2]
    limits, read = environment.limits, environment.websocket.read_buffer_size
    mailbox: Mailbox[Any] = Mailbox(
        max_messages=MAX_WAITING_MESSAGES + read // SMALLEST_MESSAGE + 1,
        max_bytes=MAX_WAITING_BYTES + limits.max_message_bytes + read,
    )
    requests, sock = [request], request.sock

    def incarnation() -> ConnectionActor:
        # Handed over, not kept: the request's head would stay in memory with the connection.
        return ConnectionActor(client_id, requests.pop() if requests else None, environment)

    return ActorCell(
        path,
        incarnation,
        mailbox=mailbox,
        dead_letters=dead_letters,
        on_terminated=lambda _: sock.close(),
    )


def _busy(room: str) -> Problem:
    return Problem("room_busy", f"The room '{room}' is too busy; try again later.")
