"""What code that is not ours raises, made into a failure of the one actor that ran it.

An `Exception` is one already. Whatever else Python knows (`SystemExit` of a parser of arguments,
`KeyboardInterrupt`, `GeneratorExit`, trio's `Cancelled` that somebody kept and raises again, groups
of them) would pass every `except Exception` and end the process. Only trio's own cancellation may
do so, and it is trio that says whether there is one: the exception's type proves nothing.

A Ctrl-C comes in neither way: `open_pod` sees to it that it is never raised inside an actor.
"""

from __future__ import annotations

import math
from typing import Final

import trio

from .errors import BaseExceptionRaised

__all__ = ["contained", "error_text", "failure_of", "writable"]

MOST_TEXT: Final = 1000
"""Characters of what an exception says of itself."""


def contained(error: BaseException) -> Exception:
    """Return an `Exception` for whatever code raised that did not wait: itself, where it is one.

    A group that holds one exception is opened.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, Exception):
        return error
    failure = BaseExceptionRaised(error_text(error))
    failure.__cause__ = error
    return failure


def failure_of(error: BaseException) -> Exception:
    """Return an `Exception` for whatever code raised in this task, which may be cancelled.

    Raises `error` where it is nothing but trio's way of cancelling the task. What else was raised
    meanwhile is a failure; the cancellation then comes again at the next checkpoint.
    """
    if not isinstance(error, Exception) and trio.current_effective_deadline() == -math.inf:
        error = _beside_cancellation(error)
    return contained(error)


def error_text(error: BaseException) -> str:
    """Return an exception's class and text, shortened and `writable`.

    Whatever its own `__str__` does.
    """
    name = type(error).__name__
    try:
        text = f"{name}: {error}"
    except BaseException as another:  # noqa: BLE001 - it is told by somebody whom it must not end
        text = f"{name}, whose text raises {type(another).__name__}"
    return writable(text[:MOST_TEXT])


def writable(text: str) -> str:
    """Return a text that can be written anywhere: half characters (lone surrogates) escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _beside_cancellation(error: BaseException) -> BaseException:
    if isinstance(error, trio.Cancelled):
        raise error
    if not isinstance(error, BaseExceptionGroup):
        return error
    _, others = error.split(trio.Cancelled)
    if others is None:
        raise error
    return others
