"""The receiving half of RFC 6455 with limits: wsproto, watched frame by frame.

trio-websocket counts the characters of a message, not its bytes, and neither fragments nor
pings; and it drops the connection on a protocol error without telling the peer why.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Generator, Iterable

from attrs import frozen
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection, ConnectionState
from wsproto.events import CloseConnection, Event, Ping, TextMessage
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from ..limits import TokenBucket
from .frames import close_frame
from .handshake import Opening

__all__ = ["MAX_CONTROL_FRAMES", "Closure", "FrameGuard", "GuardedProtocol"]

MAX_CONTROL_FRAMES = 20
"""Pings and pongs that a client may send in a second: each ping costs the pod an answer."""

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_NO_RESERVED_BITS = RsvBits(False, False, False)


@frozen
class Closure:
    """How a connection ended; `by_peer` when the peer began it, or simply vanished (1006)."""

    code: int
    reason: str
    by_peer: bool


class FrameGuard(Extension):
    """Judges each frame by its header, before the pod holds any of its payload.

    It is no extension of the protocol but uses wsproto's hooks for one; it is never negotiated.
    wsproto parses a header again when it came in parts, so what a header says is only noted, and
    counts from when its frame is complete.
    """

    name = "deployd-frame-guard"
    deflates = False
    """Whether messages may be compressed."""

    def __init__(
        self, max_message_bytes: int, max_fragments: int, clock: Callable[[], float]
    ) -> None:
        self.message_bytes = 0  # of the message under way, with the frame under way
        self.sentence: str | None = None  # why the last verdict was bad
        self.opcode = Opcode.TEXT  # of the frame under way
        self.max_message_bytes = max_message_bytes
        self._complete_bytes = self._complete_frames = 0  # of the message under way
        self._max_fragments = max_fragments
        self._clock = clock
        self._control: TokenBucket | None = None

    def enabled(self) -> bool:
        """Say that the hooks are wanted."""
        return True

    def offer(self) -> bool | str:
        """Offer nothing."""
        return False

    def accept(self, offer: str) -> str | None:
        """Agree to nothing, whatever a client calls its offer."""
        return None

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """Return the reserved bits that may be set (none), or a close code."""
        self.opcode = opcode
        if opcode.iscontrol():
            return _NO_RESERVED_BITS
        if opcode is Opcode.BINARY:
            return self.refuse(CloseReason.UNSUPPORTED_DATA, "Send text messages, not binary.")
        if opcode is Opcode.TEXT:
            self._complete_bytes = self._complete_frames = 0
        self.message_bytes = self._complete_bytes + payload_length
        if self.message_bytes > self.max_message_bytes:
            return self.too_big()
        if self._complete_frames >= self._max_fragments:
            sentence = f"A message may come in at most {self._max_fragments} frames."
            return self.refuse(CloseReason.POLICY_VIOLATION, sentence)
        return _NO_RESERVED_BITS

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Count the frame; return a close code when there were too many pings and pongs."""
        if self.opcode.iscontrol():
            return self._judge_control()
        self._complete_bytes = self.message_bytes
        self._complete_frames += 1
        return None

    def _judge_control(self) -> CloseReason | None:
        if self.opcode is Opcode.CLOSE:
            return None
        now = self._clock()
        if self._control is None:
            self._control = TokenBucket(MAX_CONTROL_FRAMES, MAX_CONTROL_FRAMES, now)
        if self._control.take(now):
            return None
        sentence = f"Send at most {MAX_CONTROL_FRAMES} pings and pongs a second."
        return self.refuse(CloseReason.POLICY_VIOLATION, sentence)

    def too_big(self) -> CloseReason:
        """Note that the message under way has too many bytes, and return the code for that."""
        sentence = f"A message may have at most {self.max_message_bytes} bytes."
        return self.refuse(CloseReason.MESSAGE_TOO_BIG, sentence)

    def refuse(self, code: CloseReason, sentence: str) -> CloseReason:
        """Note what is wrong, and return the code."""
        self.sentence = sentence
        return code


class GuardedProtocol(WSConnection):
    """One server connection's protocol state; whole messages leave through `deliver`.

    It begins behind the handshake: `opening` has been judged, `response` is the 101 that answers
    it, and wsproto is never asked. `rest` is what the client sent right behind its request.

    `deliver(text, nbytes)` is called synchronously while events are read, and only as long as
    nobody has begun to close. `ended` tells how the connection ended as soon as that is known,
    a frame that RFC 6455 forbids included: then its code is the one that the peer must be sent.
    """

    def __init__(
        self,
        opening: Opening,
        guard: FrameGuard,
        deliver: Callable[[str, int], None],
        rest: bytes = b"",
    ) -> None:
        # Not WSConnection's own, which makes a parser of requests: nothing here needs one.
        self.client = False
        self.response = _response(opening, guard)
        self.connection: Connection = Connection(ConnectionType.SERVER, [guard], rest)
        self.ended: Closure | None = None
        self._guard = guard
        self._deliver = deliver
        self._parts: io.StringIO | None = None

    def close(self, code: int, reason: str) -> bytes:
        """Begin to close, and return the close frame; what the peer still says is not delivered."""
        if self.ended is None:
            self.ended = Closure(code, reason, by_peer=False)
        if self.open:
            self.send(CloseConnection(code=code))
        return close_frame(code, reason)

    def stop_reading(self) -> None:
        """Parse nothing any more: wsproto's parser is a generator and holds what holds it."""
        self.connection._proto._parse_more.close()  # noqa: SLF001

    @property
    def open(self) -> bool:
        """Whether nobody has begun to close."""
        return self.state is ConnectionState.OPEN

    def events(self) -> Generator[Event, None, None]:
        """Yield what trio-websocket has to answer: pings and the end."""
        for event in self.connection.events():
            if isinstance(event, TextMessage):
                if self.open:
                    self._collect(event)
            elif isinstance(event, CloseConnection):
                yield self._note_end(event)
            elif isinstance(event, Ping) and self.open:  # wsproto cannot answer one while closing
                yield event

    def _collect(self, event: TextMessage) -> None:
        """Gather a message; StringIO, for it may come in as many parts as it has bytes."""
        if event.message_finished and self._parts is None:
            self._deliver(event.data, self._guard.message_bytes)
            return
        if self._parts is None:
            self._parts = io.StringIO()
        self._parts.write(event.data)
        if event.message_finished:
            text, self._parts = self._parts.getvalue(), None
            self._deliver(text, self._guard.message_bytes)

    def _note_end(self, event: CloseConnection) -> CloseConnection:
        """Tell the peer's close frame from a frame that could not be parsed."""
        by_peer = not self.open and self.state is not ConnectionState.LOCAL_CLOSING
        reason = event.reason or ""
        if not by_peer:
            reason = self._guard.sentence or reason
        if self.ended is None:
            self.ended = Closure(int(event.code), reason, by_peer)
        return event


def _response(opening: Opening, guard: FrameGuard) -> bytes:
    """Return the server's half of the opening handshake (RFC 6455 section 4.2.2)."""
    fields = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {_accept(opening.key)}",
    ]
    agreed = _agreed(opening.offers, guard)
    if agreed is not None:
        fields.append(f"Sec-WebSocket-Extensions: {agreed}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1")


def _accept(key: str) -> str:
    digest = hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _agreed(offers: Iterable[str], guard: FrameGuard) -> str | None:
    """Return the first offer that can be met, as it is met: the client prefers it (RFC 7692)."""
    for offer in offers:
        if offer.partition(";")[0].strip() == guard.name:
            parameters = guard.accept(offer)
            if parameters is not None:
                return "; ".join([guard.name, parameters]) if parameters else guard.name
    return None
