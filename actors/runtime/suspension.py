"""Run a coroutine and act just before it waits."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import TypeVar

__all__ = ["on_suspend", "run_by"]

T = TypeVar("T")


@types.coroutine
def on_suspend(
    coroutine: Coroutine[object, object, T], act: Callable[[], None]
) -> Generator[object, object, T]:
    """Await `coroutine`, calling `act()` each time it is about to hand control to the event loop.

    A hook that never waits costs nothing more, so a room can go on collecting frames over many
    messages; a hook that waits for a database does not hold back what was already said. This is
    what `yield from` does (PEP 380), with one call in between.
    """
    send: Callable[[], object] = lambda: coroutine.send(None)  # noqa: E731
    while True:
        try:
            trap = send()
        except StopIteration as stop:
            result: T = stop.value
            return result
        act()
        try:
            value = yield trap
        except BaseException as error:  # noqa: BLE001 - handed on, never swallowed
            send = _throw(coroutine, error)
        else:
            send = _send(coroutine, value)


def run_by(frame: FrameType) -> object | None:
    """Return the coroutine that a frame of `on_suspend` runs, None for any other frame.

    Whoever follows what a task awaits comes to an end there: nothing is awaited, it is sent to.
    """
    return frame.f_locals["coroutine"] if frame.f_code is on_suspend.__code__ else None


def _send(coroutine: Coroutine[object, object, T], value: object) -> Callable[[], object]:
    return lambda: coroutine.send(value)


def _throw(coroutine: Coroutine[object, object, T], error: BaseException) -> Callable[[], object]:
    return lambda: coroutine.throw(error)
