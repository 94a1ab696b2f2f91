"""One request and its answer, as an ASGI application sees them: over h11, written to a socket.

Source: ASGI 3.0, HTTP connection scope; RFC 9110 and 9112 for what an answer must be.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.client import responses
from typing import Final
from urllib.parse import unquote

import h11
import trio
from starlette.types import Message, Scope

from ..limits import Grant
from ..sockets import RequestHead, http_date
from .request_memory import RequestMemory

__all__ = ["RECEIVE_BYTES", "Exchange", "receive", "scope_of", "send_all"]

RECEIVE_BYTES: Final = 64 * 1024
"""Read at a time."""

_JOINED_BYTES: Final = 64 * 1024
"""Up to which the pieces of an answer are put together into one write."""

_MOST_AHEAD: Final = 64 * 1024
"""Bytes of requests that a client may send ahead while the application waits for it to go."""

_BODILESS: Final = (204, 304)
_VERSIONS: Final = {"version": "3.0", "spec_version": "2.4"}


class Exchange:
    """What a client has asked, and what becomes of the answer.

    `begun` says whether any of the answer was written, `broken` whether the client does not take
    it: gone, or not reading for `timeout` seconds. What is written counts in `memory`; where
    there is no room for it, `crowded` says whose fault that is. Whether this is the `last` of its
    connection is asked when the answer begins.
    """

    def __init__(
        self,
        http: h11.Connection,
        sock: socket.socket,
        body: bytes,
        *,
        only_head: bool,
        timeout: float,
        memory: RequestMemory,
        last: Callable[[], bool],
    ) -> None:
        self._http = http
        self._sock = sock
        self._body: bytes | None = body
        self._only_head = only_head
        self._timeout = timeout
        self._memory = memory
        self._last = last
        self._held: list[bytes] = []
        self.begun = False
        self.broken = False
        self.crowded: Grant | None = None

    @property
    def over(self) -> bool:
        """Whether the answer was written to its end."""
        return self.begun and self._http.our_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

    async def receive(self) -> Message:
        """Return the whole body, and after it wait until nobody waits for an answer any more."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        while not (self.over or self.broken):
            if len(self._http.trailing_data[0]) > _MOST_AHEAD:
                await trio.sleep_forever()
            try:
                data = await receive(self._sock)
            except OSError:
                data = b""
            self._http.receive_data(data)
            self.broken = not data
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Write the answer as it comes; the head waits for what follows it, and goes with it.

        Raises `OSError` when the client does not take it, `h11.LocalProtocolError` or
        `RuntimeError` for what is no answer.
        """
        if self.broken:
            raise ConnectionAbortedError("the client has gone")
        if message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body":
            await self._continue(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"nothing that an answer can be made of: {message['type']}")

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._only_head = self._only_head or status in _BODILESS
        fields = [field for field in headers if status != 204 or field[0] != b"content-length"]
        fields.append((b"date", http_date().encode()))
        if self._last():
            fields.append((b"connection", b"close"))
        response = h11.Response(
            status_code=status, headers=fields, reason=responses.get(status, "").encode()
        )
        self._held = [self._http.send(response)]

    async def _continue(self, data: bytes, *, more: bool) -> None:
        pieces, self._held = self._held, []
        if data and not self._only_head:
            self._take_up(len(data))
            pieces += self._http.send_with_data_passthrough(h11.Data(data=data)) or []
        if not more:
            pieces.append(self._http.send(h11.EndOfMessage()))
        if sum(map(len, pieces)) <= _JOINED_BYTES:
            pieces = [b"".join(pieces)]
        self.begun = True
        try:
            for piece in filter(None, pieces):
                await send_all(self._sock, piece, self._timeout)
            if not more and self._http.our_state is h11.MUST_CLOSE:
                self._sock.shutdown(socket.SHUT_WR)  # it is over, whatever runs on
        except OSError:
            self.broken = True
            raise
        if more:
            self._memory.clear()

    def _take_up(self, nbytes: int) -> None:
        """Make room for a piece that a slow client would have us hold. Raises `OSError`."""
        grant = self._memory.add(nbytes)
        if not grant:
            self.broken, self.crowded = True, grant
            raise ConnectionAbortedError("there is no room for the answer")


def scope_of(head: RequestHead, client: tuple[str, int], server: tuple[str, int] | None) -> Scope:
    """Return what an application is told of a request before its body."""
    return {
        "type": "http",
        "asgi": _VERSIONS,
        "http_version": head.version,
        "method": head.method,
        "scheme": "http",
        "path": unquote(head.path),
        "raw_path": head.path.encode("ascii"),
        "query_string": head.query.encode("ascii"),
        "root_path": "",
        "headers": head.fields,
        "client": client,
        "server": server,
        "state": {},
    }


async def receive(sock: socket.socket) -> bytes:
    """Return what comes next, nothing at the end. Whoever awaits it sets the deadline.

    Waiting for the socket before each read, not after a failed one, is what keeps a client that
    never stops sending from keeping every other task from running.
    """
    while True:
        await trio.lowlevel.wait_readable(sock)
        try:
            return sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            continue


async def send_all(sock: socket.socket, data: bytes | memoryview, timeout: float) -> None:
    """Send everything. Raises `TimeoutError` when none of it is taken for `timeout` seconds."""
    view = memoryview(data)
    while True:
        with suppress(BlockingIOError):
            view = view[sock.send(view) :]
        if not view:
            return
        with trio.move_on_after(timeout) as waiting:
            await trio.lowlevel.wait_writable(sock)
        if waiting.cancelled_caught:
            raise TimeoutError("the client does not read its answer")
