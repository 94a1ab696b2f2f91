"""A TCP proxy in front of a server, and what networks do to those who rely on them.

Its attributes are faults, and hold from the next bytes on for every connection. What was swallowed
is not made up for: a connection that has lost bytes in a direction stays dumb in it, and only a
new one is whole.
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
from attrs import define, field

__all__ = ["FaultProxy", "fault_proxy"]

CHUNK: Final = 64 * 1024
LINE: Final = 256
"""Chunks that are on their way at once: with more the reading side waits."""


@define(eq=False)
class FaultProxy:
    """Faults by name; "in" is towards the client, "out" towards the server.

    `latency` and `jitter` are seconds each way, `bandwidth` bytes a second and direction,
    `cut_after` bytes that a connection may still carry inwards before both ends are closed,
    `flip_every` how many bytes (on average) come inwards to a bit that is flipped.
    `mute` accepts and says nothing, `withhold_fin` tells neither end that the other has closed.
    """

    port: int
    target: int
    swallow_in: bool = False
    swallow_out: bool = False
    mute: bool = False
    withhold_fin: bool = False
    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: float = math.inf
    cut_after: float = math.inf
    flip_every: float = math.inf
    slice_bytes: int = CHUNK
    accepted: int = 0
    seed: int = 7
    _random: random.Random = field(init=False)
    _streams: set[trio.SocketStream] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def blackhole(self) -> None:
        """Swallow both ways, new connections too."""
        self.swallow_in = self.swallow_out = self.mute = True

    def heal(self) -> None:
        """Have no faults any more."""
        self.swallow_in = self.swallow_out = self.mute = self.withhold_fin = False
        self.latency = self.jitter = 0.0
        self.bandwidth = self.cut_after = self.flip_every = math.inf
        self.slice_bytes = CHUNK

    def reset(self) -> None:
        """End all connections with RST."""
        for stream in tuple(self._streams):
            with suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()
        self._streams.clear()

    async def serve(self, client: trio.SocketStream) -> None:
        """Carry one connection until both of its ends are gone."""
        self.accepted += 1
        self._streams.add(client)
        try:
            if self.mute:
                await self._say_nothing(client)
                return
            server = await trio.open_tcp_stream("127.0.0.1", self.target)
            self._streams.add(server)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, client, server, False)
                    nursery.start_soon(self._carry, server, client, True)
            finally:
                self._streams.discard(server)
                server.socket.close()
        except OSError:
            pass  # nobody listens there: the client is closed, as the kernel would do it
        finally:
            self._streams.discard(client)
            client.socket.close()

    async def _say_nothing(self, client: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while await client.receive_some(CHUNK):
                pass

    async def _carry(
        self, source: trio.SocketStream, sink: trio.SocketStream, inwards: bool
    ) -> None:
        send, receive = trio.open_memory_channel[tuple[float, bytes]](LINE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, receive, sink)
            async with send:
                await self._read(source, send, inwards)
            if self.withhold_fin:
                await trio.sleep_forever()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await sink.send_eof()

    async def _read(
        self,
        source: trio.SocketStream,
        send: trio.MemorySendChannel[tuple[float, bytes]],
        inwards: bool,
    ) -> None:
        due, carried, dumb = 0.0, 0, False
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(CHUNK):
                dumb = dumb or (self.swallow_in if inwards else self.swallow_out)
                if dumb:
                    continue
                if inwards and carried + len(data) > self.cut_after:
                    data = data[: max(0, int(self.cut_after) - carried)]
                    await send.send((due, bytes(data)))
                    return
                carried += len(data) if self.cut_after < math.inf else 0
                if inwards and self._random.random() < len(data) / self.flip_every:
                    data = self._flipped(data)
                delay = self.latency + self._random.uniform(-self.jitter, self.jitter)
                due = max(due, trio.current_time() + max(0.0, delay))
                await send.send((due, bytes(data)))

    def _flipped(self, data: bytes) -> bytes:
        flipped = bytearray(data)
        flipped[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        return bytes(flipped)

    async def _deliver(
        self, receive: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: trio.SocketStream
    ) -> None:
        broken = False
        async for due, data in receive:
            await trio.sleep_until(due)
            step = self.slice_bytes  # it may change while these bytes are under way
            for at in range(0, len(data) if not broken else 0, step):
                piece = data[at : at + step]
                try:
                    await sink.send_all(piece)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    broken = True
                    break
                if self.bandwidth < math.inf:
                    await trio.sleep(len(piece) / self.bandwidth)


@asynccontextmanager
async def fault_proxy(target: int) -> AsyncIterator[FaultProxy]:
    """Stand in front of a port of 127.0.0.1 for the length of the block."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        proxy = FaultProxy(listeners[0].socket.getsockname()[1], target)
        nursery.start_soon(trio.serve_listeners, proxy.serve, listeners)
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()
