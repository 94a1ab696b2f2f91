"""Ending what a thread does from outside of it.

CPython can raise an exception in another thread (`PyThreadState_SetAsyncExc`), and it arrives
whenever that thread next runs Python. Threads are reused, so it must arrive while the work that it
is meant for runs, and never later. Two locks of C (waiting for them runs no Python, so nothing can
arrive half-way) see to that:

- the *claim* is taken for good by whoever is first: the interrupter, who then raises, or the
  thread that leaves its work, which nobody can interrupt from then on;
- *sent* is opened after raising: a thread that leaves and finds the claim taken waits for it, and
  then takes back what has not arrived.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "Interruption"]

_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exc.restype = ctypes.c_int


class Interrupted(BaseException):
    """Raised in a thread whose work has to end. Not an `Exception`: those are caught too often."""


class Interruption:
    """Lets others end the work of the thread that makes it, once.

    The thread calls `leave` when the work is done, within a `try` that catches `Interrupted`:
    it may arrive until `leave` has returned or raised, and not after that.
    """

    __slots__ = ("_claim", "_ident", "_sent", "_shielded", "_wanted")

    def __init__(self) -> None:
        self._ident = threading.get_ident()
        self._claim = threading.Lock()
        self._sent = threading.Lock()
        self._sent.acquire()
        self._wanted = False
        self._shielded = False

    def interrupt(self) -> None:
        """Raise `Interrupted` in the thread, from another one; harmless when it has left."""
        self._wanted = True
        if self._claim.acquire(blocking=False):
            _set_async_exc(self._ident, ctypes.py_object(Interrupted))
            self._sent.release()

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Keep an interruption waiting for the length of the block, when it is in the thread.

        For what holds locks that others need: logging, and the queue to trio's loop.
        """
        if threading.get_ident() != self._ident or self._shielded:
            yield
            return
        if not self._claim.acquire(blocking=False):
            raise Interrupted
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
            self._claim.release()
            if self._wanted:  # it came meanwhile and found the claim taken
                raise Interrupted

    def leave(self) -> None:
        """Say that the work is done, from the thread."""
        if not self._claim.acquire(blocking=False):
            self._sent.acquire()
            _set_async_exc(self._ident, ctypes.py_object())
