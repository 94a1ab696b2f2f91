"""An asyncio loop on a thread of its own, of which nothing is left when it ends."""

from __future__ import annotations

import asyncio
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

__all__ = [
    "DisposableLoop",
    "Event",
    "Future",
    "Lock",
    "StreamReader",
    "StreamWriter",
    "open_connection",
    "sleep",
]

Event = asyncio.Event
Future = asyncio.Future
Lock = asyncio.Lock
StreamReader = asyncio.StreamReader
StreamWriter = asyncio.StreamWriter
open_connection = asyncio.open_connection
sleep = asyncio.sleep
"""For drivers, which need not name asyncio."""

_CANCELLING: Final = 0.2
"""Seconds for cancelled tasks to end; those that swallow it are left behind."""


class DisposableLoop(asyncio.SelectorEventLoop):
    """A loop that `run` runs on this thread until it is stopped, and then closes, sockets too.

    Making one opens three descriptors (`OSError` when there are none); `run` or `close` it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._opened: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        """Connect as asyncio does, and remember the transport: it is closed with the loop."""
        transport, protocol = await super().create_connection(*args, **options)
        self._opened.add(transport)
        return transport, protocol

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


def _settle(setter: Callable[[Any], object], answer: asyncio.Future[Any], outcome: object) -> None:
    if not answer.done():
        setter(outcome)
