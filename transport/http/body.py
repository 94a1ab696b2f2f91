"""The body of a request, read whole before anybody acts on it: within a size and a time."""

from __future__ import annotations

import socket
from typing import Final

import h11
import trio
from attrs import frozen

from ..forwarded import Networks
from ..refusal import Refusal
from ..request import RequestHead
from ..seats import Seat
from .exchange import receive, send_all

__all__ = ["HttpLimits", "read_body"]

_CONTINUE: Final = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
_BROKEN_OFF: Final = Refusal(400, "The request breaks off, or its body is not what its head says.")


@frozen
class HttpLimits:
    """What one HTTP client may take: bytes and seconds; and whose word on addresses counts.

    `head_timeout` is for a whole head, of the first request from the beginning and of the others
    from their first byte; a silent connection is closed after `keep_alive_timeout`.
    """

    max_head_bytes: int = 16 * 1024
    max_body_bytes: int = 1024 * 1024
    head_timeout: float = 10.0
    body_timeout: float = 10.0
    send_timeout: float = 10.0
    keep_alive_timeout: float = 5.0
    trusted: Networks = ()


async def read_body(
    http: h11.Connection, sock: socket.socket, head: RequestHead, limits: HttpLimits, seat: Seat
) -> bytes | Refusal | None:
    """Return the body, or why there is none: who breaks off has asked for nothing.

    A client that waits to be told (RFC 9110 section 10.1.1) is told to go on. As long as the body
    is not whole the seat may be taken back; then this is None. Raises `OSError`.
    """
    lengths = head.values(b"content-length")
    if lengths and int(lengths[0]) > limits.max_body_bytes:
        return _too_large(limits)
    if http.they_are_waiting_for_100_continue:
        await send_all(sock, http.send(_CONTINUE), limits.send_timeout)
    latest = http.trailing_data[0]
    with trio.CancelScope() as waiting:
        now = trio.current_time()
        waiting.deadline = now + limits.body_timeout
        seat.wait(waiting.cancel, now)
        try:
            body, latest = await _whole_body(http, sock, latest, limits.max_body_bytes)
        except h11.RemoteProtocolError:
            return _BROKEN_OFF
        finally:
            seat.work()
        if body is None:
            return _too_large(limits)
        chunked = head.has(b"transfer-encoding")
        return _BROKEN_OFF if chunked and not _ends_strictly(http, latest) else body
    if seat.evicted:
        return None
    return Refusal(408, f"Send the body within {limits.body_timeout:g} seconds.")


async def _whole_body(
    http: h11.Connection, sock: socket.socket, latest: bytes, most: int
) -> tuple[bytes | None, bytes]:
    """Return the body, None when it is too large; and the bytes that its end is among."""
    body = bytearray()
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            data = await receive(sock)
            http.receive_data(data)
            latest = latest[-4:] + data
            continue
        body += event.data
        if len(body) > most:
            return None, latest
    return bytes(body), latest


def _ends_strictly(http: h11.Connection, latest: bytes) -> bool:
    """Say whether chunks end as others see it too: h11 takes a bare LF for the end of trailers."""
    return latest[: len(latest) - len(http.trailing_data[0])].endswith(b"\r\n\r\n")


def _too_large(limits: HttpLimits) -> Refusal:
    return Refusal(413, f"Send a body of at most {limits.max_body_bytes} bytes.")
