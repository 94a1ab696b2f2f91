"""SIGTERM and SIGINT: the first asks the process to stop, the second ends it at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import trio


class StopSignals:
    """Hears the signals that end a process.

    The handlers are Python's own and not `trio.open_signal_receiver`, which would need a turn of
    the loop to see the second signal: who presses Ctrl-C twice may have a room that never lets
    the loop turn. `leave` gets the exit code of a shell, 128 and the signal's number.
    """

    def __init__(self, leave: Callable[[int], object] = os._exit) -> None:
        self.first: signal.Signals | None = None
        self._asked = trio.Event()
        self._leave = leave

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear the signals for the length of the block; on trio's loop, in the main thread."""
        token = trio.lowlevel.current_trio_token()

        def arrived(number: int, _: FrameType | None) -> None:
            if self.first is not None:
                self._leave(128 + number)
                return
            self.first = signal.Signals(number)
            token.run_sync_soon(self._asked.set)

        before = {number: signal.signal(number, arrived) for number in _STOP}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def wait(self) -> None:
        """Wait for the first signal."""
        await self._asked.wait()


_STOP = (signal.SIGTERM, signal.SIGINT)
