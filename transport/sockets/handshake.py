"""Who may open a WebSocket: the opening handshake, judged once, before it costs anything.

Pure: no socket is touched here. What is asked of a request is RFC 6455 section 4.2.1; which pages
may ask is said by `origins`.
"""

import base64
import hashlib
import re
import socket
from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import frozen

from ..protocols import NATIVE, ClientProtocol, choose_protocol
from .deflate import agreed_deflate
from .origins import refuse_origin
from .refusal import Refusal
from .request import RequestHead

__all__ = [
    "Headers",
    "Opening",
    "UpgradeRequest",
    "answer_opening",
    "choose_route",
    "is_websocket_path",
    "refuse_upgrade",
]

Headers: TypeAlias = Sequence[tuple[str, str]]
"""Header fields in their order, names in lower case."""

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
VERSION: Final = "13"
"""Of the protocol, the only one there is (RFC 6455 section 11.6)."""

_PATHS = ("/socket.io", "/socket.io/")
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64

_SPOKEN: Final = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", VERSION),
)
"""What a 426 has to name (RFC 9110 section 15.5.22, RFC 6455 section 4.4)."""
_SWITCHED_OFF: Final = Refusal(
    404,
    "WebSockets are switched off here (REALTIME_ENABLED); set 'enabled' to true to use them.",
)
_ELSEWHERE: Final = Refusal(404, "There is no WebSocket here; connect to /socket.io/.")
_NO_UPGRADE: Final = Refusal(
    426,
    "This is a WebSocket endpoint: connect with a WebSocket client over HTTP/1.1 (RFC 6455).",
    _SPOKEN,
)
_OTHER_VERSION: Final = Refusal(
    426, f"This version of WebSocket is not spoken here; use version {VERSION}.", _SPOKEN
)
_NO_VERSION: Final = Refusal(400, f"Send one header 'Sec-WebSocket-Version: {VERSION}'.")
_BAD_KEY: Final = Refusal(400, "Send one Sec-WebSocket-Key: 16 random bytes in base64.")
_BODY: Final = Refusal(400, "An upgrade request must not have a body.")


@frozen
class Opening:
    """What counts in the client's half of the opening handshake (RFC 6455 section 4.2.1).

    `key` is its nonce, `offers` the extensions it would use, each with its parameters. `protocol`
    is what it will speak, and `agreed` the name to confirm it by, when it asked for one.
    """

    key: str
    offers: tuple[str, ...] = ()
    protocol: ClientProtocol = NATIVE
    agreed: str | None = None


@frozen
class UpgradeRequest:
    """A good request for a WebSocket, with the socket it came on.

    Whoever takes the request over owns `sock`, a non-blocking TCP socket. `rest` is what the
    client sent right behind the head; `remote` is the client's address, and `port` the one that
    the connection comes from.
    """

    sock: socket.socket
    opening: Opening
    rest: bytes
    headers: tuple[tuple[str, str], ...]
    remote: str
    port: int = 0


def choose_route(
    head: RequestHead, *, websocket: bool = True, protocols: Sequence[ClientProtocol] = (NATIVE,)
) -> Opening | Refusal | None:
    """Return the opening of a WebSocket, None for a request of HTTP, or why it is neither.

    `websocket` is whether there is one here; who asks to upgrade is told by others that not.
    `protocols` are what is spoken in it, the usual one first.
    """
    if not is_websocket_path(head.path):
        return _ELSEWHERE if head.wants_websocket else None
    if head.wants_websocket:
        return _opening(head, protocols)
    return _NO_UPGRADE if websocket else _SWITCHED_OFF


def answer_opening(opening: Opening, *, deflates: bool) -> tuple[bytes, bool]:
    """Return the server's half of the handshake (section 4.2.2), and whether messages may deflate.

    `deflates` is whether that may be agreed on.
    """
    fields = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {_accept(opening.key)}",
    ]
    extension = agreed_deflate(opening.offers) if deflates else None
    if extension is not None:
        fields.append(f"Sec-WebSocket-Extensions: {extension}")
    if opening.agreed is not None:
        fields.append(f"Sec-WebSocket-Protocol: {opening.agreed}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1"), extension is not None


def _accept(key: str) -> str:
    digest = hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def is_websocket_path(target: str) -> bool:
    """Say whether a path is the WebSocket endpoint, with any query or none."""
    return target.partition("?")[0] in _PATHS


def _opening(head: RequestHead, protocols: Sequence[ClientProtocol]) -> Opening | Refusal:
    # What follows is read as frames here; whoever stands in front may count it as a body.
    if head.has(b"transfer-encoding") or head.values(b"content-length") not in ([], ["0"]):
        return _BODY
    versions, keys = head.values(b"sec-websocket-version"), head.values(b"sec-websocket-key")
    if len(versions) != 1:  # section 11.3.5
        return _NO_VERSION
    if versions != [VERSION]:
        return _OTHER_VERSION
    if len(keys) != 1 or _KEY.fullmatch(keys[0]) is None:  # section 11.3.1
        return _BAD_KEY
    protocol, agreed = choose_protocol(head.elements(b"sec-websocket-protocol"), protocols)
    return Opening(keys[0], tuple(head.elements(b"sec-websocket-extensions")), protocol, agreed)


def refuse_upgrade(
    headers: Headers,
    *,
    allowed: Sequence[str],
    allow_missing: bool,
    enabled: bool,
) -> Refusal | None:
    """Say why a client may not open a WebSocket, or return None when it may.

    `allowed` are exact origins (`https://example.com`); when empty, an origin must be the host
    that the request went to. Asked before there is a place for it: a forbidden origin need not
    come back when there is one.
    """
    if not enabled:
        return _SWITCHED_OFF
    sentence = refuse_origin(headers, allowed, allow_missing=allow_missing)
    return None if sentence is None else Refusal(403, sentence)
