"""What signals mean to a pod: TERM and INT stop it, some ask it for something, no other ends it.

The first of the two asks the process to stop, the second ends it at once. What HUP, USR1 and QUIT
ask for is said by whoever runs the pod (`on`), once there is one. Whatever else would end a process
by default is told in the log: it was sent by mistake, or by a tool that takes the pod for another
program. Left alone are those that are meant to leave a core (ABRT, SEGV, ...), those of the shell's
job control, and PIPE, which Python ignores: a write to whoever has gone raises an error.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import trio

from ...config import get_logger

__all__ = ["Signals", "nothing_at_once"]

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


def nothing_at_once() -> None:
    """Do nothing in the handler itself."""


class Signals:
    """Hears the signals of a process.

    The handlers are Python's own and not `trio.open_signal_receiver`, which would need a turn of
    the loop to see the second signal: who presses Ctrl-C twice may have a room that never lets
    the loop turn. `leave` gets the exit code of a shell, 128 and the signal's number.

    HUP is also what a terminal says when it is closed: it stops the process where `hung_up` says
    that the terminal which showed the log has gone. Who is to stay (`nohup`) has HUP ignored
    already, and that is left so.
    """

    def __init__(
        self,
        leave: Callable[[int], object] = os._exit,
        *,
        hung_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self.first: signal.Signals | None = None
        self._asked = trio.Event()
        self._leave = leave
        self._hung_up = hung_up
        self._meanings: dict[int, tuple[Callable[[], None], Callable[[], None]]] = {}

    def on(
        self,
        number: signal.Signals,
        do: Callable[[], None],
        *,
        at_once: Callable[[], None] = nothing_at_once,
    ) -> None:
        """Let a signal mean something: `do` is called on the loop, `at_once` in the handler.

        A handler runs amid whatever the thread does: `at_once` may take no lock and wait for
        nothing.
        """

        def contained() -> None:
            try:
                do()
            except Exception:  # noqa: BLE001 - a signal ends no pod
                _log.exception("what a signal asked for has failed", signal=number.name)

        self._meanings[number] = (at_once, contained)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear the signals for the length of the block; on trio's loop, in the main thread."""
        token = trio.lowlevel.current_trio_token()

        def arrived(number: int, _: FrameType | None) -> None:
            if number in _STOP or (number == signal.SIGHUP and self._hung_up()):
                if self.first is not None:
                    self._leave(128 + number)
                    return
                self.first = signal.Signals(number)
                token.run_sync_soon(self._asked.set)
                return
            at_once, do = self._meanings.get(number) or (nothing_at_once, tellers[number])
            at_once()
            # Nothing more here: the thread may hold the log's lock.
            token.run_sync_soon(do, idempotent=True)

        # Made once, so that of several that come together one is told.
        tellers = {number: partial(_tell, number) for number in _heard()}
        before = {number: signal.signal(number, arrived) for number in tellers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def wait(self) -> None:
        """Wait for the first signal that stops."""
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
