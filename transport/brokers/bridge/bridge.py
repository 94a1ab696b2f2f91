"""The bridge: where transport names asyncio, which is all that client libraries know.

An `Incarnation` is a driver on a thread and a loop of its own, and the calls that cross to it. The
loop is disposable: nothing is left of it when it ends. What drivers need of asyncio they take
from here.
"""

from __future__ import annotations

import asyncio
import contextvars
import ipaddress
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar

import trio

from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from ..contract import Inbox
from .driver import Driver
from .receive_queue import ReceiveQueue

__all__ = [
    "CancelledError",
    "DisposableLoop",
    "Event",
    "Future",
    "Incarnation",
    "Lock",
    "StreamReader",
    "StreamWriter",
    "Task",
    "WriteTransport",
    "addresses",
    "beside",
    "ended",
    "first",
    "gather",
    "open_connection",
    "sleep",
    "within",
]

CancelledError = asyncio.CancelledError
Event = asyncio.Event
Future = asyncio.Future
Lock = asyncio.Lock
StreamReader = asyncio.StreamReader
StreamWriter = asyncio.StreamWriter
Task = asyncio.Task
WriteTransport = asyncio.WriteTransport
gather = asyncio.gather
open_connection = asyncio.open_connection
sleep = asyncio.sleep

T = TypeVar("T")

_DRIVER_CLOSE: Final = 0.4
"""Seconds for a driver's own `close`."""

_JOIN: Final = 0.05
"""Seconds for a thread to end that has nothing left to do."""

_NEXT_ADDRESS: Final = 0.6
"""Seconds that an address of a name may take to answer where there is another to try."""

_Function: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

_CANCELLING: Final = 0.2
"""Seconds for cancelled tasks to end; those that swallow it are left behind."""


# A driver's life --------------------------------------------------------------------


class Incarnation:
    """A driver on a thread of its own, from `start` to `ended`. Methods are for trio's thread.

    Raises `OSError` when there is no descriptor left for the loop.
    """

    def __init__(self, driver: Driver, inbox: Inbox) -> None:
        self._driver = driver
        self._inbox = inbox
        self._failure: BrokerError | None = None
        self._token = trio.lowlevel.current_trio_token()
        self._context = (
            contextvars.copy_context()
        )  # so that lines of either side say whose they are
        self._loop = DisposableLoop()
        self._loop.set_exception_handler(self._escaped)
        self._calls: set[_LoopCall] = set()
        self._ending: asyncio.Task[None] | None = None
        name = f"broker {driver.endpoint}"
        # A daemon: a process never waits for a thread that hangs.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name=name, daemon=True
        )
        self.feed = ReceiveQueue(
            inbox.deliver,
            inbox.full,
            self._lost,
            inbox.unheard,
            asyncio.Event(),
            self._to_trio,
            self._loop.post,
        )
        self.closing = trio.Event()
        self.ended = trio.Event()

    def start(self) -> None:
        """Start the thread; `RuntimeError` when the system has none left."""
        try:
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            raise

    async def call(self, function: _Function) -> None:
        """Run it on the loop. When cancelled, return at once: nobody waits for what it does."""
        if self._failure is not None:
            raise self._failure
        call = _LoopCall(function, self._driver.endpoint, self._to_trio)
        self._calls.add(call)
        try:
            if self.closing.is_set() or not self._loop.post(call.start, self._loop):
                raise self._gone("closed")
            await call.done.wait()
        finally:
            self._calls.discard(call)
            if not call.done.is_set():
                self._loop.post(call.cancel)
        if call.error is not None:
            raise call.error

    def begin_close(self) -> None:
        """Let the driver close and the thread end; drop what arrives from now on."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.feed.shut()
        self._fail_calls(self._gone("closed"))
        self._loop.post(self._end)

    def give_up(self) -> None:
        """Leave the thread to itself: it ends when it wakes."""
        self._loop.post(self._loop.stop)

    def join(self) -> None:
        """Wait for the thread, once it has `ended`."""
        self._thread.join(_JOIN)

    def _lost(self, error: BrokerError) -> None:
        self._failure = error
        self._inbox.lost(error)
        # Nothing that was asked of a connection that is gone will ever be answered.
        self._fail_calls(error)

    def _fail_calls(self, error: BrokerError) -> None:
        for call in tuple(self._calls):
            self._loop.post(call.cancel)
            call.finish(error)

    def _gone(self, why: str) -> BrokerUnavailable:
        return BrokerUnavailable(f"{self._driver.endpoint}: {why}.")

    def _has_ended(self, error: BrokerError) -> None:
        self.feed.report_loss(error)
        self._fail_calls(error)
        self.ended.set()

    # On the loop's thread from here on.

    def _run(self) -> None:
        why = "its loop has ended"
        try:
            self._loop.run()
        except BaseException as error:  # noqa: BLE001 - a thread has nobody to raise it to
            why = f"its loop died of {type(error).__name__}"
        finally:
            self._to_trio(lambda: self._has_ended(self._gone(why)))

    def _to_trio(self, function: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(self._context.run, function)
        except trio.RunFinishedError:
            # The pod is gone, and nobody else will close this.
            self._loop.post(self._loop.stop)

    def _escaped(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None:
            self.feed.lost(self._gone(f"its client failed with {type(error).__name__}"))

    def _end(self) -> None:
        # Whatever becomes of the task, the loop stops.
        self._loop.call_later(_DRIVER_CLOSE, self._loop.stop)
        self._ending = self._loop.create_task(self._close_driver())

    async def _close_driver(self) -> None:
        with suppress(Exception):  # nobody is left to tell
            await self._driver.close()
        self._loop.stop()


class _LoopCall:
    """One call of a driver. `start` and `cancel` are for the loop's thread, `finish` for trio's."""

    def __init__(
        self, function: _Function, endpoint: str, to_trio: Callable[[Callable[[], object]], object]
    ) -> None:
        self._function = function
        self._endpoint = endpoint
        self._to_trio = to_trio
        self._task: asyncio.Task[None] | None = None
        self.done = trio.Event()
        self.error: BrokerError | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._function())
        self._task.add_done_callback(self._returned)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def finish(self, error: BrokerError | None) -> None:
        if not self.done.is_set():
            self.error = error
            self.done.set()

    def _returned(self, task: asyncio.Task[None]) -> None:
        error = _as_broker_error(task, self._endpoint)
        self._to_trio(lambda: self.finish(error))


def _as_broker_error(task: asyncio.Task[None], endpoint: str) -> BrokerError | None:
    if task.cancelled():
        return BrokerUnavailable(f"{endpoint}: the call was cancelled by its client.")
    error = task.exception()
    if error is None or isinstance(error, BrokerError):
        return error
    # Its text is not ours, and might hold a secret.
    return BrokerUnavailable(f"{endpoint}: its client failed with {type(error).__name__}.")


# Its loop ---------------------------------------------------------------------------


class DisposableLoop(asyncio.SelectorEventLoop):
    """A loop that `run` runs on this thread until it is stopped, and then closes, sockets too.

    Making one opens three descriptors (`OSError` when there are none); `run` or `close` it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._opened: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        """Connect as asyncio does, and remember the transport: it is closed with the loop.

        Of a name with several addresses one that does not answer keeps nobody for ever.
        """
        factory, host, port = (*args, None, None)[:3]
        host, port = options.pop("host", host), options.pop("port", port)
        if host is not None and options.get("sock") is None and not _is_address(host):
            sock = await self._any_address(host, port)
            if options.get("ssl"):
                options.setdefault("server_hostname", host)
            options["sock"], host, port = sock, None, None
        transport, protocol = await super().create_connection(factory, host, port, **options)
        self._opened.add(transport)
        return transport, protocol

    async def _any_address(self, host: str, port: int) -> socket.socket:
        """Return a socket that is connected to the first address that answers.

        asyncio's own race for one (RFC 8305) loses sockets when it is cancelled.
        """
        found = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        errors: list[OSError] = []
        for place, (family, kind, protocol, _, address) in enumerate(found, 1):
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:  # there is no IPv6 here, or no descriptor left
                errors.append(error)
                continue
            try:
                sock.setblocking(False)
                async with asyncio.timeout(_NEXT_ADDRESS if place < len(found) else None):
                    await self.sock_connect(sock, address)
            except OSError as error:  # TimeoutError is one
                sock.close()
                errors.append(error)
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise errors[0]

    async def getaddrinfo(
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's own name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look a name up in a daemon thread: a silent name server holds up no process that ends."""
        answer = self.create_future()

        def look_up() -> None:
            try:
                found = socket.getaddrinfo(host, port, family, type, proto, flags)
            except (OSError, UnicodeError, OverflowError) as error:
                self.post(_settle, answer.set_exception, answer, error)
            else:
                self.post(_settle, answer.set_result, answer, found)

        threading.Thread(target=look_up, name=f"look up {host!r}", daemon=True).start()
        return await answer

    def run(self) -> None:
        """Run until `stop`; whatever happens, cancel what is left, close it, and close."""
        try:
            self.run_forever()
        finally:
            try:
                self._cancel_tasks()
                self._abort_transports()
            finally:
                self.close()

    def post(self, callback: Callable[..., object], *args: object) -> bool:
        """Call it on the loop's thread soon, and return whether the loop still lives."""
        with suppress(RuntimeError):  # what a closed loop raises
            self.call_soon_threadsafe(callback, *args)
            return True
        return False

    def _cancel_tasks(self) -> None:
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self._finish(asyncio.wait(tasks, timeout=_CANCELLING))

    def _abort_transports(self) -> None:
        for transport in tuple(self._opened):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        # A transport closes its socket one turn of the loop after it was told to.
        for _ in range(3):
            self._finish(asyncio.sleep(0))

    def _finish(self, coroutine: Coroutine[Any, Any, object]) -> None:
        # Another `stop` may arrive meanwhile, which `run_until_complete` calls an error.
        with suppress(RuntimeError):
            self.run_until_complete(coroutine)


def _is_address(host: str) -> bool:
    """Whether there is nothing to look up, for which asyncio needs no thread."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _settle(setter: Callable[[Any], object], answer: asyncio.Future[Any], outcome: object) -> None:
    if not answer.done():
        setter(outcome)


# What drivers do with tasks ---------------------------------------------------------


def beside(
    coroutine: Coroutine[Any, Any, None], failed: Callable[[BaseException | None], None]
) -> Task[None]:
    """Run it as a task. `failed` learns of every end but cancellation: its error, or None."""

    def tell(task: Task[None]) -> None:
        if not task.cancelled():
            failed(task.exception())

    task = asyncio.create_task(coroutine)
    task.add_done_callback(tell)
    return task


async def addresses(host: str, port: int) -> list[str]:
    """Look up all addresses of a name, without the port, in the system's order.

    Raises `OSError` when there is none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def within(seconds: float, attempt: Coroutine[Any, Any, T]) -> T:
    """Return its result, or raise `BrokerUnavailable` when it takes longer: there are others."""
    try:
        return await asyncio.wait_for(attempt, seconds)
    except TimeoutError:
        raise BrokerUnavailable(f"It did not answer within {seconds:g} s.") from None


async def ended(tasks: Iterable[Task[Any]]) -> None:
    """Cancel them and wait until they have ended; what they raise was told elsewhere."""
    waited = list(tasks)
    for task in waited:
        task.cancel()
    await gather(*waited, return_exceptions=True)


async def first(attempts: Iterable[Coroutine[Any, Any, T]]) -> T:
    """Return the result of what succeeds first; the others are cancelled.

    When all fail, raises the error that most needs somebody: a refusal, or else the first.
    """
    tasks = [asyncio.create_task(attempt) for attempt in attempts]
    errors: list[BrokerError] = []
    try:
        for attempt in asyncio.as_completed(tasks):
            try:
                return await attempt
            except BrokerError as error:
                errors.append(error)
    finally:
        await ended(tasks)
    raise next((error for error in errors if isinstance(error, BrokerRefused)), errors[0])
