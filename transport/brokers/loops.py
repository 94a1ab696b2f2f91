"""An asyncio loop on a thread of its own, of which nothing is left when it ends."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

__all__ = ["DisposableLoop"]

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
            self.run_until_complete(asyncio.wait(tasks, timeout=_CANCELLING))

    def _abort_transports(self) -> None:
        for transport in list(self._opened):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        # A transport closes its socket one turn of the loop after it was told to.
        for _ in range(3):
            self.run_until_complete(asyncio.sleep(0))
