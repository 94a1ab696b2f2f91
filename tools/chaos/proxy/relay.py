"""One client's connection, carried to the server and back through the toxics."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final

import trio

from .frames import readers
from .place import Place
from .toxic import DOWNSTREAM, UPSTREAM, Reception, Signal, Toxic
from .toxics import PlacedToxic
from .way import MAX_HELD, Way

__all__ = ["CHUNK_BYTES", "CONNECT_TIMEOUT", "Relay"]

CHUNK_BYTES: Final = 64 * 1024
"""Read at a time."""

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for the server to accept a connection."""

_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)


class Relay:
    """Carries a connection until both of its ends are gone, or a toxic ends it.

    `number` is its own among those of the proxy: with the seed it says what is drawn for it.
    """

    def __init__(
        self, client: trio.SocketStream, upstream: Place, protocol: str, seed: int, number: int
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._seed = f"{seed}/{number}"
        sent, answered = readers(protocol)
        self._ways = (
            Way(sent, UPSTREAM, f"{self._seed}/{UPSTREAM}"),
            Way(answered, DOWNSTREAM, f"{self._seed}/{DOWNSTREAM}"),
        )
        self._stirred = {way: trio.lowlevel.ParkingLot() for way in self._ways}
        self._drained = {way: trio.lowlevel.ParkingLot() for way in self._ways}
        self._scope = trio.CancelScope()
        self._reset = False

    # Toxics ------------------------------------------------------------------------------------

    def put(self, placed: PlacedToxic) -> None:
        """Have a toxic from now on, or its new settings, if this connection is of its share."""
        if not self._is_hit(placed.name, placed.toxic):
            self.remove(placed.name)
            return
        for way in self._ways:
            if way.stream in placed.toxic.streams:
                way.put(placed.name, placed.toxic, placed.uses, trio.current_time())
        self._stir()

    def remove(self, name: str) -> None:
        """Have a toxic no more."""
        for way in self._ways:
            way.remove(name, trio.current_time())
        self._stir()

    def reception(self, toxics: Iterable[PlacedToxic]) -> Reception | None:
        """Say what becomes of this connection before it was carried anywhere."""
        for placed in toxics:
            what = placed.toxic.takes
            if what is not None and self._is_hit(placed.name, placed.toxic):
                return what
        return None

    def reset(self) -> None:
        """Reset both ends."""
        self._reset = True
        self.close()

    def close(self) -> None:
        """Close both ends."""
        self._scope.cancel()

    def _is_hit(self, name: str, toxic: Toxic) -> bool:
        """Say whether this connection is of a toxic's share; for one it is always the same."""
        return Random(f"{self._seed}/{name}").random() < toxic.toxicity  # noqa: S311 - repeatable

    def _stir(self) -> None:
        for lot in self._stirred.values():
            lot.unpark_all()

    # Bytes -------------------------------------------------------------------------------------

    async def run(self, reception: Reception | None) -> None:
        """Carry it. Raises `OSError` when the server does not accept it."""
        try:
            with self._scope:
                if reception is None:
                    await self._connect()
                elif reception is Reception.HUNG:
                    await self._hang()
                else:
                    self._reset = True
        finally:
            self._part(self._client)

    async def _connect(self) -> None:
        host, port = self._upstream.host, self._upstream.port
        with trio.move_on_after(CONNECT_TIMEOUT) as connecting:
            server = await trio.open_tcp_stream(host, port)
        if connecting.cancelled_caught:
            raise TimeoutError(f"no answer within {CONNECT_TIMEOUT:g} seconds")
        try:
            async with trio.open_nursery() as nursery:
                up, down = self._ways
                for way, source, sink in ((up, self._client, server), (down, server, self._client)):
                    nursery.start_soon(self._read, source, way)
                    nursery.start_soon(self._write, way, sink)
        finally:
            self._part(server)

    async def _hang(self) -> None:
        with suppress(*_GONE):
            while await self._client.receive_some(CHUNK_BYTES):
                pass

    async def _read(self, source: trio.SocketStream, way: Way) -> None:
        """Read until the end, as long as there is room for what comes."""
        stirred, drained = self._stirred[way], self._drained[way]
        take = partial(way.end, reset=False)
        try:
            while data := await source.receive_some(CHUNK_BYTES):
                way.feed(bytes(data), trio.current_time())
                stirred.unpark_all()
                while way.held > MAX_HELD:
                    await drained.park()
        except _GONE:
            take = partial(way.end, reset=True)
        take(trio.current_time())
        stirred.unpark_all()

    async def _write(self, way: Way, sink: trio.SocketStream) -> None:
        """Write what is due, until the end of it."""
        gone = False
        while True:
            ready = way.advance(trio.current_time())
            self._drained[way].unpark_all()
            for item in ready:
                if isinstance(item, bytes):
                    gone = gone or not await _sent(sink, item)
                elif item is Signal.END:
                    with suppress(*_GONE):
                        await sink.send_eof()
                    return
                else:
                    self._reset = item is Signal.RESET
                    self.close()
            if not ready:
                with trio.move_on_at(way.due):
                    await self._stirred[way].park()

    def _part(self, stream: trio.SocketStream) -> None:
        """Close a socket, with RST where it was so."""
        if self._reset:
            with suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()


async def _sent(sink: trio.SocketStream, data: bytes) -> bool:
    """Write; say whether there was anybody to take it."""
    try:
        await sink.send_all(data)
    except _GONE:
        return False
    return True
