"""The body of a request, read whole before anybody acts on it: within a size and a time."""

from __future__ import annotations

import re
import socket
from typing import Final

import h11
import trio
from attrs import frozen

from ..limits import ConnectionSlot, Grant
from ..sockets import Networks, Refusal, RequestHead
from .exchange import receive, send_all
from .request_memory import RequestMemory

__all__ = ["NO_MEMORY", "HttpLimits", "read_body"]

_RETRY: Final = (("Retry-After", "1"),)
NO_MEMORY: Final = {
    Grant.OVER_SHARE: Refusal(
        429,
        "Your address has its share of what may be on its way at once (limits.maxHttpBytes, "
        "limits.addressShare); send and read what is under way first.",
        _RETRY,
    ),
    Grant.NONE_LEFT: Refusal(
        503, "Too much is on its way at once (limits.maxHttpBytes); try again later.", _RETRY
    ),
}
"""What is said where there is no room for a body or an answer."""

_CONTINUE: Final = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,20})[ \t]*(;[\t -~\x80-\xff]*)?\r\n")
_TRAILER: Final = re.compile(rb"[!-~][^\x00\r\n]*\r\n")
_MOST_BESIDE: Final = 16 * 1024
"""Bytes that may stand in chunks beside the body: extensions, trailers (RFC 9112 section 7.1.1)."""

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
    http: h11.Connection,
    sock: socket.socket,
    head: RequestHead,
    limits: HttpLimits,
    slot: ConnectionSlot,
    memory: RequestMemory,
) -> bytes | Refusal | None:
    """Return the body, or why there is none: who breaks off has asked for nothing.

    A client that waits to be told (RFC 9110 section 10.1.1) is told to go on. As long as the body
    is not whole the slot may be taken back; then this is None. Raises `OSError`.
    """
    lengths = head.values(b"content-length")
    if lengths and int(lengths[0]) > limits.max_body_bytes:
        return _too_large(limits)
    if http.they_are_waiting_for_100_continue:
        await send_all(sock, http.send(_CONTINUE), limits.send_timeout)
    chunks = Chunks() if head.has(b"transfer-encoding") else None
    with trio.CancelScope() as waiting:
        now = trio.current_time()
        waiting.deadline = now + limits.body_timeout
        slot.wait(waiting.cancel, now)
        try:
            body = await _whole_body(http, sock, chunks, limits.max_body_bytes, memory)
        except h11.RemoteProtocolError:
            return _BROKEN_OFF
        finally:
            slot.work()
        if isinstance(body, Grant):
            return NO_MEMORY[body]
        return _too_large(limits) if body is None else body
    if slot.evicted:
        return None
    return Refusal(408, f"Send the body within {limits.body_timeout:g} seconds.")


async def _whole_body(
    http: h11.Connection,
    sock: socket.socket,
    chunks: Chunks | None,
    most: int,
    memory: RequestMemory,
) -> bytes | Grant | None:
    """Return the body, None when it is too large, or why there is no room for it now.

    Raises `h11.RemoteProtocolError`.
    """
    body = bytearray()
    if chunks is not None:
        chunks.feed(http.trailing_data[0])
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            data = await receive(sock)
            if chunks is not None:
                chunks.feed(data)
            http.receive_data(data)
            continue
        body += event.data
        if len(body) > most:
            return None
        if not (grant := memory.add(len(event.data))):
            return grant
    return bytes(body)


class Chunks:
    """Looks at a body in chunks as somebody strict does: h11 also takes what others read otherwise.

    A bare CR in an extension, a bare LF or a folded line in the trailers, LF for an end: whoever
    stands in front may see a line end there, or none, and so another request.
    """

    def __init__(self) -> None:
        self._skip = 0  # bytes of the chunk under way, and of the line end behind it
        self._line = b""
        self._beside = 0
        self._last = self._over = False

    def feed(self, data: bytes) -> None:
        """Take bytes; what follows the end is the next request's. Raises `RemoteProtocolError`."""
        at = 0
        while at < len(data) and not self._over:
            skipped = min(self._skip, len(data) - at)
            self._skip -= skipped
            at += skipped
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if self._line.endswith(b"\n"):
                line, self._line = self._line, b""
                self._take(line)
            if self._beside + len(self._line) > _MOST_BESIDE:
                raise h11.RemoteProtocolError("too much beside the body")

    def _take(self, line: bytes) -> None:
        if not self._last:
            chunk = _CHUNK.fullmatch(line)
            if chunk is None:
                raise h11.RemoteProtocolError("no size of a chunk")
            size = int(chunk[1], 16)
            self._last, self._skip = size == 0, size + 2 if size else 0
            self._beside += len(chunk[2] or b"")
        elif line == b"\r\n":
            self._over = True
        elif _TRAILER.fullmatch(line):
            self._beside += len(line)
        else:
            raise h11.RemoteProtocolError("no trailer")


def _too_large(limits: HttpLimits) -> Refusal:
    return Refusal(413, f"Send a body of at most {limits.max_body_bytes} bytes.")
