"""Clients on trio that remember what they hear and when: for histories, not for load."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from _dialects import DEPLOYD
from _frames import CLOSE, TEXT, FrameReader, client_frame, upgrade_request
from attrs import field, mutable

__all__ = ["Ear", "ears"]

PATIENCE: Final = 20.0
"""Seconds for a greeting or an answer."""


@mutable(eq=False)
class Ear:
    """One client. Times are unix seconds, but `at` of what was heard is steady seconds.

    `heard` holds room, data, whether replayed, and `at`; `notices` an event of the system's, its
    data, and when it came; `receipts` the scope and when it came, by the emit's id.
    """

    stream: trio.SocketStream
    heard: list[tuple[str, Any, bool, float]] = field(factory=list)
    notices: list[tuple[str, Mapping[str, Any], float]] = field(factory=list)
    receipts: dict[int, tuple[str, float]] = field(factory=dict)
    joined: set[str] = field(factory=set)
    greeted: bool = False
    closed: bool = False
    changed: trio.Event = field(factory=trio.Event)

    async def send(self, type_: str, **fields: Any) -> None:
        """Send one message."""
        await self.stream.send_all(client_frame(json.dumps({"type": type_, **fields})))

    async def join(self, room: str) -> None:
        """Join, and return when the pod has answered."""
        await self.send("join", room=room)
        await self.until(lambda: room in self.joined)

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Return when something heard makes it so; raises `trio.TooSlowError`."""
        with trio.fail_after(seconds):
            while not condition():
                await self.changed.wait()

    async def listen(self) -> None:
        """Hear until the connection ends."""
        reader = FrameReader()
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                head += await self._read()
            data = head.partition(b"\r\n\r\n")[2]
            while True:
                for frame in reader.feed(data):
                    if frame.opcode == CLOSE:
                        return
                    if frame.opcode == TEXT:
                        self._take(json.loads(frame.payload))
                self._wake()
                data = await self._read()
        except (trio.BrokenResourceError, ConnectionError):
            return
        finally:
            self.closed = True
            self._wake()

    async def _read(self) -> bytes:
        data = await self.stream.receive_some(65536)
        if not data:
            raise ConnectionError("the pod closed the connection")
        return bytes(data)

    def _take(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "emit" if str(message["event"]).startswith("system:"):
                self.notices.append((message["event"], message["data"], time.time()))
            case "emit":
                replayed = bool(message["meta"].get("replayed"))
                self.heard.append((message["room"], message["data"], replayed, trio.current_time()))
            case "receipt":
                self.receipts[message["id"]] = (message["data"]["scope"], time.time())
            case "error" if "id" in message:
                self.receipts[message["id"]] = ("rejected", time.time())
            case "join":
                self.joined.add(message["room"])
            case "connect":
                self.greeted = True

    def _wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


@asynccontextmanager
async def ears(port: int, count: int = 1) -> AsyncIterator[list[Ear]]:
    """Connect so many clients of a pod, each past its greeting."""
    async with trio.open_nursery() as nursery:
        clients = []
        for _ in range(count):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(upgrade_request(DEPLOYD.target, port))
            client = Ear(stream)
            nursery.start_soon(client.listen)
            await client.until(lambda client=client: client.greeted or client.closed)  # type: ignore[misc]
            clients.append(client)
        yield clients
        nursery.cancel_scope.cancel()
