"""HTTP/1.1 on one socket: request after request, until it is over or becomes a WebSocket.

h11 reads and writes (docs/http.md says why nothing stands between). A connection is one task that
does one thing at a time, so what may be waited for can be read here from top to bottom, and each
wait for the client has its deadline: the first byte, the rest of the head, the body, each piece of
the answer that it takes, and the moment it has to hear the last one.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import h11
import trio
from attrs import evolve
from starlette.types import ASGIApp, Scope

from ...config import LogSampler, get_logger
from ..limits import ConnectionSlot, Grant, Shares
from ..protocols import NATIVE, ClientProtocol
from ..sockets import (
    GONE,
    UPGRADED,
    HeadReader,
    Opening,
    Refusal,
    RequestHead,
    UpgradeRequest,
    choose_route,
    client_address,
    response_bytes,
)
from .answers import EXPOSED
from .body import NO_MEMORY, HttpLimits, read_body
from .exchange import RECEIVE_BYTES, Exchange, receive, scope_of, send_all
from .request_memory import RequestMemory

__all__ = ["HttpServer", "OnUpgrade", "Privileged"]

OnUpgrade: TypeAlias = Callable[[UpgradeRequest], Refusal | None]
"""Takes an upgrade request over with its socket (None), or says why not. Must not wait."""

Privileged: TypeAlias = Callable[[Scope], bool]
"""Says whether a request is answered also where there is no room."""

LINGER: Final = 1.0
"""Seconds that a client may take to read its last answer: a close with unread bytes destroys it."""

HASTE: Final = 2.0
"""Seconds that a client may take for its head where there is no room for it."""

_LINGER_READS: Final = 256

_TOO_SLOW: Final = Refusal(408, "The request did not arrive in time; send it in one go.")
_FAILED: Final = Refusal(500, "The pod failed on this request; its log says why.")
_BUSY: Final = Refusal(
    503, "Too many connections at once; try again later.", (("Retry-After", "1"),)
)
_STOPPING: Final = Refusal(
    503, "This pod is stopping; try again in a moment.", (("Retry-After", "1"),)
)
_TOO_MANY: Final = Refusal(
    429,
    "Your address has its share of connections already (limits.maxHttpConnections, "
    "limits.addressShare); wait for an answer before you ask for more.",
    (("Retry-After", "1"),),
)

_COUNTED: Final = {_BUSY: "overload", _STOPPING: "stopping"}
"""What refusals are counted as that do not go by their status."""

_log = get_logger("realtime")


def _nowhere(_: UpgradeRequest) -> Refusal:
    return Refusal(404, "There is no WebSocket at this address.")


class HttpServer:
    """Serves an ASGI application, one connection a call. It holds nothing between calls.

    Upgrades go to `on_upgrade`; where there is no `websocket`, a request that only looks whether
    there is one is told so. Overflow (see `ConnectionSlots`) is answered if it is `privileged`.
    Pages of `origins` may read also why they are refused. `memory` are the bytes that bodies and
    answers may take while they are on their way; without it nobody counts them. `protocols` are
    what clients may speak in a WebSocket, that of those who ask for none first.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: HttpLimits | None = None,
        *,
        on_upgrade: OnUpgrade = _nowhere,
        privileged: Privileged = lambda scope: False,
        websocket: bool = True,
        origins: Sequence[str] = (),
        memory: Shares | None = None,
        protocols: Sequence[ClientProtocol] = (NATIVE,),
    ) -> None:
        self.app = app
        self.protocols = protocols
        self.origins = origins
        self.limits = limits or HttpLimits()
        self.websocket = websocket
        self._on_upgrade = on_upgrade
        self._privileged = privileged
        self._memory = Shares(sys.maxsize) if memory is None else memory
        self._crashes = LogSampler()

    async def serve(self, sock: socket.socket, peer: tuple[str, int], slot: ConnectionSlot) -> str:
        """Answer requests until the client goes, falls silent, or nobody may wait any more.

        `sock` is non-blocking; it stays open, to be closed by the caller, who is told what became
        of the connection: `UPGRADED`, when it belongs to somebody else now; the name of the
        status with which it was refused; `GONE`; or "" where all was well. A request under way is
        answered also when nobody may wait; cancelling cuts it off.
        """
        connection = _HttpConnection(self, sock, peer, slot)
        try:
            return await connection.run()
        except OSError:
            return "" if connection.answered else GONE

    def upgrade(self, request: UpgradeRequest) -> Refusal | None:
        """Hand a WebSocket on, or say why not."""
        try:
            return self._on_upgrade(request)
        except Exception:  # noqa: BLE001 - a bug behind one request must not end the others
            self.tell_of_crash("an upgrade request crashed its handler")
            return _FAILED

    def refuse(self, scope: Scope, slot: ConnectionSlot) -> Refusal | None:
        """Say why a request is not answered at this moment, or None."""
        if slot.evicted:  # in the moment in which its head came
            return _STOPPING if slot.closing else _BUSY
        grant = slot.grant
        if grant:
            grant = slot.account(scope["client"][0])
        elif self._privileged(scope):
            return None
        return {Grant.OVER_SHARE: _TOO_MANY, Grant.NONE_LEFT: _BUSY}.get(grant)

    def memory(self, scope: Scope) -> RequestMemory:
        """Return what a request may have us hold: nothing yet."""
        return RequestMemory(self._memory, scope["client"][0], lambda: self._privileged(scope))

    def tell_of_crash(self, what: str) -> None:
        """Log the exception that is being handled, at a limited rate: all may meet the same bug."""
        suppressed = self._crashes.admit(what)
        if suppressed is not None:
            _log.exception(what, suppressed=suppressed)


class _HttpConnection:
    """One connection: its requests, one after the other."""

    def __init__(
        self, server: HttpServer, sock: socket.socket, peer: tuple[str, int], slot: ConnectionSlot
    ) -> None:
        self._server = server
        self._limits = server.limits
        self._sock = sock
        self._peer = peer
        self._slot = slot
        self._local = _address_of(sock)
        self.answered = False
        self._reader = HeadReader(self._limits.max_head_bytes)  # of the request under way
        self._http = self._reader.http
        self._rest = b""  # what has come of the next request

    async def run(self) -> str:
        """Answer until there is an end, and say which."""
        while True:
            head = await self._read_head()
            if head is None:
                return "" if self.answered else GONE
            if isinstance(head, Refusal):
                return await self._refuse(head)
            scope = scope_of(head, (self._address(head), self._peer[1]), self._local)
            route = self._server.refuse(scope, self._slot) or choose_route(
                head, websocket=self._server.websocket, protocols=self._server.protocols
            )
            if isinstance(route, Opening):
                refusal = self._upgrade(head, route)
                return UPGRADED if refusal is None else await self._refuse(refusal, head)
            if route is not None:
                return await self._refuse(route, head)
            memory = self._server.memory(scope)
            try:
                ended = await self._exchange(head, scope, memory)
            finally:
                memory.clear()
            if ended is not None:
                return ended

    async def _exchange(self, head: RequestHead, scope: Scope, memory: RequestMemory) -> str | None:
        """Hear a request out and answer it; None: another may come."""
        limits, slot = self._limits, self._slot
        body = await read_body(self._http, self._sock, head, limits, slot, memory)
        if not isinstance(body, bytes):
            return await self._refuse(body or self._no_room(), head)
        return await self._answer(head, scope, body, memory)

    # A request ----------------------------------------------------------------------------------

    async def _read_head(self) -> RequestHead | Refusal | None:
        """Wait for a request's head. None: there is none, and nobody to be told why."""
        limits, slot = self._limits, self._slot
        if self.answered:
            self._reader = HeadReader(limits.max_head_bytes)
        reader = self._reader
        timeout = limits.keep_alive_timeout if self.answered else limits.head_timeout
        with trio.CancelScope() as waiting:
            waiting.deadline = trio.current_time() + (timeout if slot.granted else HASTE)
            slot.account("")
            slot.wait(waiting.cancel, trio.current_time())
            head = await self._feed(reader, waiting)
            slot.work()
            self._http = reader.http
            return head
        return self._missed_head(begun=reader.begun)

    async def _feed(
        self, reader: HeadReader, waiting: trio.CancelScope
    ) -> RequestHead | Refusal | None:
        """Let the reader have what was sent ahead, and what comes, until it has a head."""
        data, self._rest = self._rest, b""
        if data:
            await trio.lowlevel.checkpoint()
        else:
            data = await receive(self._sock)
        if self.answered:
            waiting.deadline = trio.current_time() + self._limits.head_timeout
        while data:
            head = reader.feed(data)
            if head is not None:
                return head
            data = await receive(self._sock)
        return None

    def _missed_head(self, *, begun: bool) -> Refusal | None:
        """Say what is told to a client whose head did not come while there was time for it."""
        self._slot.work()
        if self.answered and not begun:
            return None
        return self._no_room() if self._slot.evicted else _TOO_SLOW

    def _no_room(self) -> Refusal:
        """Say why the slot was taken back."""
        return _STOPPING if self._slot.closing else _BUSY

    def _address(self, head: RequestHead) -> str:
        """Return the address of who sent a request; "" where a trusted proxy does not say."""
        peer, trusted = self._peer[0], self._limits.trusted
        return client_address(peer, head.values(b"x-forwarded-for"), trusted) if trusted else peer

    # What becomes of it -------------------------------------------------------------------------

    def _upgrade(self, head: RequestHead, opening: Opening) -> Refusal | None:
        rest = self._http.trailing_data[0]
        request = UpgradeRequest(self._sock, opening, rest, head.texts(), *self._peer)
        return self._server.upgrade(request)

    async def _answer(
        self, head: RequestHead, scope: Scope, body: bytes, memory: RequestMemory
    ) -> str | None:
        """Let the application answer; None: another request may come."""
        slot, http = self._slot, self._http
        exchange = Exchange(
            http,
            self._sock,
            body,
            only_head=head.method == "HEAD",
            timeout=self._limits.send_timeout,
            memory=memory,
            last=lambda: slot.closing or slot.evicted or not slot.granted,
        )
        try:
            await self._server.app(scope, exchange.receive, exchange.send)
        except* Exception:  # noqa: BLE001 - as above, and Cancelled passes through
            if not exchange.broken:
                self._server.tell_of_crash("an HTTP request crashed its handler")
        self.answered = True
        if exchange.crowded is not None and not exchange.begun:
            return await self._refuse(NO_MEMORY[exchange.crowded], head)
        if exchange.broken:
            return ""
        if not exchange.over:
            if not exchange.begun:
                await self._refuse(_FAILED, head)
            return ""  # in the middle: only a close says that this was not all
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            await self._part()
            return ""
        self._rest = http.trailing_data[0]
        return None

    async def _refuse(self, refusal: Refusal, head: RequestHead | None = None) -> str:
        """Answer with an error, the last of this connection, and say how it is counted."""
        only_head = head is not None and head.method == "HEAD"
        reason = _COUNTED.get(refusal, refusal.reason)
        origin = self._reader.origin if self._server.origins else ""
        if origin in self._server.origins:
            refusal = evolve(refusal, headers=(*refusal.headers, *_readable(origin)))
        answer = response_bytes(refusal, only_head=only_head)
        if self._slot.evicted and not self._slot.closing:  # somebody waits for the slot
            with suppress(OSError):
                self._sock.send(answer)
                self._sock.shutdown(socket.SHUT_WR)
                self._sock.recv(RECEIVE_BYTES)
        else:
            with trio.move_on_after(LINGER), suppress(OSError):
                await send_all(self._sock, answer, LINGER)
                await self._part()
        return reason

    async def _part(self) -> None:
        """Half-close, and wait a little until the client has read its answer and gone."""
        with trio.CancelScope() as waiting, suppress(OSError):
            waiting.deadline = trio.current_time() + LINGER
            if not self._slot.closing:
                self._slot.wait(waiting.cancel, trio.current_time())
            self._sock.shutdown(socket.SHUT_WR)
            for _ in range(_LINGER_READS):
                if not await receive(self._sock):
                    return


def _readable(origin: str) -> tuple[tuple[str, str], ...]:
    """Let a page of an allowed origin read an answer (Fetch section 3.2)."""
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Expose-Headers", ", ".join(EXPOSED)),
        ("Vary", "Origin"),
    )


def _address_of(sock: socket.socket) -> tuple[str, int] | None:
    """Return the address that a client has reached; behind our TLS there is none."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    with suppress(OSError):
        host, port = sock.getsockname()[:2]
        return host, port
    return None
