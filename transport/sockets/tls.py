"""TLS termination at the pod's own port: everything behind it sees plain bytes.

The fan-out writes to sockets without waiting, which no TLS library allows for. So each encrypted
connection gets a pair of connected sockets: the pod has one end of it, and a task at the other end
encrypts and decrypts with trio's `SSLStream`. It costs two descriptors and some 60 KB a connection;
where many come, let a proxy end TLS.
"""

from __future__ import annotations

import math
import os
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import trio

from ...config import get_logger, read_regular
from ..errors import TlsError
from ..expiry import expires_at

__all__ = ["Certificate", "TlsTerminator"]

CHUNK: Final = 64 * 1024
GOODBYE: Final = 2.0
"""Seconds that a client may take to hear that there is nothing more (RFC 8446 section 6.1), and to
stop sending: a socket that is closed over unread bytes is reset, and takes our last words along."""

LAST_WORDS: Final = 30.0
"""Seconds that a client may take for what the pod has said last, once that has closed its end."""

LOOK: Final = 2.0
"""Seconds that a client may take nothing before it is looked whether the pod still waits for it."""

MOST_OF_A_FILE: Final = 2**20
"""Bytes of a certificate's file."""

_log = get_logger("realtime")


class Certificate:
    """A certificate chain and its key, in files (PEM), read anew when they have changed.

    Raises `TlsError`, which names the file and the remedy, when they cannot be used at the start;
    later the ones in use stay, and the log says so.
    """

    def __init__(self, cert_file: str, key_file: str) -> None:
        self._files = (cert_file, key_file)
        self._read_at = _changed_at(self._files)
        self._context, self._expires_at = _load(*self._files)

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is to be encrypted with."""
        if _changed_at(self._files) != self._read_at:
            self.renew()
        return self._context

    def expires_at(self) -> float | None:
        """Return when what is in use ends (unix seconds), as far as that can be read."""
        self.context()
        return self._expires_at

    def renew(self) -> None:
        """Read the files, whether or not they seem to have changed."""
        self._read_at = _changed_at(self._files)
        try:
            self._context, self._expires_at = _load(*self._files)
            _log.info("read a new certificate", file=self._files[0])
        except TlsError as error:
            _log.error("the old certificate stays in use", reason=str(error))


class TlsTerminator:
    """Ends TLS for connections, as a service that outlives what it carries."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self._nursery: trio.Nursery | None = None

    def renew(self) -> None:
        """Read the certificate anew, for connections to come."""
        self._certificate.renew()

    def expires_at(self) -> float | None:
        """Return when the certificate in use ends (unix seconds), as far as that can be read."""
        return self._certificate.expires_at()

    async def run(self, started: Callable[[], None]) -> None:
        """Carry connections until cancelled; those that are open then are cut off."""
        try:
            async with trio.open_nursery() as self._nursery:
                started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    async def handshake(self, sock: socket.socket) -> socket.socket:
        """Shake hands, and return a socket of the same kind behind which the bytes are plain.

        Raises `OSError` when it comes to no handshake. `sock` is taken over and closed.
        """
        wire = _EncryptedSide(sock)
        stream = trio.SSLStream(wire, self._certificate.context(), server_side=True)
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            del stream.transport_stream  # as at the end of `_carry`
            raise ConnectionAbortedError("no TLS handshake") from error
        if self._nursery is None:
            raise ConnectionAbortedError("the pod is stopping")
        outer, inner = socket.socketpair()
        inner.setblocking(False)
        wire.plain = outer
        self._nursery.start_soon(_carry, stream, trio.SocketStream(_trio_socket(outer)))
        return inner


class _EncryptedSide(trio.abc.Stream):
    """The encrypted side's TCP, which is closed as plain sockets are: after the peer, if it can be.

    trio's `SSLStream` closes it right behind its `close_notify`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.deaf = False
        """Whether nothing more is to be heard; what has come is still to be decrypted."""
        self.plain: socket.socket | None = None
        """The end of the pair that the pod has the other one of."""
        self._tcp = trio.SocketStream(_trio_socket(sock))
        self._until = math.inf

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything. How long a client may take for it, the pod decides, by closing its end.

        Raises `trio.BrokenResourceError` when the client is gone, or still has not taken it
        `LAST_WORDS` after that: nobody else would ever end the wait.
        """
        rest = memoryview(data)
        while rest:
            with trio.CancelScope(deadline=min(trio.current_time() + LOOK, self._until)):
                try:
                    rest = rest[await self._tcp.socket.send(rest) :]
                except OSError as error:
                    raise trio.BrokenResourceError(str(error)) from error
            if rest:
                self._check_last_words()

    def _check_last_words(self) -> None:
        now = trio.current_time()
        if now >= self._until:
            raise trio.BrokenResourceError("the client does not take what the pod has said last")
        if self.plain is not None and math.isinf(self._until) and _is_hung_up(self.plain):
            self._until = now + LAST_WORDS

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the socket takes more."""
        await self._tcp.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what comes, nothing at the end. Raises `trio.ClosedResourceError` when deaf."""
        if self.deaf:
            raise trio.ClosedResourceError("the pod hears nothing more")
        return await self._tcp.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Say that there is no more, hear the peer out, and close; cancelled, close at once."""
        try:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._tcp.send_eof()
                while await self._tcp.receive_some(CHUNK):
                    pass
        finally:
            await trio.aclose_forcefully(self._tcp)


async def _carry(tls: trio.SSLStream[_EncryptedSide], plain: trio.SocketStream) -> None:
    """Carry bytes both ways until the pod has closed its end."""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_bring_in, tls, plain)
            await _bring_out(plain, tls)
            nursery.cancel_scope.cancel()
    finally:
        plain.socket.close()
        with trio.move_on_after(GOODBYE, shield=True), suppress(trio.BrokenResourceError):
            await _say_goodbye(tls)
        await trio.aclose_forcefully(tls)
        del tls.transport_stream  # it holds itself, and only the collector would free what it has


async def _say_goodbye(tls: trio.SSLStream[_EncryptedSide]) -> None:
    """Send `close_notify`; over what has come and was not read yet OpenSSL would not."""
    tls.transport_stream.deaf = True
    with suppress(trio.ClosedResourceError):
        while await tls.receive_some(CHUNK):
            pass
    await tls.aclose()


async def _bring_in(tls: trio.SSLStream[_EncryptedSide], plain: trio.SocketStream) -> None:
    """Bring what the client says; when the pod hears nothing more, leave it to its last words."""
    with suppress(trio.BrokenResourceError):
        with suppress(trio.BrokenResourceError):  # the client has gone, and need not say so
            while data := await tls.receive_some(CHUNK):
                await plain.send_all(data)
        await plain.send_eof()


async def _bring_out(plain: trio.SocketStream, tls: trio.SSLStream[_EncryptedSide]) -> None:
    with suppress(trio.BrokenResourceError):  # either end: there is nothing more to bring
        while data := await plain.receive_some(CHUNK):
            await tls.send_all(data)


def _is_hung_up(end: socket.socket) -> bool:
    """Say whether the other end of a pair is closed, whatever is still to be read from this one."""
    if end.fileno() < 0:
        return True  # and this one too
    poll = select.poll()
    poll.register(end, 0)  # a hangup is always told
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _trio_socket(sock: socket.socket) -> trio.socket.SocketType:
    sock.setblocking(False)
    return trio.socket.from_stdlib_socket(sock)


def _changed_at(files: tuple[str, str]) -> tuple[float, ...]:
    with suppress(OSError):
        return tuple(os.stat(file).st_mtime for file in files)
    return ()


def _load(cert_file: str, key_file: str) -> tuple[ssl.SSLContext, float | None]:
    """Return what to encrypt with, and when that ends (unix seconds)."""
    contents = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for setting, file in (("tls.certFile", cert_file), ("tls.keyFile", key_file)):
        try:
            # What OpenSSL opens could wait for ever.
            contents.append(read_regular(Path(file), MOST_OF_A_FILE))
        except OSError as error:
            raise TlsError(
                f"Cannot read {setting} '{file}': {error.strerror}; "
                "name a PEM file that this user may read."
            ) from error
    try:
        # An encrypted key would have the library ask for its password on the terminal.
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except OSError as error:  # ssl.SSLError among them; it may have gone meanwhile
        reason = getattr(error, "reason", None) or error.strerror or "unreadable"
        reason = reason.replace("_", " ").lower()
        raise TlsError(
            f"Cannot use tls.certFile '{cert_file}' with tls.keyFile '{key_file}' ({reason}); "
            "give a certificate chain and the key that belongs to it, in PEM."
        ) from error
    return context, expires_at(contents[0])


def _no_password() -> str:
    raise TlsError("tls.keyFile is encrypted; give a key without a password.")
