"""Who may open a WebSocket: the opening handshake, judged once, before it costs anything.

Pure: no socket is touched here. What is asked of a request is RFC 6455 section 4.2.1; the rules
for the Origin follow RFC 6454 and RFC 6455 section 10.2: they protect the users of browsers,
other clients can claim any origin.
"""

import re
import socket
from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import frozen

from .refusal import Refusal
from .request import RequestHead

__all__ = [
    "Headers",
    "Opening",
    "UpgradeRequest",
    "choose_route",
    "is_websocket_path",
    "refuse_upgrade",
]

Headers: TypeAlias = Sequence[tuple[str, str]]
"""Header fields in their order, names in lower case."""

VERSION: Final = "13"
"""Of the protocol, the only one there is (RFC 6455 section 11.6)."""

_PATHS = ("/socket.io", "/socket.io/")
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^][/?#@:\\\s]+)(:(?P<port>\d{1,5}))?"
)
_HOST = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^][/?#@:\\\s]+)(:(?P<port>\d{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

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

    `key` is its nonce, `offers` the extensions it would use, each with its parameters.
    """

    key: str
    offers: tuple[str, ...] = ()


@frozen
class UpgradeRequest:
    """A good request for a WebSocket, with the socket it came on.

    Whoever takes the request over owns `sock`, a non-blocking TCP socket. `rest` is what the
    client sent right behind the head; `remote` is the client's address.
    """

    sock: socket.socket
    opening: Opening
    rest: bytes
    headers: tuple[tuple[str, str], ...]
    remote: str


def choose_route(head: RequestHead, *, websocket: bool = True) -> Opening | Refusal | None:
    """Return the opening of a WebSocket, None for a request of HTTP, or why it is neither.

    `websocket` is whether there is one here; who asks to upgrade is told by others that not.
    """
    if not is_websocket_path(head.path):
        return _ELSEWHERE if head.wants_websocket else None
    if head.wants_websocket:
        return _opening(head)
    return _NO_UPGRADE if websocket else _SWITCHED_OFF


def is_websocket_path(target: str) -> bool:
    """Say whether a path is the WebSocket endpoint, with any query or none."""
    return target.partition("?")[0] in _PATHS


def _opening(head: RequestHead) -> Opening | Refusal:
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
    return Opening(keys[0], tuple(head.elements(b"sec-websocket-extensions")))


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
    return _refuse_origin(headers, allowed, allow_missing)


def _refuse_origin(headers: Headers, allowed: Sequence[str], allow_missing: bool) -> Refusal | None:
    origins = [value for name, value in headers if name == "origin"]
    if not origins:
        if allow_missing:
            return None
        return Refusal(403, "Send an Origin header; this pod takes no clients without one.")
    if len(origins) > 1:
        return Refusal(403, "Send one Origin header, not several.")
    if _origin_is_good(origins[0].lower(), headers, allowed):
        return None
    return Refusal(
        403, "Pages from this origin may not connect; add it to 'origins.allowed' to let them."
    )


def _origin_is_good(origin: str, headers: Headers, allowed: Sequence[str]) -> bool:
    parts = _origin_parts(origin)
    if parts is None:  # `null` too: sandboxed pages and files, whoever they are
        return False
    if allowed:
        return any(parts == _origin_parts(other.lower()) for other in allowed)
    scheme, host, port = parts
    return scheme in ("http", "https") and _host_parts(headers, scheme) == (host, port)


def _origin_parts(origin: str) -> tuple[str, str, int | None] | None:
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return None
    scheme, host, port = match["scheme"], match["host"], match["port"]
    return scheme, host, int(port) if port else _DEFAULT_PORTS.get(scheme)


def _host_parts(headers: Headers, scheme: str) -> tuple[str, int | None] | None:
    """Return host and port of the Host header; the port's default is that of the origin's scheme.

    Behind a proxy that ends TLS the pod cannot know the scheme by itself.
    """
    hosts = [value for name, value in headers if name == "host"]
    match = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
    if match is None:
        return None
    port = match["port"]
    return match["host"], int(port) if port else _DEFAULT_PORTS.get(scheme)
