"""What tests of the NATS driver say to it: a scripted server, and credentials of an operator's."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import nkeys  # type: ignore[import-untyped]
import trio

from deployd.config.brokers import Nats

__all__ = ["Operator", "ScriptedServer", "scripted_server"]

INFO: Final = {"server_id": "X", "version": "2.11.0", "max_payload": 1000, "headers": True}


class ScriptedServer:
    """A server of one client that answers PINGs and says what the test wants."""

    def __init__(self, port: int, info: dict[str, Any]) -> None:
        self.settings = Nats(host="127.0.0.1", port=port, username="user", password="secret")
        self.received = b""
        self._info = info
        self._stream: trio.SocketStream | None = None
        self._turn = trio.Lock()

    async def say(self, words: bytes) -> None:
        """Send this to the client."""
        assert self._stream is not None
        async with self._turn:  # it answers PINGs meanwhile
            await self._stream.send_all(words)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Greet the client and answer it until it goes."""
        self._stream = stream
        await self.inform()
        async for data in stream:
            self.received += data
            await self.say(b"PONG\r\n" * data.count(b"PING\r\n"))

    async def inform(self, **changes: object) -> None:
        """Send an INFO."""
        await self.say(b"INFO " + json.dumps(self._info | changes).encode() + b"\r\n")


@asynccontextmanager
async def scripted_server(**info: object) -> AsyncIterator[ScriptedServer]:
    """Listen on a free port; `info` changes what the server says of itself."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = ScriptedServer(listener.socket.getsockname()[1], {**INFO, **info})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, [listener])
        yield server
        nursery.cancel_scope.cancel()


class Operator:
    """An operator with one account, who makes users (JWTs, as `nsc` does)."""

    def __init__(self) -> None:
        self._operator = _key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = _key(nkeys.PREFIX_BYTE_ACCOUNT)

    @property
    def configuration(self) -> str:
        """What a server of this operator is configured with."""
        operator = _token(self._operator, self._operator, {"type": "operator"})
        everything = dict.fromkeys(("subs", "data", "payload", "conn", "leaf"), -1)
        account = _token(self._operator, self._account, {"type": "account", "limits": everything})
        public = self._account.public_key.decode()
        return (
            f"operator: {operator}\nresolver: MEMORY\nresolver_preload: {{ {public}: {account} }}"
        )

    def credentials(self, expires: float = 3600) -> str:
        """Return the text of a user's file, which expires in so many seconds."""
        user = _key(nkeys.PREFIX_BYTE_USER)
        limits = {"type": "user", "subs": -1, "data": -1, "payload": -1}
        token = _token(self._account, user, limits, int(time.time() + expires))
        return (
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n"
            "------END USER NKEY SEED------\n"
        )


def _key(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def _token(issuer: Any, subject: Any, claims: dict[str, Any], expires: int = 0) -> str:
    body: dict[str, Any] = {
        "jti": os.urandom(16).hex(),
        "iat": int(time.time()),
        "iss": issuer.public_key.decode(),
        "sub": subject.public_key.decode(),
        "nats": {"version": 2, **claims},
    }
    if expires:
        body["exp"] = expires
    parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, body]
    text = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_encoded(issuer.sign(text.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
