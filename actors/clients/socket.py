"""A client's WebSocket as its actor has it: what comes is handled in the turn in which it is read.

What ends it goes into the mailbox. Nothing here waits but `listen`, `close` and `abandon`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from attrs import frozen

from ...transport import (
    CloseCode,
    Closure,
    Meters,
    OutboxFailure,
    Spawn,
    UpgradeRequest,
    WebSocket,
    WebSocketLimits,
)
from ..runtime import ActorRef
from .backpressure import Backpressure

__all__ = ["ClientSocket", "Closing", "Ended", "Hear", "RulesChanged"]

Hear: TypeAlias = Callable[[str | bytes, int, float], None]
"""Handles a message of the client: of so many bytes on the wire, read at this time (trio's)."""


@frozen
class RulesChanged:
    """The access rules are others now."""


@frozen
class Ended:
    """The socket is closed."""

    closed: Closure


@frozen
class Closing:
    """The connection must be closed with this code; `abandon` when the client does not read."""

    code: CloseCode
    reason: str
    abandon: bool = False


class ClientSocket:
    """Tells the actor of what becomes of its socket: `Inbox` of the reader, `Pulse` of the pod.

    The request's socket is ours once this returns. Whoever makes one must see to it that `close`
    or `abort` is called, and at last `let_go`: the WebSocket and this call each other, and only
    the collector would free the two.
    """

    __slots__ = (
        "_actor",
        "_counted",
        "_hear",
        "_meters",
        "_protocol",
        "_websocket",
        "backpressure",
        "outbox",
        "received",
    )

    def __init__(
        self,
        actor: ActorRef[Any],
        hear: Hear,
        wake: Callable[[], None],
        request: UpgradeRequest,
        limits: WebSocketLimits,
        meters: Meters,
    ) -> None:
        self._actor = actor
        self._hear: Hear = hear
        self._meters = meters
        self._protocol = request.opening.protocol
        self._counted = (0, 0)
        self.backpressure = Backpressure(wake)
        self.received = 0
        """Messages of the client."""
        self._websocket = WebSocket(request.sock, request.opening, limits, self, rest=request.rest)
        self.outbox = self._websocket.outbox

    def attach(self, spawn: Spawn) -> None:
        """Say where tasks may run as long as the client is there."""
        self._websocket.attach(spawn)

    def listen(self) -> Awaitable[None]:
        """Read until called away, or until the connection is over: of that the actor is told."""
        return self._websocket.listen()

    def call_away(self) -> None:
        """End `listen`, now or when it is called next."""
        self._websocket.call_away()

    def want_closed(self, code: CloseCode, reason: str, *, abandon: bool = False) -> None:
        """Have the actor close the connection, whatever waits for it."""
        self._actor.signal(Closing(code, reason, abandon))

    async def close(self, code: CloseCode, reason: str) -> None:
        """Say goodbye, as the client's protocol does, and close."""
        farewell = self._protocol.farewell(code, reason)
        if farewell is not None:
            self._websocket.say(farewell)
        await self._websocket.close(code, reason)

    async def abandon(self, code: CloseCode, reason: str) -> None:
        """Close, and forget what waits: the client does not read."""
        await self._websocket.abandon(code, reason)

    def abort(self) -> None:
        """Close now."""
        self._websocket.abort()

    def count_written(self) -> None:
        """Add what the kernel has taken since this was last called to the pod's meters."""
        meters, (messages, nbytes) = self._meters, self.outbox.written
        meters.messages_sent += messages - self._counted[0]
        meters.bytes_sent += nbytes - self._counted[1]
        self._counted = messages, nbytes

    def let_go(self) -> None:
        """Part from the WebSocket and from the actor's code."""
        del self._websocket, self.outbox, self._hear

    # Inbox: called while the socket is read, must not wait -------------------------------------

    def put(self, message: str | bytes, nbytes: int) -> None:
        """Have a whole message from the socket handled."""
        self.received += 1
        self._meters.messages_received += 1
        self._meters.bytes_received += nbytes
        self._hear(message, nbytes, self._websocket.last_received)

    @property
    def full(self) -> bool:
        """Whether too much waits for full rooms; when it does not, the actor is woken."""
        return self.backpressure.full

    def ended(self, closure: Closure) -> None:
        """Tell the actor that the connection is over."""
        self._actor.signal(Ended(closure))

    def outbox_failed(self, failure: OutboxFailure) -> None:
        """Close the connection: the client does not read, or its socket is broken."""
        if failure is OutboxFailure.OVERFLOW:
            reason = "too many messages wait for you"
            self.want_closed(CloseCode.SLOW_CONSUMER, reason, abandon=True)
        elif failure is OutboxFailure.STALLED:
            self.want_closed(CloseCode.DEAD_CLIENT, "you have stopped reading", abandon=True)
        else:
            self.ended(Closure(1006, "connection broken", by_peer=True))

    # Pulse: called by the heartbeat ------------------------------------------------------------

    @property
    def last_received(self) -> float:
        """When the last byte came from the client (seconds of trio's clock)."""
        return self._websocket.last_received

    @property
    def paused(self) -> bool:
        """Whether the pod has stopped reading from this client."""
        return self._websocket.paused

    def ping(self) -> None:
        """Ping the client, as its protocol does."""
        ping = self._protocol.ping
        if ping is None:
            self._websocket.ping()
        else:
            self._websocket.say(ping)

    def flatline(self) -> None:
        """Close the connection: the client has not answered a ping."""
        self.want_closed(CloseCode.PONG_TIMEOUT, "no answer to a ping", abandon=True)
