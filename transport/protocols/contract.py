"""What a protocol of clients must do; `conformance` holds one to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .messages import ClientMessage, PodMessage

__all__ = ["ClientProtocol", "choose_protocol"]


class ClientProtocol(Protocol):
    """What clients speak in the messages of their WebSockets.

    One object serves all connections, so it remembers nothing of any. Pure: nothing here waits,
    reads a clock or knows a socket.
    """

    @property
    def name(self) -> str:
        """What a client asks for: its WebSocket subprotocol (RFC 6455 section 1.9), a token."""

    @property
    def binary(self) -> bool:
        """Whether its messages, both ways, are binary ones; the other kind is refused with 1003."""

    @property
    def ping(self) -> bytes | None:
        """What asks a client for a sign of life; None: WebSocket's own ping."""

    def decode(self, message: str | bytes) -> ClientMessage:
        """Read one message of a client: bytes when `binary`, else a text.

        Raises `WireError` and nothing else, with a sentence for whoever wrote the client. Names
        of rooms and events need not be judged here, rights and rates neither.
        """

    def encode(self, message: PodMessage) -> bytes:
        """Write one message of the pod: UTF-8, unless `binary`. Never raises.

        An event is at most some hundred bytes larger than its data and its names as JSON: that is
        what the bounds on what waits for a client reckon with (`limits.maxBufferBytes`).
        """

    def farewell(self, code: int, reason: str) -> bytes | None:
        """Write what goes before the close frame (RFC 6455 section 7.4), or None."""


def choose_protocol(
    offered: Sequence[str], spoken: Sequence[ClientProtocol]
) -> tuple[ClientProtocol, str | None]:
    """Return what is spoken with a client, and the name to agree on in the handshake, if any.

    It is the first of its offers that is `spoken`. Who offers none, or only others, speaks the
    first of those, and nothing is agreed on: then a browser closes a socket that wanted more
    (RFC 6455 section 4.1).
    """
    by_name = {protocol.name: protocol for protocol in spoken}
    for name in offered:
        if name in by_name:
            return by_name[name], name
    return spoken[0], None
