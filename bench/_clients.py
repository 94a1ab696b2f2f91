"""Raw WebSocket clients on plain sockets: cheaper than any server they put under load."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from _dialects import Dialect, Script
from _frames import CLOSE, TEXT, FrameReader, client_frame, upgrade_request

__all__ = ["Client", "Disconnected", "converse", "open_clients"]

PATIENCE = 10
"""Seconds after which a read is given up."""

CROWD = 50
"""Clients that are on their way in at the same time."""

_READ_BYTES = 64 * 1024


class Disconnected(Exception):
    """The server has closed the connection; the message holds the code if one came."""


class Client:
    """One connection, past its opening handshake once `open_clients` has returned it."""

    __slots__ = ("_texts", "reader", "sock")

    def __init__(self, port: int, dialect: Dialect, *, deaf: bool = False) -> None:
        self.sock = socket.socket()
        if deaf:  # the server's kernel holds 0.1 MB for so small a peer, and 3 MB for others
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        # A time-out of Python's would poll before every read: let the kernel keep the time.
        wait = struct.pack("ll", PATIENCE, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(("127.0.0.1", port))
        self.sock.sendall(upgrade_request(dialect.target, port))
        self.reader = FrameReader()
        self._texts: deque[str] = deque()

    def finish_handshake(self) -> None:
        """Read the answer to the opening handshake; raises `Disconnected` when it is a no."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._read()
        head, _, behind = head.partition(b"\r\n\r\n")
        status = head.partition(b"\r\n")[0]
        if b" 101 " not in status:
            raise Disconnected(f"no upgrade: {status!r}")
        self._take(behind)

    def send(self, text: str) -> None:
        """Send one text message."""
        self.sock.sendall(client_frame(text))

    def receive(self) -> str:
        """Wait for the next text message; raises `Disconnected`."""
        while not self._texts:
            self._take(self._read())
        return self._texts.popleft()

    def pull(self) -> None:
        """Read once, for later `receive`s; raises `Disconnected`, and what the socket raises."""
        self._take(self._read())

    @property
    def has_texts(self) -> bool:
        """Whether `receive` has something to return at once."""
        return bool(self._texts)

    def hear(self) -> int:
        """Take what has come without waiting for a whole message; return how many are new."""
        waiting = len(self._texts)
        self._take(self._read())
        new = len(self._texts) - waiting
        self._texts.clear()
        return new

    @property
    def quiet(self) -> bool:
        """Whether everything that was read has also been received."""
        return not self._texts and not len(self.reader)

    def _read(self) -> bytes:
        data = self.sock.recv(_READ_BYTES)
        if not data:
            raise Disconnected("the server closed the socket")
        return data

    def _take(self, data: bytes) -> None:
        for frame in self.reader.feed(data):
            if frame.opcode == TEXT:
                self._texts.append(frame.payload.decode())
            elif frame.opcode == CLOSE:
                raise Disconnected(f"closed with {frame.close_code}")


@contextmanager
def open_clients(
    port: int, dialect: Dialect, count: int, *, room: str = "", deaf: bool = False
) -> Iterator[list[Client]]:
    """Connect so many clients, in the room if one is given; all are closed at the end.

    Those that are going to be `deaf`, that is not to read, have as small a window as can be.
    """
    clients: list[Client] = []
    script = dialect.hello + (dialect.join(room) if room else ())
    try:
        while len(clients) < count:
            crowd: list[Client] = []
            for _ in range(min(CROWD, count - len(clients))):
                crowd.append(Client(port, dialect, deaf=deaf))
                clients.append(crowd[-1])
            for client in crowd:
                client.finish_handshake()
            converse(crowd, script)
        yield clients
    finally:
        for client in clients:
            client.sock.close()


def converse(clients: list[Client], script: Script) -> None:
    """Go through a script with all clients, a crowd at a time and a step at a time."""
    everyone = iter(clients)
    while crowd := list(islice(everyone, CROWD)):
        for words, expected in script:
            for client in crowd if words else ():
                client.send(words)
            for client in crowd:
                answer = client.receive()
                if expected not in answer:
                    raise Disconnected(f"expected {expected!r}, not {answer!r}")
