"""A thread that names the actor whose handler does not yield, and shows stacks to who asks.

All actors share one thread. A handler that computes or blocks stops them all, and no task can
report that: it would have to run. So a thread posts a mark to trio's loop at short intervals,
and when the mark does not come back it reads the loop's live stack.
"""

import contextvars
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Final

import attrs
import trio

from ..actors import ActorCell
from ..config import get_logger
from ..transport import Histogram

__all__ = ["Stall", "StallDetector", "Watchdog"]

_JOIN_SECONDS = 2.0
"""How long to wait for the thread at the end; it is a daemon, so a stuck one harms nobody."""

_STACK_FRAMES = 40

MOST_BUSY = 4096
"""Actors that samples tell apart until they are taken."""

_log = get_logger("realtime")


@attrs.frozen
class Stall:
    """The loop has not turned for `seconds`. `path` and `handler` name the actor, if it is one."""

    path: str | None
    handler: str | None
    seconds: float
    stack: str


class StallDetector:
    """Decides whether the loop stalls, from ticks of the thread and answers of the loop.

    Times are seconds on any steady clock. A gap between two ticks counts as two intervals at
    most: a process that was paused as a whole (SIGSTOP, a suspended machine) did not stall.
    """

    def __init__(self, interval: float, threshold: float) -> None:
        self._longest_gap = 2 * interval
        self._threshold = threshold
        self._last: float | None = None
        self._silent = 0.0
        self._reported = False

    def tick(self, now: float, *, answered: bool) -> float | None:
        """Take in whether the loop answered since the last tick.

        Return the seconds of silence when they are to be reported, once for each stall.
        """
        gap = 0.0 if self._last is None else min(now - self._last, self._longest_gap)
        self._last = now
        if answered:
            self._silent, self._reported = 0.0, False
            return None
        self._silent += gap
        if self._reported or self._silent < self._threshold:
            return None
        self._reported = True
        return self._silent


class Watchdog:
    """Reports each stall of trio's loop once, to `report`, which runs in the watchdog's thread.

    Every `interval` seconds it posts a mark; a mark that is not back after `threshold` seconds is
    a stall. How long each mark waited for its turn is counted in `lag` (seconds). Run it as a
    service: `Service(path, Watchdog().run)`.
    """

    def __init__(
        self,
        *,
        interval: float = 0.25,
        threshold: float = 1.0,
        report: Callable[[Stall], None] | None = None,
        lag: Histogram | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = interval
        self._threshold = threshold
        self._report = log_stall if report is None else report
        self._clock = clock
        self._answered = True
        self._lag = lag
        self._posted = 0.0
        self._stacks_wanted = False
        self.stalls = 0
        """How many were reported."""
        self._samples, self._busy = 0, Counter[str]()

    def show_stacks(self) -> None:
        """Have the stacks of all threads logged soon; from anywhere, a signal's handler too.

        The loop need not turn for it.
        """
        self._stacks_wanted = True

    async def run(self, started: Callable[[], None]) -> None:
        """Watch the thread this runs in until cancelled."""
        stop = threading.Event()
        token, watched = trio.lowlevel.current_trio_token(), threading.get_ident()
        self._answered = True
        context = contextvars.copy_context()  # its lines say which pod's they are
        thread = threading.Thread(
            target=context.run,
            args=(self._watch, token, watched, stop),
            name="deployd-watchdog",
            daemon=True,
        )
        thread.start()
        started()
        try:
            await trio.sleep_forever()
        finally:
            stop.set()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(thread.join, _JOIN_SECONDS)

    def take_samples(self) -> tuple[int, Counter[str]]:
        """Return how often the loop was looked at since the last call, and who was at work then.

        By the actor's path, one each `interval`; whoever was in none of them takes little.
        """
        taken = self._samples, self._busy
        self._samples, self._busy = 0, Counter()
        return taken

    def _mark(self) -> None:
        self._answered = True
        if self._lag is not None:
            self._lag.observe(self._clock() - self._posted)

    # In the thread, which touches nothing of trio's but the token. ---------------------------

    def _watch(self, token: trio.lowlevel.TrioToken, watched: int, stop: threading.Event) -> None:
        detector = StallDetector(self._interval, self._threshold)
        while not stop.wait(self._interval):
            now = self._clock()
            answered, self._answered = self._answered, False
            self._sample(sys._current_frames().get(watched))  # noqa: SLF001
            seconds = detector.tick(now, answered=answered)
            if seconds is not None:
                self._look(watched, seconds)
            if self._stacks_wanted:
                self._stacks_wanted = False
                _log.warning("snapshot of the threads", stack=stacks_of_threads())
            if answered:  # else the mark that waits is the one to time
                self._posted = self._clock()
            try:
                token.run_sync_soon(self._mark, idempotent=True)
            except trio.RunFinishedError:
                return

    def _sample(self, frame: FrameType | None) -> None:
        self._samples += 1
        cell = _cell_of(frame)
        if cell is not None and len(self._busy) < MOST_BUSY:
            self._busy[str(getattr(cell, "path", ""))] += 1

    def _look(self, watched: int, seconds: float) -> None:
        stall = observe(sys._current_frames().get(watched), seconds)  # noqa: SLF001
        if self._answered:
            return  # it turned just now: the stack may be another's
        self.stalls += 1
        try:
            self._report(stall)
        except Exception:  # noqa: BLE001 - the thread must go on watching
            _log.exception("reporting a stall failed")


def stacks_of_threads() -> str:
    """Return the live stack of each thread, the innermost frame last; from any thread."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames().items()  # noqa: SLF001 - documented, whatever its name
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame, _STACK_FRAMES))}"
        for ident, frame in frames
    )


def observe(frame: FrameType | None, seconds: float) -> Stall:
    """Read off a live stack, given its innermost frame, whose handler is running."""
    stack = "".join(traceback.format_stack(frame, _STACK_FRAMES)) if frame is not None else ""
    inner, frame = _dispatch_of(frame)
    if frame is None:
        return Stall(None, None, seconds, stack)
    cell = frame.f_locals.get("self")
    handler = None if inner is None else inner.f_code.co_qualname
    return Stall(getattr(cell, "path", None), handler, seconds, stack)


_ACTORS_CODE: Final = (ActorCell.dispatch.__code__, ActorCell.listen.__code__)
"""From where actors' code is run: a handler, or what an actor does with what it hears."""


def _dispatch_of(frame: FrameType | None) -> tuple[FrameType | None, FrameType | None]:
    """Return the frame in which an actor's handler is awaited, and before it the handler's."""
    inner: FrameType | None = None
    while frame is not None and frame.f_code not in _ACTORS_CODE:
        inner, frame = frame, frame.f_back
    return inner, frame


def _cell_of(frame: FrameType | None) -> object:
    _, dispatch = _dispatch_of(frame)
    return None if dispatch is None else dispatch.f_locals.get("self")


def log_stall(stall: Stall) -> None:
    """Log a stall as an error that names the actor."""
    _log.error(
        "the loop stands still",
        actor=stall.path or "no actor",
        handler=stall.handler,
        seconds=round(stall.seconds, 3),
        stack=stall.stack,
        remedy="await in the handler, or move the work to a thread: trio.to_thread.run_sync",
    )
