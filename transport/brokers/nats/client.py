"""nats-py's client, with what it hides told and what it queues handed on.

The parts of it that are not public and are used here, all of them, so that a new version can be
let in when the tests have passed with it:

- what was read before a server hung up while it was being signed in to;
- its read loop logs what it did not expect and ends, while the client says it is connected;
- it keeps every message in a queue of the subscription's, and drops those that do not fit: here
  the read loop waits instead, so that TCP holds the server back;
- what a server tells later (INFO) is not told on;
- what a server denies (`-ERR`) it writes small, and ends the connection for some of it, which the
  server does not;
- `flush` writes its PING before the commands that its flusher has not come to yet, so that the
  PONG proves nothing of them: here those are written first, with the PING behind them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from nats.aio.client import Client
from nats.errors import Error as NatsError

from ..bridge import Future, sleep

__all__ = ["NatsConnection", "NatsListener"]

PING: Final = b"PING\r\n"

_DENIED: Final = re.compile(
    rb"-ERR\s+'Permissions Violation for (Publish|Subscription)[^\"\r]* to \"([^\"\r]+)\"", re.I
)
_PARTING: Final = 0.01
"""Seconds."""

_ERROR: Final = re.compile(rb"-ERR\s+'([^'\r]+)'")
_FULL: Final = "maximum subscriptions exceeded"


class NatsListener(Protocol):
    """Who is told what happens on a connection."""

    async def heard(self, subject: str, payload: bytes) -> None:
        """Take a message; nothing is read from the server until this returns."""

    def informed(self, info: Mapping[str, object], first: bool) -> None:
        """Learn what the server says of itself; the first time before anything is sent to it."""

    def unsayable(self, subject: str) -> None:
        """Learn that the server does not let us publish to it, and has dropped a message."""

    def unhearable(self, subject: str) -> None:
        """Learn that the server does not let us hear it, or not any more."""

    def full(self) -> None:
        """Learn that the server has not taken one subscription: there are too many."""

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

    @property
    def parting_words(self) -> str:
        """What the server said before it hung up: to who is one too many it says so, and is gone.

        asyncio's reader raises for the end before it returns what came before that.
        """
        reader = getattr(self._transport, "_io_reader", None)
        said = _ERROR.search(bytes(getattr(reader, "_buffer", b"")))
        return said[1].decode(errors="replace") if said is not None else ""

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

    async def _process_err(self, err_msg: str) -> None:
        # The parser has the line still, with the subject as it is.
        denied = _DENIED.match(self._ps.buf)
        if denied is not None:
            subject = denied[2].decode(errors="replace")
            told = self._listener.unsayable if denied[1][:1] in b"Pp" else self._listener.unhearable
            told(subject)
        elif _FULL in err_msg:
            self._listener.full()
        else:
            await super()._process_err(err_msg)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        self._listener.informed(info, initial_connection)
        if initial_connection:
            # Who is one too many is told so behind this; what we would write to a socket that is
            # closed by then makes the system throw that away.
            await sleep(_PARTING)
            if self.parting_words:
                raise NatsError(self.parting_words)
        await super()._process_info(info, initial_connection)
