"""What every request passes before the application: a whole body, within a size and a time."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import trio
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..forwarded import Networks, client_address

__all__ = ["Gate", "error_body", "error_headers"]


class Gate:
    """ASGI middleware: reads the whole body first, within a size and a time, or refuses it.

    A WebSocket can only be the first request of a connection, which the listener sees, not this.
    Whom the application sees as the client is who sent the request, where a `trusted` proxy says
    so, and otherwise who holds the connection.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, timeout: float, trusted: Networks = ()
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] == "websocket":
            await _refuse(
                receive, send, 400, "Open a connection of its own for a WebSocket.", "websocket."
            )
            return
        if _has_two_lengths(scope):
            await _refuse(receive, send, 400, "Say how long the body is once, not in two ways.")
            return
        body: bytes | None = b""
        with trio.move_on_after(self._timeout) as patience:
            try:
                body = await self._read(scope, receive)
            except ClientDisconnect:
                return  # what it had said until then is no request, even if it reads like one
        if patience.cancelled_caught:
            await _refuse(receive, send, 408, f"Send the body within {self._timeout:g} seconds.")
        elif body is None:
            await _refuse(receive, send, 413, f"Send a body of at most {self._max_bytes} bytes.")
        else:
            self._name_client(scope)
            await self._app(
                scope, _replay(body, receive), _in_one_piece(scope["state"]["hold"], send)
            )

    def _name_client(self, scope: Scope) -> None:
        if self._trusted and scope["client"] is not None:
            peer, port = scope["client"]
            values = [v.decode("latin-1") for n, v in scope["headers"] if n == b"x-forwarded-for"]
            scope["client"] = (client_address(peer, values, self._trusted), port)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        if _declared_length(scope) > self._max_bytes:
            return None
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                return None
        return bytes(body)


def error_body(sentence: str) -> bytes:
    """Return the body of an answer that is an error."""
    return orjson.dumps({"error": sentence})


def error_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header fields of an answer that is an error and the last of its connection."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]


def _has_two_lengths(scope: Scope) -> bool:
    """Say whether a proxy may have seen another body than we do (RFC 9112 section 6.1)."""
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names and b"transfer-encoding" in names


def _declared_length(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths else 0  # h11 has checked that it is a number


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _in_one_piece(hold: Callable[[], None], send: Send) -> Send:
    """Let the head of an answer wait for its body: ASGI wants that, and it is one write less."""

    async def joined(message: Message) -> None:
        if message["type"] == "http.response.start":
            hold()
        await send(message)

    return joined


async def _refuse(
    receive: Receive, send: Send, status: int, sentence: str, extension: str = ""
) -> None:
    body = error_body(sentence)
    headers = error_headers(body)
    async with trio.open_nursery() as nursery:
        # While the rest of the body fills its queue, Hypercorn cannot even close the connection.
        nursery.start_soon(_discard, receive)
        await send(
            {"type": f"{extension}http.response.start", "status": status, "headers": headers}
        )
        await send({"type": f"{extension}http.response.body", "body": body})
        nursery.cancel_scope.cancel()


async def _discard(receive: Receive) -> None:
    while True:
        await receive()
