"""The actor of one WebSocket connection: its socket, its life, and how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import trio
from attrs import evolve, frozen

from ...config import get_logger, tracing
from ...transport import (
    JSON,
    Auth,
    ClientMessage,
    ClientProtocol,
    CloseCode,
    Connected,
    Emit,
    Event,
    Failed,
    Join,
    Leave,
    Ping,
    PodMessage,
    Pong,
    Problem,
    RequestId,
    UpgradeRequest,
    WireError,
    encode_data,
    has_vanished,
)
from ..cluster import DEGRADED
from ..rooms import Member
from ..runtime import Actor, ActorCell, ActorRef, DeadLetters, Exit, Timer, handles
from .environment import ConnectionEnvironment
from .errands import Errand
from .rate_limits import RateExceeded, RateLimits, strike_for
from .session import Session
from .socket import ClientSocket, Closing, Ended, RulesChanged

__all__ = ["ConnectionActor", "connection_cell"]

_log = get_logger("realtime")


@frozen
class Received:
    """A message on which the actor crashed; `nbytes` on the wire, read at `at` (trio's seconds)."""

    message: str | bytes
    nbytes: int
    at: float


@frozen
class ErrandFailed:
    """What an errand of the connection raised."""

    error: Exception


class ConnectionActor(Actor):
    """One client. It decodes, limits and answers; what is said in rooms goes past it.

    Rooms write frames straight into `socket.outbox`. What the client sends is handled in the turn
    in which it is read, without a switch of tasks; while much of it waits for rooms that are full,
    the pod stops reading from the client.
    """

    attempts: ClassVar[int] = 1

    def __init__(
        self, client_id: str, request: UpgradeRequest | None, environment: ConnectionEnvironment
    ) -> None:
        self._client_id = client_id
        self._request = request
        self._env = environment
        self._rates: RateLimits | None = None  # until it says something
        self._expiry: Timer | None = None
        self._overdue: Timer | None = None
        self._open = False
        self._connected_at = 0.0

    # Life ----------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Answer the handshake and greet."""
        request, self._request = self._request, None
        if request is None:  # a socket cannot be opened twice
            self.stop("connection lost")
            return
        env = self._env
        self.socket = ClientSocket(
            self.ref, self._hear, self.wake, request, env.websocket, env.meters
        )
        remote = request.remote
        local = env.premises.own((remote, request.port), request.headers)
        protocol = request.opening.protocol
        self.member = Member(
            self._client_id, self.ref, self.socket.outbox, remote, protocol, local=local
        )
        self.session = Session(self.member, env, self.socket.backpressure)
        env.members[self._client_id] = self.member
        env.meters.opened += 1
        env.heartbeat.watch(self.socket, trio.current_time())
        self._demand_token()
        self._open = True
        self._connected_at = env.wall()
        limit = env.limits.max_message_bytes
        self._answer(Connected(self._client_id, limit, self._connected_at))
        self._warn_of_outage()
        _log.debug("connected", client=self._client_id, address=request.remote)

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Have a place for errands as long as it lives, and close the socket however it ends."""
        if not self._open:
            return
        self.session.attach(self._begin)
        self.socket.attach(self._begin)
        code, reason = CloseCode.SERVICE_RESTART, ""
        try:
            await loop()
        except Exception:
            code, reason = CloseCode.INTERNAL_ERROR, "the server failed on this connection"
            raise
        finally:
            try:
                await self._part(code, reason)
            finally:
                self._let_go()

    async def _part(self, code: CloseCode, reason: str) -> None:
        self._leave_all(reason or "disconnected", code)
        if self._open:
            self._env.meters.closed[code] += 1
            await self.socket.close(code, reason or self._retry_hint())
        self.socket.abort()
        self.socket.count_written()

    def listen(self) -> Awaitable[None]:
        """Read from the socket whenever there is nothing else to do."""
        return self.socket.listen()

    def call_away(self) -> None:
        """Stop reading: there is something else to do."""
        self.socket.call_away()

    def _begin(self, errand: Errand) -> None:
        self._env.errands.start(partial(_run_errand, errand, self.ref))

    @handles(ErrandFailed)
    async def _on_errand_failed(self, failed: ErrandFailed) -> None:
        raise failed.error

    def _let_go(self) -> None:
        """Part from the socket, or only the collector would free it."""
        self._open = False
        self.socket.let_go()
        del self.socket, self.member, self.session

    def _warn_of_outage(self) -> None:
        env = self._env
        outage = None if env.uplink is None else env.uplink.degraded
        if outage is not None:
            data, event_id = encode_data(outage.to_json()), env.event_ids()
            self._answer(Event(None, DEGRADED, data, event_id, 0, env.wall()))

    def _leave_all(self, reason: str, code: int) -> None:
        if self._env.members.pop(self._client_id, None) is None:
            return  # it has left all: once more would forget the answers that it may come back for
        self._env.heartbeat.forget(self.socket)
        self.session.end(reason, vanished=has_vanished(code))
        # In the same turn as it leaves the members, whose sockets are counted while they live.
        self.socket.count_written()

    def _retry_hint(self) -> str:
        return f"retry_after={self._env.retry_after():.1f}"

    def describe(self) -> Mapping[str, JSON]:
        """Show who the client is and what waits for it; never what it says, nor its token."""
        if not self._open:
            return {}
        outbox = self.socket.outbox.statistics()
        return {
            "address": self.member.address,
            "user": self.member.user_id,
            "root": self.member.is_root,
            "rooms": self.session.rooms,
            "connected_at": self._connected_at,
            "last_received_seconds": round(trio.current_time() - self.socket.last_received, 3),
            "received_messages": self.socket.received,
            "waiting_messages": outbox.waiting_messages,
            "waiting_bytes": outbox.waiting_bytes,
            "written_messages": outbox.written_messages,
        }

    # What the client says ------------------------------------------------------------------

    def _hear(self, text: str | bytes, nbytes: int, at: float) -> None:
        """Handle a message; see `Hear`."""
        if not self._open:
            return
        try:
            self._obey(_read(self.member.protocol, text), nbytes, at)
        except Exception:
            self.blame(Received(text, nbytes, at))
            raise

    def _obey(self, message: ClientMessage | WireError, nbytes: int, at: float) -> None:
        joins = isinstance(message, Join)
        rates = self._rates
        if rates is None or rates.limits is not self._env.limits:
            rates = self._rates = RateLimits(self._env.limits, at)
        excess = rates.judge(at, nbytes, joins=joins)
        if excess is not None:
            self._too_fast(excess, message)
            return
        if isinstance(message, WireError):
            self._refuse(Problem(message.code, message.sentence, message.room), message.id)
            return
        if isinstance(message, Ping):  # whoever it is, and whatever it waits for
            self._answer(Pong(self._env.wall(), message.id))
            return
        if tracing():
            kind, request_id = type(message).__name__.lower(), message.id
            _log.debug("client says", client=self._client_id, kind=kind, id=request_id)
        problem = self.session.act(message, nbytes, at)
        if problem is not None:
            if isinstance(message, Join | Leave | Emit):
                problem = evolve(problem, room=message.room)
            self._refuse(problem, message.id)
        elif isinstance(message, Auth):
            self._watch_expiry()
        self._watch_answers()

    # What ends it --------------------------------------------------------------------------

    @handles(Ended)
    async def _on_ended(self, message: Ended) -> None:
        self._open = False
        self._env.meters.closed_by_peer(message.closed.code)
        reason = f"closed {message.closed.code}"
        self._leave_all(reason, message.closed.code)
        self.stop(reason)

    @handles(Closing)
    async def _on_closing(self, message: Closing) -> None:
        suppressed = self._env.sampler.admit(f"closing a client: {message.code.name}")
        if suppressed is not None:
            _log.info(
                "closing a client",
                client=self._client_id,
                address=self.member.address,
                code=int(message.code),
                reason=message.reason,
                suppressed=suppressed,
            )
        self._env.meters.closed[message.code] += 1
        self._leave_all(message.reason, message.code)
        close = self.socket.abandon if message.abandon else self.socket.close
        await close(message.code, message.reason)
        self._open = False
        self.stop(message.reason)

    @handles(RulesChanged)
    async def _on_rules_changed(self, _: RulesChanged) -> None:
        self.session.review()

    # Tokens ----------------------------------------------------------------------------------

    def _watch_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        identity = self.member.identity
        if identity is not None and identity.expires_at is not None:
            seconds = identity.expires_at + self._env.auth.leeway - self._env.wall()
            self._expiry = self.after(max(0.0, seconds), self._token_expired)

    async def _token_expired(self) -> None:
        self._expiry = None
        if self._env.auth.on_expiry == "close":
            self.socket.want_closed(CloseCode.TOKEN_EXPIRED, "your token has expired")
            return
        self._tell(self.session.downgrade())
        self._watch_answers()  # it may say nothing more that would have us look
        self._demand_token()

    def _demand_token(self) -> None:
        if self._env.auth.required:
            self.after(self._env.auth.timeout, self._auth_overdue)

    async def _auth_overdue(self) -> None:
        if not self.member.authenticated:
            self.socket.want_closed(CloseCode.AUTH_TIMEOUT, "no 'auth' message in time")

    # Answers ---------------------------------------------------------------------------------

    def _watch_answers(self) -> None:
        """See to it that what rooms do not answer is answered in time."""
        if self._overdue is None and (due := self.session.due()) is not None:
            self._overdue = self.after(max(0.0, due - trio.current_time()), self._answers_due)

    async def _answers_due(self) -> None:
        self._overdue = None
        self.session.answer_overdue()
        self._watch_answers()

    def _answer(self, message: PodMessage) -> None:
        self.member.say(message)

    def _tell(self, problem: Problem, request_id: RequestId = None) -> None:
        self._answer(Failed(problem, self._env.wall(), request_id))

    def _refuse(self, problem: Problem, request_id: RequestId) -> None:
        self._tell(problem, request_id)
        self._strike(strike_for(problem.code))

    def _too_fast(self, excess: RateExceeded, message: ClientMessage | WireError) -> None:
        """Drop a message. Who waits for its answer gets one; `abuseLimit` bounds how often."""
        self._env.meters.rate_limited[excess.limit] += 1
        if not excess.told or message.id is not None or isinstance(message, Join):
            room = getattr(message, "room", None)
            problem = Problem("too_fast", excess.sentence, room, excess.retry_after)
            self._tell(problem, message.id)
        self._strike(strike_for("too_fast"))

    def _strike(self, weight: float) -> None:
        if self._rates is not None and self._rates.strike(trio.current_time(), weight):
            self.socket.want_closed(CloseCode.ABUSE, "too many errors in a short time")


def _read(protocol: ClientProtocol, message: str | bytes) -> ClientMessage | WireError:
    try:
        return protocol.decode(message)
    except WireError as error:  # as another: what was raised holds the frames that would hold it
        return WireError(error.code, error.sentence, error.id, error.room)


async def _run_errand(errand: Errand, ref: ActorRef[Any]) -> None:
    """Run an errand: what it raises ends the connection that it is for, and no other."""
    try:
        await errand()
    except Exception as error:  # noqa: BLE001 - raised by the actor
        ref.signal(ErrandFailed(error))


def connection_cell(
    path: str,
    request: UpgradeRequest,
    environment: ConnectionEnvironment,
    dead_letters: DeadLetters,
    ended: Callable[[], None],
) -> ActorCell[Any]:
    """Make the cell of a connection; the last part of its path is the client's id.

    `ended` is called once, when the connection is gone for good. Its mailbox takes signals alone:
    what the client says never waits in it.
    """
    entry = _Arrival(path, request, environment, ended)
    return ActorCell(path, entry.incarnation, dead_letters=dead_letters, on_terminated=entry.close)


class _Arrival:
    """What the cell of a connection keeps for its incarnations, of which there is one."""

    __slots__ = ("_client_id", "_ended", "_environment", "_request", "_sock")

    def __init__(
        self,
        path: str,
        request: UpgradeRequest,
        environment: ConnectionEnvironment,
        ended: Callable[[], None],
    ) -> None:
        self._client_id = path.rpartition("/")[2]
        self._request: UpgradeRequest | None = request
        self._sock = request.sock
        self._environment = environment
        self._ended = ended

    def incarnation(self) -> ConnectionActor:
        # Handed over, not kept: the request's head would stay in memory with the connection.
        request, self._request = self._request, None
        return ConnectionActor(self._client_id, request, self._environment)

    def close(self, _: Exit) -> None:
        self._sock.close()
        self._ended()
