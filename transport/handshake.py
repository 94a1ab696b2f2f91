"""The first request of a connection: what it is, and who may open a WebSocket.

Pure: no socket is touched here.
"""

import enum
import socket
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, TypeAlias

import h11
import orjson
from attrs import frozen

from .origins import refuse_origin

__all__ = [
    "HeadReader",
    "Headers",
    "Refusal",
    "RequestHead",
    "Route",
    "UpgradeRequest",
    "choose_route",
    "is_websocket_path",
    "refuse_upgrade",
    "response_bytes",
]

Headers: TypeAlias = Sequence[tuple[str, str]]
"""Header fields in their order, names in lower case."""

RETRY_AFTER = 5
"""Seconds after which a client that found the pod full may try again."""

_PATHS = ("/socket.io", "/socket.io/")


@frozen
class UpgradeRequest:
    """A request for a WebSocket, with the socket it came on.

    Whoever takes the request over owns `sock`, a non-blocking TCP socket. `head` is the raw
    request and whatever the client sent right behind it; `remote` is the client's address.
    """

    sock: socket.socket
    head: bytes
    target: str
    headers: tuple[tuple[str, str], ...]
    remote: str


@frozen
class Refusal:
    """A request that is answered with an error and closed; `sentence` tells the remedy."""

    status: int
    sentence: str
    headers: tuple[tuple[str, str], ...] = ()


@frozen
class RequestHead:
    """The request line and the header fields of an HTTP/1 request."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]

    @property
    def wants_websocket(self) -> bool:
        """Whether this is the client's half of RFC 6455 section 4.1: a GET that asks to upgrade."""
        return (
            self.method == "GET"
            and "websocket" in self._tokens("upgrade")
            and "upgrade" in self._tokens("connection")
        )

    def _tokens(self, field: str) -> list[str]:
        values = (value for name, value in self.headers if name == field)
        return [token.strip().lower() for value in values for token in value.split(",")]


class HeadReader:
    """Takes bytes until they are a request's head, at most about `max_bytes` of them.

    `raw` is everything taken, with what the client sent right behind the head.
    """

    def __init__(self, max_bytes: int) -> None:
        self.raw = bytearray()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=max_bytes)

    def feed(self, data: bytes) -> RequestHead | Refusal | None:
        """Take bytes; return the head, or why it is none, or None while it is not whole."""
        self.raw += data
        self._http.receive_data(data)
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            return _malformed(error.error_status_hint)
        if not isinstance(event, h11.Request):
            return None
        return RequestHead(
            event.method.decode("ascii"),
            event.target.decode("latin-1"),
            event.http_version.decode("ascii"),
            tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers
            ),
        )


_SWITCHED_OFF: Final = Refusal(
    404,
    "WebSockets are switched off here (REALTIME_ENABLED); set 'enabled' to true to use them.",
)


class Route(enum.Enum):
    """Where a request goes."""

    WEBSOCKET = "websocket"
    HTTP = "http"


def choose_route(head: RequestHead, *, websocket: bool = True) -> Route | Refusal:
    """Decide where a request goes, or why it goes nowhere; `websocket` is whether there is one."""
    if not head.version.startswith("1."):
        return Refusal(505, "Speak HTTP/1.1 here.")
    if is_websocket_path(head.target):
        if head.wants_websocket:
            return Route.WEBSOCKET
        if not websocket:
            return _SWITCHED_OFF
        upgrade = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
        sentence = "This is a WebSocket endpoint: connect with a WebSocket client (RFC 6455)."
        return Refusal(426, sentence, upgrade)
    if head.wants_websocket:
        return Refusal(404, "There is no WebSocket here; connect to /socket.io/.")
    return Route.HTTP


def is_websocket_path(target: str) -> bool:
    """Say whether a request target is the WebSocket endpoint, with any query or none."""
    return target.partition("?")[0] in _PATHS


def refuse_upgrade(
    headers: Headers,
    *,
    allowed: Sequence[str],
    allow_missing: bool,
    open_connections: int,
    max_connections: int,
    enabled: bool,
) -> Refusal | None:
    """Say why a client may not open a WebSocket, or return None when it may.

    `allowed` are exact origins (`https://example.com`); when empty, an origin must be the host
    that the request went to. A forbidden origin is told so also when the pod is full, for it
    need not come back.
    """
    if not enabled:
        return _SWITCHED_OFF
    sentence = refuse_origin(headers, allowed, allow_missing=allow_missing)
    if sentence is not None:
        return Refusal(403, sentence)
    if open_connections >= max_connections:
        return Refusal(
            503,
            f"All {max_connections} connections of this pod are taken; try again later.",
            (("Retry-After", str(RETRY_AFTER)),),
        )
    return None


def response_bytes(refusal: Refusal) -> bytes:
    """Return the whole HTTP/1.1 response to a refused request; the connection closes after it."""
    body = orjson.dumps({"error": refusal.sentence})
    fields = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
        *refusal.headers,
    )
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _malformed(status: int) -> Refusal:
    if status == 431:
        return Refusal(431, "The request's head is too large; send fewer or shorter headers.")
    return Refusal(400, "This is not an HTTP/1.1 request; this port speaks HTTP and WebSocket.")
