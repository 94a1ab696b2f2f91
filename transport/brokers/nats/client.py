"""nats-py's client, with what it hides told and what it queues handed on.

The parts of it that are not public and are used here, all of them, so that a new version can be
let in when the tests have passed with it:

- its read loop logs what it did not expect and ends, while the client says it is connected;
- it keeps every message in a queue of the subscription's, and drops those that do not fit: here
  the read loop waits instead, so that TCP holds the server back;
- what a server tells later (INFO) is not told on;
- `flush` writes its PING before the commands that its flusher has not come to yet, so that the
  PONG proves nothing of them: here those are written first, with the PING behind them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from nats.aio.client import Client

from ..bridge import Future

__all__ = ["NatsConnection", "NatsListener"]

PING: Final = b"PING\r\n"


class NatsListener(Protocol):
    """Who is told what happens on a connection."""

    async def heard(self, subject: str, payload: bytes) -> None:
        """Take a message; nothing is read from the server until this returns."""

    def informed(self, info: Mapping[str, object], first: bool) -> None:
        """Learn what the server says of itself; the first time before anything is sent to it."""

    def ended(self) -> None:
        """Learn that nothing is read any more."""


class NatsConnection(Client):
    """One connection, which is made once."""

    def __init__(self, listener: NatsListener) -> None:
        super().__init__()
        self._listener = listener

    async def settle(self) -> None:
        """Return when the server has handled all that was asked of it before.

        What waits is written here, with its PING, in one piece: the library's flusher would come to
        it turns of the loop later, and an event of an idle pod waits for nothing else.
        """
        transport = self._transport
        if transport is None:  # closed, as its user is told by `ended`
            return
        pong: Future[bool] = Future()
        pending, self._pending, self._pending_data_size = self._pending, [], 0
        self._pongs.append(pong)
        transport.writelines([*pending, PING])
        await transport.drain()  # type: ignore[no-untyped-call]
        await pong

    def abandon(self) -> None:
        """Close the socket now, whatever waits to be sent."""
        writer = getattr(self._transport, "_bare_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def _read_loop(self) -> None:
        try:
            await super()._read_loop()
        finally:
            self._listener.ended()

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        if sid in self._subs:
            await self._listener.heard(subject.decode(), data)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        self._listener.informed(info, initial_connection)
        await super()._process_info(info, initial_connection)
