"""Ctrl-C in a program that holds a pod: it is for the program, and not for the actor that runs.

trio raises KeyboardInterrupt wherever the interrupted code stands, unless that is trio's own. In a
pod this is mostly a room's hook or a connection, whose failures end there: the key would restart a
room. So for as long as a pod lives the first Ctrl-C waits for the main task's next checkpoint, as
with `trio.run(..., restrict_keyboard_interrupt_to_checkpoints=True)`. From the second on it is also
raised where the code stands, for a hook that never lets the loop turn would never let the first
one through.

Whoever has a handler of their own for SIGINT, as `deployd serve` has, keeps it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["kept_for_the_main_task"]

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def kept_for_the_main_task() -> Iterator[None]:
    """Let Ctrl-C be raised in trio's main task alone, for the length of the block."""
    before = _trios_own()
    if before is None:
        yield
        return
    pressed = 0

    def arrived(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1
        # Without a frame (the documentation of `signal` allows for it) trio takes the code that
        # was interrupted for its own, and tells the main task.
        before(number, None)
        if pressed > 1:
            before(number, frame)

    signal.signal(signal.SIGINT, arrived)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is arrived:
            signal.signal(signal.SIGINT, before)


def _trios_own() -> Handler | None:
    """Return the handler that trio has for Ctrl-C, or None where another one is in its place."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        return None
    module = getattr(handler, "__module__", None) or ""
    return handler if module.partition(".")[0] == "trio" else None
