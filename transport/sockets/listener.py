"""One port for HTTP and WebSocket: accept, give a slot, hand on, and let go in order.

Nothing a client does, and no lack of file descriptors, ends the listener. Every connection is
counted and bounded, from the accept until somebody else owns it, and none is so important that
it may keep a pod from being asked whether it lives.
"""

import errno
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

import trio
from attrs import frozen

from ...config import LogSampler, get_logger
from ..errors import AddressInUse, ListenError
from ..limits import ConnectionSlot, ConnectionSlots, TokenBucket
from .descriptors import LAST, Spares, is_scarce
from .forwarded import Networks, client_address
from .refusal import STATUSES, Refusal, reason_of, response_bytes
from .tls import TlsTerminator

__all__ = [
    "GONE",
    "REFUSALS",
    "UPGRADED",
    "Listener",
    "ListenerLimits",
    "ListenerStatistics",
    "Serve",
    "bind",
]

Serve: TypeAlias = Callable[[socket.socket, tuple[str, int], ConnectionSlot], Awaitable[str]]
"""Answers on a non-blocking socket, of a client at an address and a port, and says what became of
it: UPGRADED where the socket belongs to somebody else now, and otherwise what to count, or ""."""

UPGRADED: Final = "upgraded"
"""Says that a connection was handed on, with its socket."""

GONE: Final = "gone"
"""Says that a client went without a whole request."""

OVERLOAD: Final = "overload"
"""Counts a connection that found not even a place to be refused in."""

REFUSALS: Final = (GONE, OVERLOAD, *map(reason_of, STATUSES))
"""What `ListenerStatistics.refused` counts."""

ACCEPTS_PER_TURN = 64
"""Connections accepted before other tasks get their turn."""

EXHAUSTED_PAUSE = 0.1
"""Seconds without accepting when the machine has no more file descriptors or buffers."""

OVERFLOW: Final = 256
"""Connections that are heard although there is no slot for them."""

_FEW_BYTES = 4096
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
_BUSY: Final = Refusal(
    503, "Too many connections at once; try again later.", (("Retry-After", "1"),)
)

_log = get_logger("realtime")


@frozen
class ListenerLimits:
    """What connections may take before somebody owns them: counts and seconds.

    `max_per_address` is the share of one address in `max_connections` (0: all); `trusted` are
    proxies, which have none. `handshake_timeout` is for that of TLS. `grace` is how long requests
    under way may go on after the listener was told to stop. With `share_port` other processes may
    listen on the port too, and the kernel gives each its part of those who come.
    """

    max_connections: int = 2000
    max_per_address: int = 0
    handshake_timeout: float = 10.0
    grace: float = 2.0
    backlog: int = 4096
    tcp_no_delay: bool = True
    trusted: Networks = ()
    share_port: bool = False


@frozen
class ListenerStatistics:
    """Connections since the start, and how many are open now before or beside the WebSockets.

    `refused` counts by reason: HTTP's name of the status that was sent, `gone` for clients that
    went without a whole request, `overload` for those there was no room for, `stopping` for those
    who had to be sent away when we stopped, `failed` for our bugs.
    """

    accepted: int
    upgraded: int
    refused: Mapping[str, int]
    open_connections: int


def bind(
    host: str,
    port: int,
    backlog: int,
    *,
    options: tuple[str, str] = ("--host", "--port"),
    shared: bool = False,
) -> socket.socket:
    """Return a non-blocking TCP socket that listens on a host and a port (0: any free one).

    `host` is a name or an IPv4 or IPv6 address; `localhost` is 127.0.0.1. `options` are what the
    two are set by. With `shared` other processes may listen there too. Raises `AddressInUse` or
    `ListenError` with the remedy.
    """
    try:
        family, address = _resolve(host, port)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(address)
            sock.listen(backlog)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        raise _listen_error(host, port, error, *options) from error
    return sock


class Listener:
    """Listens on one port and has each connection served by `serve`.

    `open` binds, so that a port in use is known before anything else starts; `run` serves until
    it is cancelled, and may be called again after that: it keeps its port. With a `tls` tls
    everything comes encrypted. `options` are what host and port are set by.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        serve: Serve,
        limits: ListenerLimits | None = None,
        tls: TlsTerminator | None = None,
        options: tuple[str, str] = ("--host", "--port"),
    ) -> None:
        self._options = options
        self._host = host
        self._port = port
        self._serve = serve
        self._limits = limits or ListenerLimits()
        self._tls = tls
        self._sock: socket.socket | None = None
        self._accepted = self._upgraded = 0
        self._refused: Counter[str] = Counter()
        self._slots = self._make_slots()
        self._spares = Spares()
        self._crashes = LogSampler()
        self._complaints = TokenBucket(rate=0.2, burst=1, now=0)

    @property
    def address(self) -> tuple[str, int]:
        """The host as it was given, and the port; once open, the one that was found for 0."""
        return self._host, self._port

    def open(self) -> None:
        """Bind, unless that is done. Raises `AddressInUse` or `ListenError`."""
        if self._sock is None:
            self._sock = bind(
                self._host,
                self._port,
                self._limits.backlog,
                options=self._options,
                shared=self._limits.share_port,
            )
            self._port = self._sock.getsockname()[1]
            self._spares.fill()

    def close(self) -> None:
        """Stop accepting. Clients that wait to be accepted are refused by the kernel."""
        self._spares.close()
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until cancelled; then stop accepting, and let requests end within the grace.

        Connections that wait are closed at once. Raises `ListenError` when the port cannot be
        bound.
        """
        self.open()
        self._slots = self._make_slots()
        stopping = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                connections = await nursery.start(_lasting_nursery, stopping, self._limits.grace)
                try:
                    started()
                    await self._accept(connections)
                finally:
                    self._slots.close()
                    self._refuse_waiting(connections)
                    self.close()
                    stopping.set()
        finally:
            self.close()  # also when it was cancelled before it began

    def statistics(self) -> ListenerStatistics:
        """Return the figures of this listener, over all its runs."""
        return ListenerStatistics(
            accepted=self._accepted,
            upgraded=self._upgraded,
            refused=dict(self._refused),
            open_connections=len(self._slots),
        )

    def _make_slots(self) -> ConnectionSlots:
        limits = self._limits
        return ConnectionSlots(limits.max_connections, limits.max_per_address, OVERFLOW, LAST)

    # Accepting -------------------------------------------------------------------------------

    async def _accept(self, connections: trio.Nursery) -> None:
        while self._sock is not None:
            await trio.lowlevel.wait_readable(self._sock)
            self._spares.fill()
            try:
                self._accept_waiting(self._sock, connections)
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._complain(error)
                if not (self._accept_in_need(self._sock, connections) or self._slots.clear()):
                    await trio.sleep(EXHAUSTED_PAUSE)

    def _accept_waiting(self, listening: socket.socket, connections: trio.Nursery) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _BROKEN:
                    continue
                raise
            scarce = is_scarce(sock.fileno())
            self._admit(sock, address, connections, scarce=scarce)
            if scarce:
                return  # the few that may stay get their turn before there are more

    def _accept_in_need(self, listening: socket.socket, connections: trio.Nursery) -> bool:
        """Take one connection in with what was kept for that, and say whether there was any."""
        if not self._spares.let_go(1 if self._tls is None else 3):
            return False
        with suppress(OSError):
            sock, address = listening.accept()
            self._admit(sock, address, connections, scarce=True)
        return True

    def _admit(
        self,
        sock: socket.socket,
        address: tuple[str, int],
        connections: trio.Nursery,
        *,
        scarce: bool = False,
    ) -> None:
        self._accepted += 1
        sock.setblocking(False)
        limits, peer = self._limits, (address[0], address[1])
        account = client_address(peer[0], (), limits.trusted)
        slot = self._slots.admit(account, trio.current_time(), scarce=scarce)
        if slot is None:
            self._refused[OVERLOAD] += 1
            _send_off(sock, b"" if self._tls else response_bytes(_BUSY))
            return
        if limits.tcp_no_delay:
            with suppress(OSError):  # the client may have gone already
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.start_soon(self._connection, sock, peer, slot)

    def _refuse_waiting(self, connections: trio.Nursery) -> None:
        """Tell those to come again whom the kernel has let in already: it would reset them."""
        if self._sock is None:
            return
        with suppress(OSError):
            for _ in range(self._limits.backlog):
                sock, address = self._sock.accept()
                self._admit(sock, address, connections)

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

    async def _connection(
        self, sock: socket.socket, peer: tuple[str, int], slot: ConnectionSlot
    ) -> None:
        became = GONE
        try:
            plain = sock if self._tls is None else await self._decrypted(self._tls, sock, slot)
            if plain is not None:
                sock = plain
                became = await self._serve(sock, peer, slot)
        except* OSError:
            became = GONE
        except* Exception:  # noqa: BLE001 - a bug behind one connection must not end the others
            became = "failed"
            self._tell_of_crash("a connection crashed its handler")
        finally:
            slot.leave()
            if became == UPGRADED:
                self._upgraded += 1
            else:
                sock.close()
                self._refused.update([became] if became else [])
            self._spares.fill()

    async def _decrypted(
        self, tls: TlsTerminator, sock: socket.socket, slot: ConnectionSlot
    ) -> socket.socket | None:
        """Shake hands, or return None when there is no time for it any more."""
        with trio.CancelScope() as waiting:
            waiting.deadline = trio.current_time() + self._limits.handshake_timeout
            slot.wait(waiting.cancel, trio.current_time())
            plain = await tls.handshake(sock)
            slot.work()
            return plain
        return None


async def _lasting_nursery(
    stopping: trio.Event, grace: float, *, task_status: trio.TaskStatus[trio.Nursery]
) -> None:
    """Hold a nursery that cancellation reaches only a grace after `stopping`, in seconds."""
    # Who is cancelled before this begins has no nursery yet, and would never say `stopping`.
    await trio.lowlevel.checkpoint_if_cancelled()
    with trio.CancelScope(shield=True) as scope:
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
            await stopping.wait()
            scope.deadline = trio.current_time() + grace


def _send_off(sock: socket.socket, answer: bytes) -> None:
    """Answer without waiting, for there are too many to wait for."""
    with suppress(OSError), sock:
        sock.send(answer)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(_FEW_BYTES)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    name = "127.0.0.1" if host == "localhost" else host.strip("[]")
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _listen_error(
    host: str, port: int, error: Exception, host_option: str, port_option: str
) -> ListenError:
    where = f"{host}:{port}"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return AddressInUse(
            f"Cannot listen on {where}: the port is in use; stop what uses it or choose another "
            f"with {port_option}."
        )
    if number == errno.EACCES:
        return ListenError(
            f"Cannot listen on {where}: not permitted; choose a port above 1023 with {port_option}."
        )
    if not 0 <= port <= 65535:
        return ListenError(f"Cannot listen on {where}: choose a {port_option} from 1 to 65535.")
    return ListenError(
        f"Cannot listen on {where}: {error}; choose an address of this machine with {host_option}."
    )
