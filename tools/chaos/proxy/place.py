"""Where a proxy listens, and where it connects to."""

from __future__ import annotations

import errno
import socket
from typing import Final

import trio
from attrs import frozen

from .errors import BadPlace, PortTaken

__all__ = ["Door", "Place", "parse_place"]

BACKLOG: Final = 1024
"""Connections that wait to be accepted."""

LOOPBACK: Final = "127.0.0.1"


@frozen
class Place:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_place(text: str) -> Place:
    """Read `HOST:PORT`, `[::1]:PORT`, or a port of this machine. Raises `BadPlace`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else LOOPBACK
    if not (port.isascii() and port.isdigit() and int(port) <= 65535) or "/" in host:
        raise BadPlace(f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:6380.")
    return Place({"": "0.0.0.0", "localhost": LOOPBACK}.get(host, host), int(port))  # noqa: S104


class Door:
    """A port that can be closed, and opened again, without anybody else getting it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._listener: trio.SocketListener | None = None
        self._held: socket.socket | None = None
        self._moved = trio.Event()

    def open(self) -> None:
        """Listen. Raises `PortTaken`."""
        if self._listener is not None:
            return
        held = self._held or self._bound()
        self._held = None
        try:
            held.listen(BACKLOG)
        except OSError as error:
            held.close()
            raise _taken(self.place, error) from error
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(held))
        self._move()

    def shut(self) -> None:
        """Refuse connections, and keep the port. Raises `PortTaken`."""
        if self._held is None:
            self._close()
            self._held = self._bound()

    def leave(self) -> None:
        """Refuse connections, and give the port back."""
        self._close()
        if self._held is not None:
            self._held.close()
            self._held = None

    async def accept(self) -> trio.SocketStream:
        """Return the next connection; wait while nobody may come. Raises `OSError`."""
        while True:
            listener, moved = self._listener, self._moved
            if listener is None:
                await moved.wait()
                continue
            try:
                return await listener.accept()
            except trio.ClosedResourceError:
                continue

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.socket.close()
            self._listener = None
            self._move()

    def _move(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    def _bound(self) -> socket.socket:
        """Bind, and note the port that was found for 0."""
        place = self.place
        try:
            found = socket.getaddrinfo(
                place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, _, _, _, address = found[0]
            bound = socket.socket(family, socket.SOCK_STREAM)
            try:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.bind(address)
            except OSError:
                bound.close()
                raise
        except OSError as error:
            raise _taken(place, error) from error
        self.place = Place(place.host, bound.getsockname()[1])
        return bound


def _taken(place: Place, error: OSError) -> PortTaken:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Cannot listen on {place}: the port is in use; stop what uses it or choose another, 0 "
            "for any free one."
        )
    reason = error.strerror or str(error)
    return PortTaken(f"Cannot listen on {place} ({reason}); choose an address of this machine.")
