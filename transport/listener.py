"""One port for HTTP and WebSocket: accept, read the request's head, hand the socket on.

Nothing a client does, and no lack of file descriptors, ends the listener. Every connection is
counted and bounded, from the accept until somebody else owns it.
"""

import errno
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TypeAlias

import trio
from attrs import frozen

from ..config import LogSampler, get_logger
from .errors import AddressInUse, ListenError
from .handshake import (
    HeadReader,
    Refusal,
    RequestHead,
    Route,
    UpgradeRequest,
    choose_route,
    response_bytes,
)
from .tls import TlsDoor
from .token_bucket import TokenBucket

__all__ = ["Listener", "ListenerLimits", "ListenerStatistics", "OnUpgrade", "ServeHttp", "bind"]

OnUpgrade: TypeAlias = Callable[[UpgradeRequest], Refusal | None]
"""Takes an upgrade request over with its socket (None), or says why not. Must not wait."""

ServeHttp: TypeAlias = Callable[[trio.socket.SocketType, bytes, trio.Event], Awaitable[None]]
"""Answers HTTP on a socket, given the bytes read from it so far and when to come to an end."""

ACCEPTS_PER_TURN = 64
"""Connections accepted before other tasks get their turn."""

EXHAUSTED_PAUSE = 0.1
"""Seconds without accepting when the machine has no more file descriptors or buffers."""

LINGER = 1.0
"""Seconds a refused client may take to read why: a close with unread bytes destroys the answer."""

_RECEIVE_BYTES = 4096
_LINGER_READS = 16
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# What accept(2) passes on from a connection that broke before it was accepted.
_BROKEN = {
    errno.ECONNABORTED,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOPROTOOPT,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EPROTO,
}
_BUSY = Refusal(503, "Too many connections at once; try again later.", (("Retry-After", "1"),))
_TOO_SLOW = Refusal(408, "The request did not arrive in time; send it in one go.")
_FAILED = Refusal(500, "The pod failed on this request; its log says why.")

_log = get_logger("realtime")


@frozen
class ListenerLimits:
    """What connections may take before somebody owns them: counts, bytes and seconds.

    `grace` is how long HTTP exchanges under way may go on after the listener was told to stop.
    `max_turned_away` are those who may stay for a moment to read that there is no room for them.
    """

    max_handshakes: int = 1000
    max_http_connections: int = 500
    max_head_bytes: int = 16 * 1024
    handshake_timeout: float = 10.0
    grace: float = 1.0
    backlog: int = 4096
    max_turned_away: int = 2000
    tcp_no_delay: bool = True


@frozen
class _Run:
    """The tasks of one run: those that wait for a request, and those that answer HTTP."""

    handshakes: trio.Nursery
    exchanges: trio.Nursery
    stopping: trio.Event


@frozen
class ListenerStatistics:
    """Connections since the start, and how many are open now before or beside the WebSockets.

    `refused` counts by reason: HTTP's name of the status that was sent, `gone` for clients that
    went without a whole request, `overload` for those turned away unread, `stopping` for those
    whom the kernel had let in when we stopped, `failed` for our bugs.
    """

    accepted: int
    upgraded: int
    refused: Mapping[str, int]
    open_handshakes: int
    open_http_connections: int


def bind(host: str, port: int, backlog: int) -> socket.socket:
    """Return a non-blocking TCP socket that listens on a host and a port (0: any free one).

    `host` is a name or an IPv4 or IPv6 address; `localhost` is 127.0.0.1. Raises `AddressInUse`
    or `ListenError` with the remedy.
    """
    try:
        family, address = _resolve(host, port)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(backlog)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        raise _listen_error(host, port, error) from error
    return sock


class Listener:
    """Listens on one port and hands each connection to `on_upgrade` or `serve_http`.

    `open` binds, so that a port in use is known before anything else starts; `run` serves until
    it is cancelled, and may be called again after that: it keeps its port. Where there is no
    `websocket`, a request that only looks whether there is one is told so; `on_upgrade` refuses
    the others. With a `tls` door everything comes encrypted.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        on_upgrade: OnUpgrade,
        serve_http: ServeHttp,
        limits: ListenerLimits | None = None,
        websocket: bool = True,
        tls: TlsDoor | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._on_upgrade = on_upgrade
        self._serve_http = serve_http
        self._limits = limits or ListenerLimits()
        self._websocket = websocket
        self._tls = tls
        self._sock: socket.socket | None = None
        self._accepted = self._upgraded = self._handshakes = self._exchanges = 0
        self._turned_away = 0
        self._refused: Counter[str] = Counter()
        self._crashes = LogSampler()
        self._complaints = TokenBucket(rate=0.2, burst=1, now=0)

    @property
    def address(self) -> tuple[str, int]:
        """The host as it was given, and the port; once open, the one that was found for 0."""
        return self._host, self._port

    def open(self) -> None:
        """Bind, unless that is done. Raises `AddressInUse` or `ListenError`."""
        if self._sock is None:
            self._sock = bind(self._host, self._port, self._limits.backlog)
            self._port = self._sock.getsockname()[1]

    def close(self) -> None:
        """Stop accepting. Clients that wait to be accepted are refused by the kernel."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until cancelled; then stop accepting, and let HTTP exchanges end within the grace.

        Connections whose request is not whole yet are closed at once. Raises `ListenError` when
        the port cannot be bound.
        """
        self.open()
        stopping = trio.Event()
        async with trio.open_nursery() as handshakes:
            exchanges = await handshakes.start(_lasting_nursery, stopping, self._limits.grace)
            try:
                started()
                await self._accept(_Run(handshakes, exchanges, stopping))
            finally:
                self._refuse_waiting(exchanges)
                self.close()
                stopping.set()

    def statistics(self) -> ListenerStatistics:
        """Return the figures of this listener, over all its runs."""
        return ListenerStatistics(
            accepted=self._accepted,
            upgraded=self._upgraded,
            refused=dict(self._refused),
            open_handshakes=self._handshakes,
            open_http_connections=self._exchanges,
        )

    # Accepting -------------------------------------------------------------------------------

    async def _accept(self, run: _Run) -> None:
        while self._sock is not None:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                self._accept_waiting(self._sock, run)
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._complain(error)
                await trio.sleep(EXHAUSTED_PAUSE)

    def _accept_waiting(self, listening: socket.socket, run: _Run) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _BROKEN:
                    continue
                raise
            self._admit(sock, address[0], run)

    def _admit(self, sock: socket.socket, remote: str, run: _Run) -> None:
        self._accepted += 1
        sock.setblocking(False)
        if self._handshakes >= self._limits.max_handshakes:
            self._refused["overload"] += 1
            self._turn_away(sock, run)
            return
        if self._limits.tcp_no_delay:
            with suppress(OSError):  # the client may have gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._handshakes += 1
        run.handshakes.start_soon(self._handshake, sock, remote, run)

    def _turn_away(self, sock: socket.socket, run: _Run) -> None:
        """Say that there is no room, unread.

        The request is on its way, and a socket that is closed before it came answers it with a
        reset, which may destroy what we said: so who is told also stays until it has read that,
        and only when too many stay is it sent off at once. Who comes encrypted can read nothing
        before the handshake of TLS, and is then sent off without a word.
        """
        if self._turned_away >= self._limits.max_turned_away:
            _send_off(sock, b"" if self._tls else response_bytes(_BUSY))
            return
        self._turned_away += 1
        run.handshakes.start_soon(self._see_off, sock)

    def _refuse_waiting(self, exchanges: trio.Nursery) -> None:
        """Tell those to come again whom the kernel has let in already: it would reset them."""
        if self._sock is None:
            return
        for _ in range(self._limits.backlog):
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            self._accepted += 1
            self._refused["stopping"] += 1
            sock.setblocking(False)
            self._turned_away += 1
            exchanges.start_soon(self._see_off, sock)

    async def _see_off(self, sock: socket.socket) -> None:
        try:
            with suppress(OSError, trio.TooSlowError):
                if self._tls is not None:
                    with trio.fail_after(self._limits.handshake_timeout):
                        sock = await self._tls.enter(sock)
                await _send_refusal(sock, _BUSY)
        finally:
            self._turned_away -= 1
            sock.close()

    def _complain(self, error: OSError) -> None:
        if self._complaints.take(trio.current_time()):
            _log.warning(
                "cannot accept connections; raise the limit of open files (ulimit -n)",
                reason=error.strerror,
            )

    def _tell_of_crash(self, what: str) -> None:
        suppressed = self._crashes.admit(what)
        if suppressed is not None:
            _log.exception(what, suppressed=suppressed)

    # One connection --------------------------------------------------------------------------

    async def _handshake(self, sock: socket.socket, remote: str, run: _Run) -> None:
        refusal: Refusal | None = _TOO_SLOW
        try:
            with trio.move_on_after(self._limits.handshake_timeout):
                if self._tls is not None:
                    sock = await self._tls.enter(sock)
                refusal = await self._receive(sock, remote, run)
            if refusal is not None:
                self._refused[HTTPStatus(refusal.status).name.lower()] += 1
                await _send_refusal(sock, refusal)
        except OSError:
            self._refused["gone"] += 1
        finally:
            self._handshakes -= 1
            if refusal is not None:
                sock.close()

    async def _receive(self, sock: socket.socket, remote: str, run: _Run) -> Refusal | None:
        """Read a request and hand the socket on (None), or say why not."""
        reader = HeadReader(self._limits.max_head_bytes)
        head = await _read_head(sock, reader)
        if isinstance(head, Refusal):
            return head
        route = choose_route(head, websocket=self._websocket)
        if route is Route.WEBSOCKET:
            raw = bytes(reader.raw)
            return self._upgrade(UpgradeRequest(sock, raw, head.target, head.headers, remote))
        if route is Route.HTTP:
            return self._exchange(sock, bytes(reader.raw), run)
        return route

    def _upgrade(self, request: UpgradeRequest) -> Refusal | None:
        try:
            refusal = self._on_upgrade(request)
        except Exception:  # noqa: BLE001 - a bug behind one request must not end the listener
            self._tell_of_crash("an upgrade request crashed its handler")
            return _FAILED
        if refusal is None:
            self._upgraded += 1
        return refusal

    def _exchange(self, sock: socket.socket, head: bytes, run: _Run) -> Refusal | None:
        if self._exchanges >= self._limits.max_http_connections:
            return _BUSY
        self._exchanges += 1
        run.exchanges.start_soon(self._serve, sock, head, run.stopping)
        return None

    async def _serve(self, sock: socket.socket, head: bytes, stopping: trio.Event) -> None:
        stream = trio.socket.from_stdlib_socket(sock)
        try:
            await self._serve_http(stream, head, stopping)
        except* Exception:  # noqa: BLE001 - as above, and Cancelled passes through
            self._tell_of_crash("an HTTP connection crashed its handler")
        finally:
            stream.close()
            self._exchanges -= 1


async def _lasting_nursery(
    stopping: trio.Event, grace: float, *, task_status: trio.TaskStatus[trio.Nursery]
) -> None:
    """Hold a nursery that cancellation reaches only a grace after `stopping`, in seconds."""
    with trio.CancelScope(shield=True) as scope:
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
            await stopping.wait()
            scope.deadline = trio.current_time() + grace


async def _read_head(sock: socket.socket, reader: HeadReader) -> RequestHead | Refusal:
    head = None
    while head is None:
        try:
            data = sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(sock)
            continue
        if not data:
            raise ConnectionAbortedError("the client went before its request was whole")
        head = reader.feed(data)
    return head


async def _send_refusal(sock: socket.socket, refusal: Refusal) -> None:
    """Answer, and wait a little until the client has read it and gone."""
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
    with trio.move_on_after(LINGER), suppress(trio.BrokenResourceError):
        await stream.send_all(response_bytes(refusal))
        await stream.send_eof()
        for _ in range(_LINGER_READS):
            if not await stream.receive_some(_RECEIVE_BYTES):
                return


def _send_off(sock: socket.socket, answer: bytes) -> None:
    """Answer without waiting, for there are too many to wait for."""
    with suppress(OSError), sock:
        sock.send(answer)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(_RECEIVE_BYTES)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    name = "127.0.0.1" if host == "localhost" else host.strip("[]")
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _listen_error(host: str, port: int, error: Exception) -> ListenError:
    where = f"{host}:{port}"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return AddressInUse(
            f"Cannot listen on {where}: the port is in use; stop what uses it or choose another "
            "with --port."
        )
    if number == errno.EACCES:
        return ListenError(
            f"Cannot listen on {where}: not permitted; choose a port above 1023 with --port."
        )
    if not 0 <= port <= 65535:
        return ListenError(f"Cannot listen on {where}: choose a --port from 1 to 65535.")
    return ListenError(
        f"Cannot listen on {where}: {error}; choose an address of this machine with --host."
    )
