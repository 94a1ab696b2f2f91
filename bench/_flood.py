"""A burst of messages to many clients: how fast it went, and the proof that nothing was lost.

A client that parsed every frame would be slower than the servers. All members of a room get the
same bytes, so one client, the witness, parses and checks that the messages are numbered without
a gap; for all others the number of bytes and their checksum must be those of the witness.
"""

from __future__ import annotations

import select
import socket
import time
import zlib
from collections.abc import Sequence
from typing import Protocol

from _clients import Client
from _dialects import Dialect
from _frames import TEXT, FrameReader, client_frame
from _server import Server
from attrs import frozen

__all__ = ["FIRST", "ClientSource", "Flood", "ServerSource", "receive_flood"]

FIRST = 1_000_000
"""The number of the first message: all that follow have as many digits."""

GRACE = 20.0
"""Seconds after the end of the burst until what has not come counts as lost."""

_DIGITS = 7
_READ_BYTES = 256 * 1024
_SEND_BYTES = 64 * 1024


@frozen
class Flood:
    """What came of a burst. `seconds` are from the first emit to the last byte at any client.

    `garbled` are messages that were not the next at the witness, and clients that got the right
    number of bytes but not those of the witness.
    """

    messages: int
    seconds: float
    clients: int
    frame_bytes: float
    lost: int
    garbled: int
    disconnected: int

    @property
    def rate(self) -> float:
        """Deliveries a second."""
        return self.messages * self.clients / self.seconds

    @property
    def whole(self) -> bool:
        """Whether everyone got everything and stayed."""
        return not (self.lost or self.garbled or self.disconnected)


class Source(Protocol):
    """Where the messages come from. `count` and `started` hold when `advance` has said True."""

    count: int
    started: float
    events: int

    def fileno(self) -> int:
        """What to wait on, for `events`."""

    def advance(self) -> bool:
        """Do what can be done now and say whether all messages have been emitted."""


class ServerSource:
    """The server's own code emits; its reply tells how many messages there were."""

    events = select.EPOLLIN

    def __init__(
        self, server: Server, *, seconds: float, limit: int, size: int, rooms: int = 1
    ) -> None:
        self._server = server
        self.count, self.started = 0, 0.0
        server.order("flood", first=FIRST, seconds=seconds, limit=limit, size=size, rooms=rooms)

    def fileno(self) -> int:
        """What to wait on."""
        return self._server.fileno()

    def advance(self) -> bool:
        """Read the reply."""
        reply = self._server.reply()
        self.count, self.started = int(reply["count"]), reply["started"]
        return True


class ClientSource:
    """A client emits over its own WebSocket, as fast as the server reads."""

    events = select.EPOLLOUT

    def __init__(self, client: Client, dialect: Dialect, *, seconds: float, limit: int) -> None:
        self._sock, self._dialect = client.sock, dialect
        self.count, self.started = 0, time.monotonic()
        self._end, self._limit = self.started + seconds, limit
        self._waiting = memoryview(b"")

    def fileno(self) -> int:
        """What to wait on."""
        return self._sock.fileno()

    def advance(self) -> bool:
        """Send what the socket takes, and make more until time or number is up."""
        if not self._waiting and self.count < self._limit and time.monotonic() < self._end:
            self._waiting = memoryview(self._more())
        if self._waiting:
            sent = self._sock.send(self._waiting, socket.MSG_DONTWAIT)
            self._waiting = self._waiting[sent:]
            return False
        return True

    def _more(self) -> bytes:
        frames, size = [], 0
        while size < _SEND_BYTES and self.count < self._limit:
            frames.append(client_frame(self._dialect.say(f"#{FIRST + self.count}")))
            size += len(frames[-1])
            self.count += 1
        return b"".join(frames)


class _Witness:
    """Parses its stream: counts the messages and those that are not the next of their room.

    Message `n` is for room `n % rooms`.
    """

    def __init__(self, rooms: int) -> None:
        self._reader = FrameReader()
        self.count = self.out_of_order = 0
        self._rooms = rooms
        self._next = [FIRST + (room - FIRST) % rooms for room in range(rooms)]

    def feed(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            if frame.opcode == TEXT:
                at = frame.payload.find(b"#") + 1
                if not at:
                    continue  # it is not of the burst: something that the pod tells
                number = int(frame.payload[at : at + _DIGITS])
                room = number % self._rooms
                self.out_of_order += number != self._next[room]
                self._next[room] = number + self._rooms
                self.count += 1


class _Stream:
    """What one client has got so far."""

    __slots__ = ("bytes", "crc", "open", "sock", "witness")

    def __init__(self, client: Client, witness: _Witness | None) -> None:
        assert client.quiet  # what is left from joining would not be the same for all
        self.sock, self.witness = client.sock, witness
        self.bytes = self.crc = 0
        self.open = True

    def read(self, buffer: bytearray, view: memoryview) -> None:
        try:
            size = self.sock.recv_into(buffer, 0, socket.MSG_DONTWAIT)
        except ConnectionError:
            size = 0
        data = view[:size]
        self.open = size > 0
        self.bytes += size
        self.crc = zlib.crc32(data, self.crc)
        if self.witness is not None:
            self.witness.feed(bytes(data))


def receive_flood(
    clients: Sequence[Client], source: Source, patience: float, rooms: int = 1
) -> Flood:
    """Let the burst in, up to `patience` seconds for its emits and `GRACE` for its rest."""
    witness = _Witness(rooms)
    streams = [_Stream(client, None if index else witness) for index, client in enumerate(clients)]
    last = _drain(streams, source, witness, time.monotonic() + patience + GRACE)
    frame_bytes = max(1.0, streams[0].bytes / max(1, witness.count))
    due = round(source.count * frame_bytes)
    missing = [max(0, due - stream.bytes) for stream in streams]
    return Flood(
        messages=source.count,
        seconds=max(last - source.started, 1e-9),
        clients=len(streams),
        frame_bytes=frame_bytes,
        lost=sum(max(1, round(short / frame_bytes)) for short in missing if short),
        garbled=witness.out_of_order
        + sum(
            not short and stream.crc != streams[0].crc
            for stream, short in zip(streams, missing, strict=True)
        ),
        disconnected=sum(not stream.open for stream in streams),
    )


def _drain(streams: Sequence[_Stream], source: Source, witness: _Witness, deadline: float) -> float:
    """Read until everyone has everything, and return when the last byte came."""
    buffer = bytearray(_READ_BYTES)
    view = memoryview(buffer)
    by_fd = {stream.sock.fileno(): stream for stream in streams}
    emitting = True
    last = time.monotonic()
    with select.epoll() as poll:
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        poll.register(source.fileno(), source.events)
        while (emitting or not _complete(streams, source, witness)) and last < deadline:
            for fd, _ in poll.poll(max(0.0, deadline - time.monotonic())):
                stream = by_fd.get(fd)
                if stream is None:
                    emitting = not source.advance()
                    if not emitting:
                        poll.unregister(fd)
                    continue
                stream.read(buffer, view)
                if not stream.open:
                    poll.unregister(fd)
            last = time.monotonic()
    return last


def _complete(streams: Sequence[_Stream], source: Source, witness: _Witness) -> bool:
    due = streams[0].bytes
    if streams[0].open and witness.count < source.count:
        return False
    return all(stream.bytes >= due or not stream.open for stream in streams)
