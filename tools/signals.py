"""What signals mean to a pod: TERM and INT stop it, no other one ends it.

The first of the two asks the process to stop, the second ends it at once. Whatever else would end a
process by default is told in the log: it was sent by mistake, or by a tool that takes the pod for
another program (HUP to reopen its log, USR1 to print its state). Left alone are those that are
meant to leave a core (ABRT, SEGV, ...), those of the shell's job control, and PIPE, which Python
ignores: a write to whoever has gone raises an error.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import trio

from ..config import get_logger

_log = get_logger("serve")

_STOP = (signal.SIGTERM, signal.SIGINT)

_NAMED = (
    "SIGHUP",
    "SIGQUIT",
    "SIGUSR1",
    "SIGUSR2",
    "SIGALRM",
    "SIGVTALRM",
    "SIGPROF",
    "SIGIO",
    "SIGPWR",
    "SIGSTKFLT",
    "SIGXCPU",
)  # fmt: skip - not every system has them all


class StopSignals:
    """Hears the signals of a process.

    The handlers are Python's own and not `trio.open_signal_receiver`, which would need a turn of
    the loop to see the second signal: who presses Ctrl-C twice may have a room that never lets
    the loop turn. `leave` gets the exit code of a shell, 128 and the signal's number.

    HUP is what a terminal says when it is closed: with a `terminal` that shows the log, it stops
    the process. Who is to stay (`nohup`) has it ignored already, and that is left so.
    """

    def __init__(
        self, leave: Callable[[int], object] = os._exit, *, terminal: bool = False
    ) -> None:
        self.first: signal.Signals | None = None
        self._asked = trio.Event()
        self._leave = leave
        self._stop = (*_STOP, signal.SIGHUP) if terminal else _STOP

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear the signals for the length of the block; on trio's loop, in the main thread."""
        token = trio.lowlevel.current_trio_token()

        def arrived(number: int, _: FrameType | None) -> None:
            if number not in self._stop:
                # Nothing more here: a handler runs amid whatever the thread does, and it may hold
                # the log's lock.
                token.run_sync_soon(_tell, number, idempotent=True)
            elif self.first is not None:
                self._leave(128 + number)
            else:
                self.first = signal.Signals(number)
                token.run_sync_soon(self._asked.set)

        before = {number: signal.signal(number, arrived) for number in _heard()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def wait(self) -> None:
        """Wait for the first signal."""
        await self._asked.wait()


def _heard() -> list[int]:
    """List the signals to hear: those that stop, and those that nobody had ignored."""
    named = [getattr(signal, name) for name in _NAMED if hasattr(signal, name)]
    real_time = range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if hasattr(signal, "SIGRTMIN") else ()
    others = [*named, *real_time]
    return [*_STOP, *(one for one in others if signal.getsignal(one) != signal.SIG_IGN)]


def _tell(number: int) -> None:
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    _log.warning(
        "a signal that means nothing here", signal=name, remedy="send TERM to stop the pod"
    )
