"""The hub: passes lines on to whoever has subscribed. `python hub.py` serves it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

import trio

HOST, PORT = "127.0.0.1", 4711
LONGEST = 2 * 1024 * 1024
"""Bytes of a line; whoever sends a longer one is cut off."""
PATIENCE = 1.0
"""Seconds that a pod may hold up the others; then it is cut off, and learns it at once."""
BROKEN = trio.BrokenResourceError, trio.ClosedResourceError


class Wire:
    """Lines over TCP. A connection that closes or breaks ends `lines`; `send` says nothing."""

    def __init__(self, stream: trio.SocketStream | None = None) -> None:
        self._stream = stream
        self._turn = trio.Lock()

    @property
    def open(self) -> bool:
        """Whether it was connected, and nobody here has closed it."""
        return self._stream is not None

    async def connect(self, host: str, port: int) -> bool:
        """Connect, or return False when nobody is there."""
        with suppress(OSError):
            self._stream = await trio.open_tcp_stream(host, port)
        return self.open

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """Yield what comes."""
        stream, rest = self._stream, b""
        if stream is None:
            return
        with suppress(*BROKEN):
            async for chunk in stream:
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line
                if len(rest) > LONGEST:
                    return

    async def send(self, lines: Sequence[bytes]) -> None:
        """Send lines, one sender after the other."""
        with suppress(*BROKEN):
            async with self._turn:
                if self._stream is not None:
                    await self._stream.send_all(b"\n".join([*lines, b""]))

    async def close(self) -> None:
        """Cut the connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await trio.aclose_forcefully(stream)


class Hub:
    """Knows who hears what. `serve` is a handler for `trio.serve_tcp`."""

    def __init__(self) -> None:
        self._heard: dict[Wire, set[bytes]] = {}

    async def serve(self, stream: trio.SocketStream) -> None:
        """Do what a pod says, in its order; its `ok` goes back when all before it is done."""
        wire = Wire(stream)
        heard = self._heard[wire] = set()
        try:
            async with aclosing(wire.lines()) as lines:
                async for line in lines:
                    verb, channel, *_ = [*line.split(b" "), b""]
                    if verb == b"pub":
                        await self._pass_on(channel, line)
                    elif verb == b"ok":
                        await wire.send([line])
                    else:
                        (heard.add if verb == b"sub" else heard.discard)(channel)
        finally:
            del self._heard[wire]

    async def _pass_on(self, channel: bytes, line: bytes) -> None:
        for wire in [wire for wire, heard in self._heard.items() if channel in heard]:
            with trio.move_on_after(PATIENCE) as patience:
                await wire.send([line])
            if patience.cancelled_caught:
                await wire.close()  # half a line may have gone out


async def main() -> None:
    """Serve until interrupted."""
    await trio.serve_tcp(Hub().serve, PORT, host=HOST)


if __name__ == "__main__":
    trio.run(main)
