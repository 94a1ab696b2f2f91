"""RFC 6455 as a table, in the order of the Autobahn test suite's categories.

Each row is what a client sends, byte for byte, and all that it must get back. The server's inbox
echoes every message. Where the server does not end the connection, the client does, with 1000.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
import trio
from attrs import frozen
from trio.testing import wait_all_tasks_blocked

from deployd.transport import Closure, OutboxFailure, WebSocket, WebSocketLimits, text_frame
from support.raw import opening

HEAD = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost:2403\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n\r\n"
)
LIMITS = WebSocketLimits(
    max_message_bytes=1 << 17,
    max_fragments=16,
    max_buffer_messages=1_000,
    max_buffer_bytes=1 << 22,
    stall_timeout=10.0,
    read_buffer_size=4096,
)
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x12\x34\x56\x78"

Frame = tuple[int, bytes]


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """Return a masked frame, as clients must send them."""
    size = len(payload)
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if size < 126:
        header = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        header = struct.pack("!BBH", first, 0xFE, size)
    else:
        header = struct.pack("!BBQ", first, 0xFF, size)
    key = (MASK * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return header + MASK + masked.to_bytes(size, "big")


def part(opcode: int, payload: bytes = b"") -> bytes:
    """Return a frame that others follow."""
    return frame(opcode, payload, fin=False)


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def parse(data: bytes) -> Iterator[Frame]:
    """Read a server's frames; they must be unmasked, whole and without reserved bits."""
    while data:
        assert data[0] & 0x70 == 0
        assert data[0] & 0x80
        size, at = data[1], 2
        assert size < 128
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= at + size
        yield data[0] & 0x0F, data[at : at + size]
        data = data[at + size :]


class Echo:
    """An inbox that sends every message back."""

    websocket: WebSocket
    full = False

    def __init__(self) -> None:
        self.closures: list[Closure] = []

    def put(self, message: str | bytes, nbytes: int) -> None:
        assert isinstance(message, str)
        payload = message.encode()
        assert len(payload) == nbytes
        self.websocket.write(text_frame(payload))

    def ended(self, closure: Closure) -> None:
        self.closures.append(closure)

    def outbox_failed(self, failure: OutboxFailure) -> None:
        raise AssertionError(failure)


@frozen
class Case:
    """`ends` is the close code that must come back, None where the close frame is empty."""

    id: str
    sent: bytes
    echoed: tuple[Frame, ...] = ()
    ends: int | None = 1000
    chop: int = 0


def says(*texts: bytes) -> tuple[Frame, ...]:
    return tuple((TEXT, text) for text in texts)


SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536)
UTF8 = "κόσμε 𝄞 ÄÖÜ".encode()
FRAMING = [
    *(Case(f"1.1-size-{n}", frame(TEXT, b"*" * n), says(b"*" * n)) for n in SIZES),
    Case("1.1-size-65536-chopped", frame(TEXT, b"*" * 65536), says(b"*" * 65536), chop=997),
    Case("1.2-binary", frame(BINARY, b"*"), ends=1003),
    Case("1.2-binary-empty", frame(BINARY), ends=1003),
    Case("1.2-binary-fragmented", part(BINARY, b"*") + frame(CONT, b"*"), ends=1003),
    Case("1.3-unmasked", b"\x81\x01a", ends=1002),
    Case("1.3-length-126-for-125", b"\x81\xfe\x00\x7d" + MASK, ends=1002),
    Case("1.3-length-127-for-65535", b"\x81\xff" + (65535).to_bytes(8, "big") + MASK, ends=1002),
    Case("1.3-length-with-top-bit", b"\x81\xff" + (1 << 63).to_bytes(8, "big") + MASK, ends=1002),
]
PINGS = [
    Case("2.1-ping-empty", frame(PING), ((PONG, b""),)),
    Case("2.2-ping-text", frame(PING, b"Hello"), ((PONG, b"Hello"),)),
    Case("2.3-ping-bytes", frame(PING, b"\x00\xff\xfe"), ((PONG, b"\x00\xff\xfe"),)),
    Case("2.4-ping-125", frame(PING, b"\xfe" * 125), ((PONG, b"\xfe" * 125),)),
    Case("2.5-ping-126", frame(PING, b"\xfe" * 126), ends=1002),
    Case("2.6-ping-125-chopped", frame(PING, b"\xfe" * 125), ((PONG, b"\xfe" * 125),), chop=1),
    Case("2.7-pong-unsolicited", frame(PONG)),
    Case("2.8-pong-with-payload", frame(PONG, b"unsolicited")),
    Case("2.9-pong-then-ping", frame(PONG, b"x") + frame(PING, b"y"), ((PONG, b"y"),)),
    Case(
        "2.10-ten-pings",
        b"".join(frame(PING, b"%d" % n) for n in range(10)),
        tuple((PONG, b"%d" % n) for n in range(10)),
    ),
    Case(
        "2.11-ten-pings-chopped",
        b"".join(frame(PING, b"%d" % n) for n in range(10)),
        tuple((PONG, b"%d" % n) for n in range(10)),
        chop=1,
    ),
    Case("2.12-ping-flood", frame(PING) * 21, ((PONG, b""),) * 20, ends=1008),
    Case("2.13-pong-flood", frame(PONG) * 21, ends=1008),
]
RESERVED_BITS = [
    *(Case(f"3.{rsv}-text", frame(TEXT, b"x", rsv=rsv), ends=1002) for rsv in range(1, 8)),
    Case("3.8-ping", frame(PING, rsv=1), ends=1002),
    Case("3.9-close", frame(CLOSE, rsv=2), ends=1002),
    Case("3.10-after-text", frame(TEXT, b"a") + frame(TEXT, b"b", rsv=4), says(b"a"), ends=1002),
    Case("3.11-continuation", part(TEXT, b"a") + frame(CONT, b"b", rsv=4), ends=1002),
]
OPCODES = [
    *(Case(f"4.1-opcode-{n}", frame(n, b"x"), ends=1002) for n in (3, 4, 5, 6, 7)),
    *(Case(f"4.2-opcode-{n}", frame(n), ends=1002) for n in (11, 12, 13, 14, 15)),
    Case("4.3-after-text", frame(TEXT, b"a") + frame(5), says(b"a"), ends=1002),
]
FRAGMENTS = [
    Case("5.1-ping-fragmented", part(PING, b"a") + frame(CONT, b"b"), ends=1002),
    Case("5.2-pong-fragmented", part(PONG, b"a") + frame(CONT, b"b"), ends=1002),
    Case("5.3-two-parts", part(TEXT, b"one") + frame(CONT, b"two"), says(b"onetwo")),
    Case(
        "5.4-two-parts-chopped", part(TEXT, b"one") + frame(CONT, b"two"), says(b"onetwo"), chop=1
    ),
    Case(
        "5.6-ping-in-between",
        part(TEXT, b"one") + frame(PING, b"!") + frame(CONT, b"two"),
        ((PONG, b"!"), (TEXT, b"onetwo")),
    ),
    Case("5.9-continuation-alone", frame(CONT, b"x"), ends=1002),
    Case("5.10-continuation-alone-part", part(CONT, b"x"), ends=1002),
    Case("5.12-continuation-after-text", frame(TEXT, b"a") + frame(CONT, b"b"), says(b"a"), 1002),
    Case("5.15-continuation-after-end", part(TEXT) + frame(CONT) + frame(CONT), says(b""), 1002),
    Case("5.18-text-inside-text", part(TEXT, b"a") + frame(TEXT, b"b"), ends=1002),
    Case(
        "5.19-pings-in-between",
        part(TEXT, b"1")
        + part(CONT, b"2")
        + frame(PING, b"p")
        + part(CONT, b"3")
        + frame(PING, b"q")
        + frame(CONT, b"4"),
        ((PONG, b"p"), (PONG, b"q"), (TEXT, b"1234")),
    ),
    Case("5.21-empty-parts", part(TEXT) + part(CONT) + frame(CONT), says(b"")),
    Case("5.22-two-messages", (part(TEXT, b"a") + frame(CONT, b"b")) * 2, says(b"ab", b"ab")),
]
TEXTS = [
    Case("6.1-empty", frame(TEXT), says(b"")),
    Case("6.2-valid", frame(TEXT, UTF8), says(UTF8)),
    Case("6.2-valid-chopped", frame(TEXT, UTF8), says(UTF8), chop=1),
    Case(
        "6.2-split-inside-every-character",
        part(TEXT, UTF8[:1])
        + b"".join(part(CONT, UTF8[n : n + 2]) for n in range(1, len(UTF8), 2))
        + frame(CONT),
        says(UTF8),
    ),
    *(
        Case(f"6.{number}-invalid-{payload.hex()}", frame(TEXT, payload), ends=1007)
        for number, payload in enumerate(
            (
                b"\x80",
                b"\xff",
                b"\xc0\xaf",  # overlong
                b"\xe0\x80\xaf",
                b"\xf0\x80\x80\xaf",
                b"\xf8\x88\x80\x80\x80",  # five bytes
                b"\xed\xa0\x80",  # surrogates
                b"\xed\xbf\xbf",
                b"\xed\xa0\x80\xed\xb0\x80",
                b"\xf4\x90\x80\x80",  # over U+10FFFF
                b"ok \xc3",  # ends inside a character
                b"\xf0\x9d\x84",
            ),
            3,
        )
    ),
    Case("6.20-noncharacters-are-valid", frame(TEXT, b"\xef\xbf\xbf"), says(b"\xef\xbf\xbf")),
    Case("6.21-nul-and-newlines", frame(TEXT, b"\0\r\n\n\r"), says(b"\0\r\n\n\r")),
    Case("6.4-fails-before-the-message-ends", part(TEXT, b"\xce\xff"), ends=1007),
    Case("6.4-fails-before-the-frame-ends", frame(TEXT, b"\xff" + b"x" * 99)[:20], ends=1007),
    Case("6.4-fails-in-the-second-part", part(TEXT, b"\xce") + part(CONT, b"\xff"), ends=1007),
]
CLOSES = [
    Case("7.1-text-then-close", frame(TEXT, b"x") + close(1000), says(b"x")),
    Case("7.1-two-closes", close(1000) * 2),
    Case("7.1-ping-after-close", close(1000) + frame(PING)),
    Case("7.1-text-after-close", close(1000) + frame(TEXT, b"x")),
    Case("7.1-megabyte-after-close", close(1000) + frame(TEXT, b"x" * (1 << 20))),
    Case("7.1-close-inside-a-message", part(TEXT, b"x") + close(1000)),
    Case("7.3-empty", frame(CLOSE), ends=None),
    Case("7.3-one-byte", frame(CLOSE, b"\x03"), ends=1002),
    Case("7.3-reason", close(1000, b"bye")),
    Case("7.3-reason-123", close(1000, b"x" * 123)),
    Case("7.3-reason-124", close(1000, b"x" * 124), ends=1002),
    Case("7.3-fragmented", part(CLOSE, b"\x03\xe8"), ends=1002),
    Case("7.5-reason-no-utf8", close(1000, b"\xff\xfe"), ends=1007),
    *(
        Case(f"7.7-valid-{code}", close(code), ends=code)
        for code in (*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4999)
    ),
    *(
        Case(f"7.9-invalid-{code}", close(code), ends=1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
]
LIMIT = LIMITS.max_message_bytes
TOO_BIG = b"\x81\xff" + (LIMIT + 1).to_bytes(8, "big")
SIZE_LIMITS = [
    Case("9.1-largest", frame(TEXT, b"x" * LIMIT), says(b"x" * LIMIT)),
    Case(
        "9.1-largest-in-bytes",
        frame(TEXT, b"\xc3\xa4" * (LIMIT // 2)),
        says(b"\xc3\xa4" * (LIMIT // 2)),
    ),
    Case("9.2-too-big", frame(TEXT, b"x" * (LIMIT + 1)), ends=1009),
    Case("9.2-too-big-in-bytes", frame(TEXT, b"\xc3\xa4" * (LIMIT // 2 + 1)), ends=1009),
    Case("9.2-too-big-by-its-header", TOO_BIG + MASK, ends=1009),
    Case("9.2-huge-by-its-header", b"\x81\xff" + (1 << 62).to_bytes(8, "big") + MASK, ends=1009),
    Case("9.3-too-big-in-parts", part(TEXT, b"x" * LIMIT) + frame(CONT, b"x"), ends=1009),
    Case("9.4-most-fragments", part(TEXT) + part(CONT) * 14 + frame(CONT, b"x"), says(b"x")),
    Case("9.5-fragment-flood", part(TEXT) + part(CONT) * 16, ends=1008),
    Case(
        "9.6-limits-are-for-each-message",
        (part(TEXT) + part(CONT) * 14 + frame(CONT, b"x" * LIMIT)) * 2,
        says(b"x" * LIMIT) * 2,
    ),
]
CHOPPED = [
    *(
        Case(f"10.1-chopped-{n}", frame(TEXT, UTF8) * 3, says(UTF8) * 3, chop=n)
        for n in (1, 2, 3, 7)
    ),
    Case("10.2-pipelined", frame(TEXT, b"a") * 500, says(b"a") * 500),
]
CASES = [
    *FRAMING,
    *PINGS,
    *RESERVED_BITS,
    *OPCODES,
    *FRAGMENTS,
    *TEXTS,
    *CLOSES,
    *SIZE_LIMITS,
    *CHOPPED,
]


async def send(sock: trio.socket.SocketType, data: bytes, chop: int) -> None:
    """Send in pieces of `chop` bytes, each read before the next is sent, or all at once."""
    stream = trio.SocketStream(sock)
    size = chop or len(data)
    with contextlib.suppress(trio.BrokenResourceError):  # closed already: the table judges that
        for at in range(0, len(data), size):
            await stream.send_all(data[at : at + size])
            if chop:
                await wait_all_tasks_blocked()


async def receive(sock: trio.socket.SocketType) -> bytes:
    received = b""
    while data := await sock.recv(65536):
        received += data
    return received


async def converse(case: Case) -> tuple[bytes, Closure]:
    """Return all that the server sent, and how it says the connection ended."""
    server, peer = socket.socketpair()
    server.setblocking(False)
    echo = Echo()
    echo.websocket = WebSocket(server, opening(HEAD)[0], LIMITS, echo, clock=lambda: 0.0)

    async def serve() -> None:
        echo.websocket.attach(nursery.start_soon)
        while not echo.closures:
            await echo.websocket.listen()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            with trio.socket.from_stdlib_socket(peer) as client:
                async with trio.open_nursery() as sending:
                    sending.start_soon(send, client, case.sent + close(1000), case.chop)
                    received = await receive(client)
                    sending.cancel_scope.cancel()
    finally:
        echo.websocket.abort()
    [closure] = echo.closures
    return received, closure


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_the_server_answers_as_the_standard_says(case: Case) -> None:
    received, ended = await converse(case)
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    *echoed, (opcode, payload) = parse(rest)
    assert tuple(echoed) == case.echoed
    assert opcode == CLOSE
    assert (int.from_bytes(payload[:2], "big") if payload else None) == case.ends
    assert ended.code == (1005 if case.ends is None else case.ends)


def test_every_row_has_its_own_name() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
