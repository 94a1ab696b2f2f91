"""A thread that runs trio, and how others have something done in it."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

import trio
from attrs import frozen

from .client import Client
from .errors import ClientClosed

__all__ = ["ClientThread"]

T = TypeVar("T")

LOOK: Final = 1.0
"""Seconds after which who waits looks whether the thread still lives."""
ENDING: Final = 5.0
"""Seconds that the thread has to end: the closing handshake is given two."""


@frozen
class _CallResult(Generic[T]):
    """What became of something: its value, unless there is an error."""

    value: T | None = None
    error: BaseException | None = None

    def get(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


class ClientThread:
    """Runs `connect`'s block in a thread of its own, from `start` to `close`.

    Who waits is in a plain lock, which Ctrl-C interrupts; what it had begun is then cancelled. A
    thread that nobody has closed is closed when the interpreter ends.
    """

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Client]]) -> None:
        self._make = make
        self._begun: SimpleQueue[_CallResult[Client]] = SimpleQueue()
        self._stop = threading.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._crash: Exception | None = None
        self._all = trio.CancelScope()
        self._stopped: trio.Event | None = None
        self._nursery: trio.Nursery | None = None
        # Not one that the interpreter waits for at its end: that wait comes before `atexit`.
        self._thread = threading.Thread(target=self._run, name="deployd.client", daemon=True)

    def start(self) -> Client:
        """Return the client when it is connected. Raises what `connect` raises."""
        atexit.register(self.close)
        try:
            self._thread.start()
            return self._wait(self._begun)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Say goodbye and end the thread, in a bounded time."""
        atexit.unregister(self.close)
        self._stop.set()
        self._post(lambda: self._stopped is not None and self._stopped.set())
        try:
            if self._thread.ident is not None:
                self._thread.join(ENDING)
        finally:  # also when Ctrl-C comes here
            if self._thread.is_alive():
                self._post(self._all.cancel)
                self._thread.join(LOOK)

    def call(self, act: Callable[[], Awaitable[T]]) -> T:
        """Have something awaited in the thread, and return what it does or raise what it raises.

        Raises `ClientClosed` when the thread is over.
        """
        scope, results = trio.CancelScope(), SimpleQueue[_CallResult[T]]()
        if not self._post(lambda: self._begin(act, scope, results)):
            raise ClientClosed
        try:
            return self._wait(results)
        except BaseException:  # Ctrl-C: nobody waits any more. Where it is over this does nothing
            self._post(scope.cancel)
            raise

    # In the thread of who asks ------------------------------------------------------------------

    def _wait(self, results: SimpleQueue[_CallResult[T]]) -> T:
        while True:
            with suppress(Empty):
                return results.get(timeout=LOOK).get()
            if not self._thread.is_alive() and results.empty():
                raise ClientClosed from self._crash

    def _post(self, act: Callable[[], object]) -> bool:
        """Have something done in the thread; say whether it still runs."""
        if self._token is None:
            return False
        try:
            self._token.run_sync_soon(act)
        except trio.RunFinishedError:
            return False
        return True

    # In the thread of trio ----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            trio.run(self._live)
        except Exception as error:  # noqa: BLE001 - raised by whoever waits
            self._crash = error
            self._begun.put(_CallResult(error=error))

    async def _live(self) -> None:
        self._stopped = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        if self._stop.is_set():  # before there was anything to tell of it
            return
        with self._all:
            async with self._make() as client, trio.open_nursery() as nursery:
                self._nursery = nursery
                self._begun.put(_CallResult(client))
                await self._stopped.wait()
                self._nursery = None
                nursery.cancel_scope.cancel()

    def _begin(
        self,
        act: Callable[[], Awaitable[T]],
        scope: trio.CancelScope,
        results: SimpleQueue[_CallResult[T]],
    ) -> None:
        if self._nursery is None:
            results.put(_CallResult(error=ClientClosed()))
        else:
            self._nursery.start_soon(self._do, act, scope, results)

    async def _do(
        self,
        act: Callable[[], Awaitable[T]],
        scope: trio.CancelScope,
        results: SimpleQueue[_CallResult[T]],
    ) -> None:
        result: _CallResult[T] = _CallResult(error=ClientClosed())
        try:
            with scope:
                result = _CallResult(await act())
        except Exception as error:  # noqa: BLE001 - raised where it was asked for
            result = _CallResult(error=error)
        finally:
            results.put(result)
