"""One client of a stress test, on wsproto: it signs in, joins a room, hears and speaks."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncGenerator
from typing import Final

import orjson
import trio
import wsproto
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from .plan import Plan

__all__ = ["ConnectionClosed", "StressClient", "TurnedAway", "Untrusted"]

READ = 16 * 1024
NO_WEBSOCKET = 1002
"""What is counted when the other side speaks something else (RFC 6455, section 7.4.1)."""

NO_MESSAGE = 1007
"""What is counted when a message is none of the protocol's."""
UNKNOWN_ISSUER = (18, 19, 20, 21)
"""OpenSSL's codes (X509_V_ERR_…) for a certificate that nobody signed who is trusted."""
REMEDY = "; name its authority's file in the environment's SSL_CERT_FILE"


class ConnectionClosed(Exception):
    """The pod closed the connection, with this code; 1006 without a word."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class TurnedAway(Exception):
    """The pod refused the handshake; `wait` are the seconds until it is to be tried again."""

    def __init__(self, status: int, wait: float | None) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.wait = wait


class Untrusted(Exception):
    """The pod's certificate is of no authority that is trusted here, or for another name."""


class StressClient:
    """One connection. `member` is whether it is in its room."""

    JOINING: Final = "joining"
    """The id of its join; the pod's answer, or its refusal, has the same."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._sending = trio.Lock()
        self._text = ""
        self.member = False

    @classmethod
    async def connect(cls, plan: Plan, context: ssl.SSLContext | None) -> StressClient:
        """Shake hands, encrypted with a context, plainly with none.

        Raises `TurnedAway`, `Untrusted`, `ConnectionClosed`, `OSError` and trio's errors of
        streams.
        """
        host, port, _ = plan.endpoint
        stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
        try:
            if context is not None:
                stream = await _encrypted(stream, context, host)
            client = cls(stream)
            await client._shake_hands(plan.host)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return client

    async def enter(self, plan: Plan, room: str) -> None:
        """Sign in, where there is a token, and join; `messages` tells when that is done."""
        if plan.token:
            await self.send({"type": "auth", "token": plan.token})
        await self.send({"type": "join", "room": room, "id": self.JOINING})

    async def send(self, message: dict[str, object]) -> None:
        """Send one message. Raises trio's errors of streams."""
        try:
            data = self._protocol.send(TextMessage(orjson.dumps(message).decode()))
        except LocalProtocolError as error:
            # A message was due between the pod's close frame and the end of this client.
            raise trio.ClosedResourceError("the pod has closed it") from error
        async with self._sending:
            await self._stream.send_all(data)

    async def messages(self) -> AsyncGenerator[dict[str, object], None]:
        """Yield what comes; raises `ConnectionClosed` at the end."""
        while True:
            for event in self._protocol.events():
                if isinstance(event, TextMessage):
                    self._text += event.data
                    if event.message_finished:
                        text, self._text = self._text, ""
                        yield _message(text)
                elif isinstance(event, Ping):
                    async with self._sending:
                        await self._stream.send_all(self._protocol.send(event.response()))
                elif isinstance(event, CloseConnection):
                    raise ConnectionClosed(event.code)
            await self._read()

    async def aclose(self) -> None:
        """Go without a word."""
        await trio.aclose_forcefully(self._stream)

    async def _shake_hands(self, host: str) -> None:
        request = self._protocol.send(Request(host=host, target="/socket.io/"))
        await self._stream.send_all(request)
        while True:
            for event in self._protocol.events():
                if isinstance(event, AcceptConnection):
                    return
                if isinstance(event, RejectConnection):
                    headers = dict(event.headers)
                    wait = headers.get(b"retry-after", b"").decode("ascii", "replace")
                    # Spread: all who were told the same would come back in the same moment.
                    jitter = random.random()  # noqa: S311
                    seconds = float(wait) + jitter if wait.isdecimal() else None
                    raise TurnedAway(event.status_code, seconds)
            await self._read()

    async def _read(self) -> None:
        data = await self._stream.receive_some(READ)
        if not data:
            raise ConnectionClosed(1006)
        try:
            self._protocol.receive_data(bytes(data))
        except RemoteProtocolError as error:
            raise ConnectionClosed(NO_WEBSOCKET) from error


def _message(text: str) -> dict[str, object]:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConnectionClosed(NO_MESSAGE) from error
    if not isinstance(message, dict):
        raise ConnectionClosed(NO_MESSAGE)
    return message


async def _encrypted(
    stream: trio.abc.Stream, context: ssl.SSLContext, host: str
) -> trio.SSLStream[trio.abc.Stream]:
    encrypted = trio.SSLStream(stream, context, server_hostname=host)
    try:
        await encrypted.do_handshake()
    except trio.BrokenResourceError as error:
        reason = error.__cause__
        if not isinstance(reason, ssl.SSLCertVerificationError):
            raise
        remedy = REMEDY if reason.verify_code in UNKNOWN_ISSUER else ""
        raise Untrusted(reason.verify_message + remedy) from error
    return encrypted
