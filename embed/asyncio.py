"""A pod inside an asyncio program: trio runs as a guest of asyncio's loop, in its thread.

::

    async with open_pod_in_asyncio(Config(), rooms={"chat-*": Chat}) as pod:
        await pod.emit_to_room("chat-1", "said", "hello")

Source: trio's documentation, "Using guest mode to run Trio on top of other event loops".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import trio
from starlette.types import ASGIApp

from ..actors import Delivery, Receipt, Request, RoomFactory
from ..actors.rooms.receipt import SEND_TIMEOUT
from ..config import Config, Secrets
from ..supervisors import Pod, open_pod
from ..transport import JSON
from ..transport.brokers.contract import Broker
from .crossing import TrioSide, in_asyncio, on_asyncio

if TYPE_CHECKING:
    from outcome import Outcome

__all__ = ["PodInAsyncio", "in_asyncio", "open_pod_in_asyncio"]

R = TypeVar("R")


@asynccontextmanager
async def open_pod_in_asyncio(
    config: Config | None = None,
    *,
    keys: Secrets | None = None,
    rooms: Mapping[str, RoomFactory] | None = None,
    dev: bool = False,
    broker: Callable[[], Broker] | None = None,
    settings: Path | None = None,
    app: ASGIApp | None = None,
) -> AsyncIterator[PodInAsyncio]:
    """Run a pod for the length of the block, in asyncio's thread; see `open_pod`.

    `app` answers what is not the pod's own on its port, in asyncio. There is one in a thread.

    Leaving the block drains the pod, which takes `drain.delay` and `drain.deadline` at most, also
    when it is cancelled (Ctrl-C in `asyncio.run`); a cancellation meanwhile ends the pod at once.
    When the pod gives up the block is cancelled, and what it gave up for is raised. Raises what
    `open_pod` raises.
    """
    guest = _GuestRun(
        partial(
            open_pod,
            config,
            keys=keys,
            rooms=rooms,
            dev=dev,
            broker=broker,
            settings=settings,
            app=None if app is None else on_asyncio(app),
        )
    )
    pod, error = await guest.start(), None
    try:
        yield pod
    except BaseException as raised:  # noqa: BLE001 - raised below, when the pod has been drained
        error = raised
    await guest.leave()
    cancelled = isinstance(error, asyncio.CancelledError)
    if await guest.took_back(told=cancelled) or isinstance(error, trio.RunFinishedError | None):
        guest.result()
    if error is not None:
        raise error


class PodInAsyncio:
    """A pod, for asyncio's side: each call is done as a task of the pod, and waited for.

    What it raises is raised here. A call that is cancelled here is cancelled there. Raises
    `trio.RunFinishedError` when the pod has ended.
    """

    def __init__(self, pod: Pod, nursery: trio.Nursery) -> None:
        self._pod = pod
        self._there = TrioSide(nursery)

    @property
    def port(self) -> int:
        """The port the pod listens on."""
        return self._pod.port

    def connections(self) -> int:
        """Count the live WebSocket connections."""
        return self._pod.connections()

    async def emit_to_all(self, event: str, data: JSON) -> Receipt:
        """Tell every connected client, of every pod."""
        return await self.call(lambda pod: pod.hub.emit_to_all(event, data))

    async def emit_to_room(self, room: str, event: str, data: JSON) -> Receipt:
        """Tell the members of a room; a bound room that does not run yet is started for it."""
        return await self.call(lambda pod: pod.hub.emit_to_room(room, event, data))

    async def send_to_all(self, event: str, data: JSON, timeout: float = SEND_TIMEOUT) -> Receipt:
        """Tell every connected client, and wait for what becomes of it."""
        return await self.run(lambda pod: pod.hub.send_to_all(event, data, timeout))

    async def send_to_room(
        self, room: str, event: str, data: JSON, timeout: float = SEND_TIMEOUT
    ) -> Receipt:
        """Tell the members of a room, and wait for what becomes of it."""
        return await self.run(lambda pod: pod.hub.send_to_room(room, event, data, timeout))

    async def ask(self, room: str, request: Request[R], timeout: float) -> R:
        """Ask a room something, started if need be, and return its answer; see `ActorRef.ask`."""
        return await self.run(lambda pod: pod.hub.room(room).ask(request, timeout))

    async def tell(self, room: str, message: object) -> Delivery:
        """Leave a message with a room, started if need be; see `ActorRef.tell`."""
        return await self.call(lambda pod: pod.hub.room(room).tell(message))

    async def call(self, function: Callable[[Pod], R]) -> R:
        """Call something of the pod's that is not async, on its side, and return its answer."""
        return await self._there.call(partial(function, self._pod))

    async def run(self, function: Callable[[Pod], Awaitable[R]]) -> R:
        """Run an async function of trio's as a task of the pod, and return its answer."""
        return await self._there.run(partial(function, self._pod))


class _GuestRun:
    """A run of trio in asyncio's loop, from `start` until it is left."""

    def __init__(self, block: Callable[[], AbstractAsyncContextManager[Pod]]) -> None:
        self._block = block
        self._loop = asyncio.get_running_loop()
        self._host = asyncio.current_task()
        self._started: asyncio.Future[PodInAsyncio] = self._loop.create_future()
        self._over: asyncio.Future[Outcome[None]] = self._loop.create_future()
        self._leaving = False
        self._scope = trio.CancelScope()
        self._stop: trio.Event
        self._token: trio.lowlevel.TrioToken
        self.has_given_up = False
        """Whether the pod has ended by itself; the block is cancelled for that."""

    async def start(self) -> PodInAsyncio:
        """Return when the pod is up. Raises why it is not."""
        if trio.lowlevel.in_trio_run():
            raise RuntimeError(
                "There is one pod in a thread, and here it runs: bind all rooms to that one."
            )
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._loop.call_soon_threadsafe,
            run_sync_soon_not_threadsafe=self._loop.call_soon,
            done_callback=self._has_ended,
            host_uses_signal_set_wakeup_fd=True,
        )
        try:
            first: set[asyncio.Future[Any]] = {self._started, self._over}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._abort()
            await self._ended()
            raise
        if not self._started.done():
            self.result()
        return self._started.result()

    async def leave(self) -> None:
        """Drain the pod, and return when nothing of it runs any more."""
        self._leaving = True
        self._in_trio(lambda: self._stop.set())
        await self._ended()

    async def took_back(self, *, told: bool) -> bool:
        """Take back the cancellation for a pod that has given up; false where others cancel.

        One that the block was not `told` of would be raised at its next `await`.
        """
        if not self.has_given_up or self._host is None:
            return False
        if not told:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        return self._host.uncancel() == 0

    def result(self) -> None:
        """Raise what the run has ended with."""
        self._over.result().unwrap()

    async def _ended(self) -> None:
        """Return when it is over. A cancellation meanwhile ends it at once."""
        cancelled: asyncio.CancelledError | None = None
        while not self._over.done():
            try:
                await asyncio.wait([self._over])
            except asyncio.CancelledError as error:
                cancelled = error
                self._abort()
        if cancelled is not None and not self.has_given_up:
            raise cancelled

    def _abort(self) -> None:
        self._leaving = True
        self._in_trio(self._scope.cancel)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        with self._scope:
            async with self._block() as pod, trio.open_nursery() as nursery:
                self._started.set_result(PodInAsyncio(pod, nursery))
                await self._stop.wait()
                nursery.cancel_scope.cancel()

    def _has_ended(self, outcome: Outcome[None]) -> None:
        self._over.set_result(outcome)
        if self._started.done() and not self._leaving and self._host is not None:
            self.has_given_up = True
            self._host.cancel()

    def _in_trio(self, function: Callable[[], object]) -> None:
        if not self._over.done():
            self._token.run_sync_soon(function)
