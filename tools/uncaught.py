"""Errors that nobody caught, and warnings, are lines of the log; Python prints them past it.

They come from threads of a room's author, from `__del__` and from callbacks of the collector, and
from coroutines that nobody awaited.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from ..config import get_logger

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["uncaught_errors_told"]

_log = get_logger("serve")


@contextmanager
def uncaught_errors_told() -> Iterator[None]:
    """Have them told in the log for the length of the block."""
    of_threads, unraisable = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = _of_a_thread, _unraisable
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        threading.excepthook, sys.unraisablehook = of_threads, unraisable


def _of_a_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is not SystemExit:  # as Python does: a thread may leave so
        name = "unknown" if ended.thread is None else ended.thread.name
        _tell("a thread has ended by an error", name, ended.exc_value, ended.exc_traceback)


def _unraisable(told: UnraisableHookArgs) -> None:
    event = told.err_msg or "an error that nobody can catch"
    # Its `repr` is code that is not ours, and fails often enough in what is half gone.
    name = getattr(told.object, "__qualname__", None) or type(told.object).__qualname__
    _tell(event, str(name), told.exc_value, told.exc_traceback)


def _tell(
    event: str, where: str, error: BaseException | None, traceback: TracebackType | None
) -> None:
    shown = None if error is None else (type(error), error, traceback)
    _log.error(event, where=where[:500], exc_info=shown)
