"""aiormq's connection and channel, with what they hide told and what costs too much done here.

This is what aio-pika is built on; its own objects make two tasks of each message and know nothing
of a batch. The parts of it that are not public and are used here, all of them, so that a new
version can be let in when the tests have passed with it:

- that a connection is blocked (memory, disk) it logs, and tells nobody;
- that a connection has ended it tells when its writer has, which may wait for seconds: here its
  reader's end is the connection's;
- it waits for each message's confirm alone, and marshals each anew: here a batch is one write and
  one future, and what is the same in all frames is made once;
- why a server does not let us in it loses after the password was right;
- it makes a task of each message that arrives, so that their order is chance.
"""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from typing import Any, Final, Protocol

from aiormq import spec
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.connection import Connection, TransportFactory
from aiormq.exceptions import ChannelInvalidStateError
from pamqp.base import Frame
from pamqp.frame import marshal
from yarl import URL

from ....config import RabbitMQ as RabbitMQSettings
from ..bridge import Future, StreamReader, StreamWriter, open_connection
from ..network import bare_host, written
from .frames import Publication, Publications

__all__ = [
    "ConsumingChannel",
    "PublishingChannel",
    "RabbitConnection",
    "RabbitListener",
    "RequestChannel",
    "SignInRefused",
    "silence_library",
]

HEARTBEAT: Final = 10
"""Seconds: for the server, which frees the queue of a pod that vanished; links have canaries."""

_NUMBERS: Final = 1000
"""Channels that a connection has one after the other before a number comes again."""

_RESET: Final = struct.pack("ii", 1, 0)
"""Close with RST (SO_LINGER, 0 s)."""

_FRAMES: Final = 64
"""Frames that may wait for a channel to be read from."""


def silence_library() -> None:
    """Silence the library, which logs at ERROR, with traces, what the pod says once by itself."""
    logging.getLogger("aiormq").setLevel(logging.CRITICAL + 1)


class RabbitListener(Protocol):
    """Who is told what happens on a connection; none of it may raise."""

    def ended(self, error: BaseException | None) -> None:
        """Learn that nothing is read any more, or that the channel that consumes is closed."""

    def blocked(self, reason: str) -> None:
        """Learn that the server takes nothing from this connection until an alarm has ended."""

    def cancelled(self) -> None:
        """Learn that the server sends nothing of the queue any more."""

    async def heard(self, exchange: str, key: str, payload: bytes, tag: int) -> None:
        """Take a message; nothing more is read from the channel until this returns."""


class _Sockets(TransportFactory):
    """Opens the connection, lets errors of the system through, and can cut it off."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._where = (host, port)
        self._context = context
        self.writer: StreamWriter | None = None

    async def create(self, url: Any, **_: Any) -> tuple[StreamReader, StreamWriter]:
        host, port = self._where
        reader, self.writer = await open_connection(host, port, ssl=self._context)
        return reader, self.writer


class _Refusable:
    """Reads frames while signing in, where the library loses why the server says no."""

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver

    async def get_frame(self) -> Any:
        received = await self._receiver.get_frame()
        if isinstance(received[2], spec.Connection.Close):
            raise SignInRefused(received[2].reply_text)
        return received


class SignInRefused(Exception):
    """The server has closed the connection instead of letting us in."""


class RabbitConnection(Connection):
    """One connection, made once. `url` has the credentials: never show it."""

    def __init__(
        self, settings: RabbitMQSettings, context: ssl.SSLContext | None, listener: RabbitListener
    ) -> None:
        self._sockets = _Sockets(bare_host(settings.host), settings.port, context)
        # For the credentials and options only: not every host or vhost fits into one.
        url = URL.build(
            scheme="amqp",
            host="broker",
            user=settings.username,
            password=settings.password,
            query={"heartbeat": str(HEARTBEAT), "name": "deployd"},
        )
        super().__init__(url, transport_factory=self._sockets)
        self.vhost = settings.vhost
        self._listener = listener
        self._numbers = cycle(range(1, _NUMBERS + 1))
        self._is_blocked = False

    async def begin(self) -> None:
        """Connect and sign in."""
        await self.connect()
        self._reader_task.add_done_callback(self._reader_ended)

    def abandon(self) -> None:
        """Close the socket now; say goodbye if the server takes it without a wait.

        A server that has blocked the connection does not read it, and would keep it until its
        alarm is over; its next heartbeat finds out when the socket was reset.
        """
        writer = self._sockets.writer
        if writer is None:
            return
        transport = writer.transport
        if self._is_blocked:
            with suppress(OSError):  # it may be closed already
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET
                )
        elif not transport.is_closing() and not transport.get_write_buffer_size():
            farewell = spec.Connection.Close(200, "", 0, 0)
            transport.write(marshal(farewell, 0))
        transport.abort()

    @property
    def server(self) -> str:
        """The address and port that the connection leads to, or nothing: no server tells its name.

        Two that differ may be one server's; one and the same may be a balancer's of several.
        """
        writer = self._sockets.writer
        peer = None if writer is None else writer.get_extra_info("peername")
        return written(*peer[:2]) if peer else ""

    def number(self) -> int:
        """Return a number for a channel, that none has had for long: an old one may yet speak."""
        return next(self._numbers)

    def _reader_ended(self, task: Any) -> None:
        self._listener.ended(None if task.cancelled() else task.exception())

    @staticmethod
    async def _rpc(
        request: Frame,
        writer: StreamWriter,
        frame_receiver: Any,
        wait_response: bool = True,
    ) -> Any:
        receiver: Any = _Refusable(frame_receiver)
        return await Connection._rpc(request, writer, receiver, wait_response)  # noqa: SLF001

    # What the library's own method of this name is called from outside of its class.
    async def _Connection__handle_connection_blocked(  # noqa: N802
        self, frame: spec.Connection.Blocked
    ) -> None:
        self._is_blocked = True
        self._listener.blocked(str(frame.reason or ""))


class _OwnChannel(Channel):
    """A channel of a kind of our own, that is used until somebody closes it."""

    def __init__(self, connection: RabbitConnection, confirms: bool = False) -> None:
        super().__init__(
            connection, connection.number(), publisher_confirms=confirms, frame_buffer=_FRAMES
        )
        connection.channels[self.number] = self

    @property
    def reason(self) -> BaseException | None:
        """Why the server has closed the channel, or None."""
        return self._close_exception

    @property
    def is_good(self) -> bool:
        """Whether the channel can be used: the server closes one for what it is asked."""
        return self._close_exception is None and not self.is_closed

    def demand_good(self) -> None:
        """Raise what the library does when the channel is closed."""
        if not self.is_good:
            raise ChannelInvalidStateError("closed")

    async def request(self, frames: Sequence[Frame]) -> None:
        """Send requests in one write, and return when the server has answered all of them."""
        self.demand_good()
        # A task of the channel's own ends with it.
        await self.create_task(self._request(frames))

    async def _request(self, frames: Sequence[Frame]) -> None:
        payload = b"".join(marshal(frame, self.number) for frame in frames)
        async with self.lock:
            await self.write_queue.put(ChannelFrame(payload, should_close=False))
            for _ in frames:
                await self.rpc_frames.get()


class PublishingChannel(_OwnChannel):
    """A channel whose confirms are counted by batch."""

    def __init__(self, connection: RabbitConnection) -> None:
        super().__init__(connection, confirms=True)
        self._publications = Publications(self.number, self.max_content_size)

    async def send(self, publications: list[Publication]) -> Future[None]:
        """Write messages, and return what is done when all of them are confirmed.

        Returns when the system has taken the bytes, or most of them. Two calls at once are an
        error: what is written must be in the order of its tags.
        """
        self.demand_good()
        confirmed: Future[None] = self.create_future()
        payload = self._publications.written(publications, confirmed)
        written: Future[None] = self.create_future()
        await self.write_queue.put(ChannelFrame(payload, should_close=False, drain_future=written))
        await written
        return confirmed

    async def _on_confirm_frame(self, frame: Any) -> None:
        taken = isinstance(frame, spec.Basic.Ack)
        self._publications.confirm(frame.delivery_tag, bool(frame.multiple), taken)


class RequestChannel(_OwnChannel):
    """A channel for exchanges and bindings: what is refused there costs no queue its consumer."""


class ConsumingChannel(_OwnChannel):
    """A channel that hands on what arrives, in order, at once; its end is the connection's."""

    def __init__(self, connection: RabbitConnection, listener: RabbitListener) -> None:
        super().__init__(connection)
        self._listener = listener
        self.on_consumer_cancel_callbacks.add(lambda _: listener.cancelled())

    async def begin(self) -> None:
        """Open the channel."""
        await self.open()
        self.closing.add_done_callback(self._ended)

    async def acknowledge(self, tag: int) -> None:
        """Say that all messages up to this one are handled."""
        await self.basic_ack(tag, multiple=True, wait=False)

    async def say(self, exchange: str, key: str) -> None:
        """Publish a message without content, which nobody confirms."""
        await self.basic_publish(b"", exchange=exchange, routing_key=key)

    def _ended(self, closing: Future[Any]) -> None:
        self._listener.ended(None if closing.cancelled() else closing.exception())

    async def _on_deliver_frame(self, frame: Any) -> None:
        header: Any = await self._get_frame()
        message = await self._read_content(frame, header)
        key: str = frame.routing_key
        await self._listener.heard(frame.exchange, key, message.body, frame.delivery_tag)
