"""One life of a driver: its thread, its loop, and the calls that cross to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeAlias

import trio

from ..errors import BrokerError, BrokerUnavailable
from .broker import Inbox
from .driver import Driver
from .inflow import Inflow
from .loops import DisposableLoop

__all__ = ["Incarnation"]

_DRIVER_CLOSE: Final = 0.4
"""Seconds for a driver's own `close`."""

_JOIN: Final = 0.05
"""Seconds for a thread to end that has nothing left to do."""

_Function: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Incarnation:
    """A driver on a thread of its own, from `start` to `ended`. Methods are for trio's thread.

    Raises `OSError` when there is no descriptor left for the loop.
    """

    def __init__(self, driver: Driver, inbox: Inbox) -> None:
        self._driver = driver
        self._inbox = inbox
        self._failure: BrokerError | None = None
        self._token = trio.lowlevel.current_trio_token()
        self._loop = DisposableLoop()
        self._loop.set_exception_handler(self._escaped)
        self._calls: set[_Call] = set()
        self._ending: asyncio.Task[None] | None = None
        name = f"broker {driver.endpoint}"
        # A daemon: a process never waits for a thread that hangs.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.feed = Inflow(
            inbox.deliver, self._lost, asyncio.Event(), self._to_trio, self._loop.post
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
        call = _Call(function, self._driver.endpoint, self._to_trio)
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
        self.feed.tell(error)
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
            self._token.run_sync_soon(function)
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


class _Call:
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
