"""Clients that live through a rolling restart, and remember what they heard and when they could."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any, Final

import trio
from _dialects import DEPLOYD
from _frames import CLOSE, TEXT, FrameReader, client_frame, retry_after, upgrade_request
from attrs import field, mutable

__all__ = ["Resident"]

LONGEST: Final = 20.0
"""Seconds of backoff at most, where no pod has said when to come back."""


@mutable(eq=False)
class Resident:
    """One client of one room. Times are seconds of trio's clock.

    `stays` are the times between an acknowledged join and the end of that connection; `heard` are
    events by name and when; `said` when each was emitted, `receipts` its scope and when it came.
    """

    name: str
    room: str
    port: int
    stays: list[tuple[float, float]] = field(factory=list)
    heard: dict[str, float] = field(factory=dict)
    said: dict[str, float] = field(factory=dict)
    receipts: dict[str, tuple[str, float]] = field(factory=dict)
    endings: Counter[str] = field(factory=Counter)
    problems: Counter[str] = field(factory=Counter)
    twice: int = 0
    joined_at: float | None = None
    stream: trio.SocketStream | None = None

    async def live(self) -> None:
        """Connect, join, hear; and again, as the system's own client does."""
        tries = 0
        while True:
            before, wait = len(self.stays), 0.0
            try:
                wait = await self._one_connection()
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self.endings[type(error).__name__] += 1
            finally:
                self._leave()
            tries = 0 if len(self.stays) > before else tries + 1
            longest = min(LONGEST, 0.5 * 2**tries)
            await trio.sleep(wait or random.uniform(0, longest))

    async def say(self, count: int, pause: float) -> None:
        """Emit so many events, with a pause after each, while there is a connection."""
        number = 0
        while number < count:
            await trio.sleep(pause)
            if self.joined_at is None or self.stream is None:
                continue
            event = f"{self.name}-{number}"
            number += 1
            self.said[event] = trio.current_time()
            try:
                await self._send("emit", room=self.room, event="e", data=event, id=event)
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                self.problems["not sent"] += 1

    async def _one_connection(self) -> float:
        """Return the seconds that the pod asked us to wait, or 0."""
        self.stream = stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        await stream.send_all(upgrade_request(DEPLOYD.target, self.port))
        head, reader = b"", FrameReader()
        while b"\r\n\r\n" not in head:
            head += await self._read()
        head, _, data = head.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            self.endings[head[9:12].decode()] += 1
            wait = retry_after(head)
            return wait + random.random() if wait else 0.0
        await self._send("join", room=self.room)
        while True:
            for frame in reader.feed(data):
                if frame.opcode == CLOSE:
                    code = int.from_bytes(frame.payload[:2], "big")
                    self.endings[str(code)] += 1
                    reason = frame.payload[2:].decode()
                    return float(reason.partition("=")[2]) if "=" in reason else 0.0
                if frame.opcode == TEXT:
                    self._take(json.loads(frame.payload))
            data = await self._read()

    async def _read(self) -> bytes:
        assert self.stream is not None
        data = bytes(await self.stream.receive_some(65536))
        if not data:
            raise trio.BrokenResourceError("ended without a close")
        return data

    async def _send(self, kind: str, **fields: Any) -> None:
        assert self.stream is not None
        await self.stream.send_all(client_frame(json.dumps({"type": kind, **fields})))

    def _take(self, message: dict[str, Any]) -> None:
        now = trio.current_time()
        match message:
            case {"type": "join"}:
                self.joined_at = now
            case {"type": "emit", "event": "e", "data": event}:
                self.twice += event in self.heard
                self.heard.setdefault(event, now)
            case {"type": "receipt", "id": event, "data": {"scope": scope}}:
                self.receipts[event] = (scope, now)
            case {"type": "error"}:
                self.problems[str(message.get("data", {}).get("code"))] += 1

    def _leave(self) -> None:
        if self.joined_at is not None:
            self.stays.append((self.joined_at, trio.current_time()))
            self.joined_at = None
        if self.stream is not None:
            self.stream.socket.close()
            self.stream = None
