"""A TCP proxy in front of a broker, that does to connections what networks do.

Faults are attributes, changed at any time and in force at once, for connections that are open too.
Bytes that a fault swallows are gone; those it holds back come later, unless it is cut.
"""

from __future__ import annotations

import math
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import trio

__all__ = ["FaultProxy", "fault_proxy"]

_RESET: Final = struct.pack("ii", 1, 0)
_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError)
_CHUNK: Final = 65_536


class FaultProxy:
    """One proxy. "Inbound" is from the server to the client, as the client sees it.

    `latency` and `jitter` are seconds in each direction, `bandwidth` bytes a second, `slices`
    bytes that are passed on at a time, `cut_after` inbound bytes until connections are reset.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.connections = 0
        """Accepted since it began."""
        self.swallow_inbound = False
        self.swallow_outbound = False
        self.mute = False
        """Accept, connect to nobody, say nothing."""
        self.withhold_fin = False
        """Do not tell the client that the server has closed."""
        self.latency = 0.0
        self.jitter = 0.0
        self.bandwidth = math.inf
        self.slices: int | None = None
        self.cut_after: int | None = None
        self._open: set[trio.SocketStream] = set()
        self._random = random.Random(7)

    def blackhole(self) -> None:
        """Swallow what comes from either side."""
        self.swallow_inbound = self.swallow_outbound = True

    def heal(self) -> None:
        """End all faults; what was swallowed stays so."""
        self.swallow_inbound = self.swallow_outbound = self.mute = self.withhold_fin = False
        self.latency = self.jitter = 0.0
        self.bandwidth, self.slices, self.cut_after = math.inf, None, None

    def reset(self) -> None:
        """Send RST to both sides of every connection."""
        for stream in tuple(self._open):
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            stream.socket.close()

    async def serve(self, task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
        """Serve until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        await trio.serve_listeners(self._handle, listeners, task_status=task_status)

    async def _handle(self, client: trio.SocketStream) -> None:
        self.connections += 1
        self._open.add(client)
        try:
            if self.mute:
                await _drain(client)
            else:
                await self._join(client)
        finally:
            self._open.discard(client)
            await trio.aclose_forcefully(client)

    async def _join(self, client: trio.SocketStream) -> None:
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self.target)
        except OSError:
            return
        self._open.add(server)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._outbound, client, server, nursery.cancel_scope)
                await self._pump(server, client, inbound=True)
                if self.withhold_fin:
                    await trio.sleep_forever()  # until the client has had enough
                nursery.cancel_scope.cancel()
        finally:
            self._open.discard(server)
            await trio.aclose_forcefully(server)

    async def _outbound(
        self, client: trio.SocketStream, server: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        await self._pump(client, server, inbound=False)
        if self.withhold_fin:
            await _drain(client)
        scope.cancel()

    async def _pump(
        self, source: trio.SocketStream, to: trio.SocketStream, *, inbound: bool
    ) -> None:
        with suppress(*_BROKEN):
            while data := await source.receive_some(_CHUNK):
                await self._pass_on(data, to, inbound)

    async def _pass_on(self, data: bytes, to: trio.SocketStream, inbound: bool) -> None:
        size = self.slices or (len(data) if self.bandwidth == math.inf else 1024)
        await trio.sleep(max(0.0, self.latency + self._random.uniform(-1, 1) * self.jitter))
        for begin in range(0, len(data), size):
            piece = data[begin : begin + size]
            await trio.sleep(len(piece) / self.bandwidth)
            if self.swallow_inbound if inbound else self.swallow_outbound:
                continue
            if inbound and self.cut_after is not None and self.cut_after <= len(piece):
                await to.send_all(piece[: self.cut_after])
                self.cut_after = None
                self.reset()
                return
            if inbound and self.cut_after is not None:
                self.cut_after -= len(piece)
            await to.send_all(piece)


async def _drain(stream: trio.SocketStream) -> None:
    with suppress(*_BROKEN):
        while await stream.receive_some(_CHUNK):
            pass


@asynccontextmanager
async def fault_proxy(target: int) -> AsyncIterator[FaultProxy]:
    """Serve a proxy to a port of this machine, on a free port."""
    proxy = FaultProxy(target)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        yield proxy
        nursery.cancel_scope.cancel()
