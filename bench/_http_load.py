"""HTTP requests as fast as a server answers them, on plain sockets that are kept alive.

One process and a pool of connections, each with one request at a time: cheaper than any server.
"""

from __future__ import annotations

import json
import math
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from _clients import Client
from attrs import frozen

__all__ = ["BadAnswer", "Load", "get", "load", "post"]

PATIENCE = 20.0
"""Seconds without any answer after which a load is given up."""

_READ_BYTES = 64 * 1024


class BadAnswer(Exception):
    """A server has answered with an error, or not at all."""


def get(target: str) -> bytes:
    """Make a GET."""
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(target: str, document: object) -> bytes:
    """Make a POST of a JSON document."""
    body = json.dumps(document).encode()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@frozen
class Load:
    """What came of a load: the seconds it took, those of each answer, sorted, and the last one.

    `heard` is how many messages the listener got meanwhile.
    """

    seconds: float
    taken: Sequence[float]
    last: bytes
    heard: int

    @property
    def count(self) -> int:
        """Requests that were answered."""
        return len(self.taken)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.count / self.seconds


def load(
    port: int,
    connections: int,
    requests: Iterator[bytes],
    seconds: float = math.inf,
    listener: Client | None = None,
) -> Load:
    """Send requests over so many new connections until they or the time end; await all answers.

    A listener is read meanwhile, so that it never lags. Raises `BadAnswer` for any status but 200.
    """
    with closing(_Pool(port, connections, listener)) as pool:
        return pool.load(requests, seconds)


class _Pool:
    """Connections to one server, each with one request at a time."""

    def __init__(self, port: int, size: int, listener: Client | None) -> None:
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._port = port
        self._listener = listener
        if listener is not None:
            self._poll.register(listener.sock, select.EPOLLIN)
        for _ in range(size):
            self._connect()

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.sock.close()
        self._poll.close()

    def load(self, requests: Iterator[bytes], seconds: float) -> Load:
        """Send requests until they or the time end, and wait for all answers."""
        started = time.perf_counter()
        end = started + seconds
        taken: list[float] = []
        last, heard, waiting = b"", 0, 0
        for connection in list(self._connections.values()):
            waiting += connection.ask(requests)
        while waiting:
            for fd in self._ready():
                answered = self._connections.get(fd)
                if answered is None:
                    heard += self._hear()
                    continue
                body = answered.read()
                if body is None:
                    continue
                now = time.perf_counter()
                taken.append(now - answered.asked_at)
                last, waiting = body, waiting - 1
                if answered.over:
                    answered = self._reconnect(fd)
                if now < end:
                    waiting += answered.ask(requests)
        took = time.perf_counter() - started
        taken.sort()
        return Load(took, taken, last, heard)

    def _ready(self) -> list[int]:
        ready = [fd for fd, _ in self._poll.poll(PATIENCE)]
        if not ready:
            raise BadAnswer("the server does not answer any more")
        return ready

    def _hear(self) -> int:
        """Count the messages that the listener has got."""
        assert self._listener is not None
        return self._listener.hear()

    def _connect(self) -> _Connection:
        connection = _Connection(self._port)
        self._connections[connection.sock.fileno()] = connection
        self._poll.register(connection.sock, select.EPOLLIN)
        return connection

    def _reconnect(self, fd: int) -> _Connection:
        self._connections.pop(fd).sock.close()
        return self._connect()


class _Connection:
    """One connection and the answer it waits for. `over` when the server wants no more on it."""

    __slots__ = ("_rest", "asked_at", "over", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked_at = 0.0
        self.over = False
        self._rest = b""

    def ask(self, requests: Iterator[bytes]) -> bool:
        """Send the next request; say whether there was one."""
        request = next(requests, None)
        if request is None:
            return False
        self.asked_at = time.perf_counter()
        self.sock.sendall(request)
        return True

    def read(self) -> bytes | None:
        """Return the body of the answer when it is whole; raises `BadAnswer`."""
        data = self.sock.recv(_READ_BYTES)
        self._rest += data
        head, gap, body = self._rest.partition(b"\r\n\r\n")
        if not data or (gap and not head.startswith(b"HTTP/1.1 200")):
            raise BadAnswer(self._rest.decode(errors="replace") or "the server closed the socket")
        fields = head.lower()
        if not gap or len(body) < int(fields.partition(b"content-length:")[2].split(maxsplit=1)[0]):
            return None
        self._rest = b""
        self.over = b"connection: close" in fields
        return body
