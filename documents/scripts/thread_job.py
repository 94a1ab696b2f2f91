"""The part of running a sync script that happens in its thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

from .attempt import Result, attempt
from .context import Context
from .interruption import Interrupted, Interruption
from .scripts import Script

__all__ = ["ThreadJob"]


class ThreadJob:
    """Runs one script on one context after another, until it is stopped."""

    def __init__(self, script: Script, contexts: Sequence[Context]) -> None:
        self.script = script
        self._contexts = contexts
        self._interruption: Interruption | None = None
        self._ident: int | None = None
        self._stopped = False

    def run(self) -> list[Result]:
        """Run in this thread; what is returned after `stop` is worth nothing."""
        results: list[Result] = []
        self._ident = threading.get_ident()
        interruption = Interruption()
        try:
            try:
                # Written before `_stopped` is read, and `stop` does it the other way round: one
                # of the two sees the other.
                self._interruption = interruption
                for context in self._contexts:
                    if self._stopped:
                        break
                    context._begin(interruption)
                    results.append(attempt(self.script, context))
            finally:
                interruption.leave()
        except Interrupted:
            pass
        self._ident = None
        return results

    def stop(self) -> None:
        """End the run, from trio's thread: no context works any more, and the thread is told.

        What cannot be told (it waits in C, or catches whatever comes) goes on; see `line`.
        """
        self._stopped = True
        for context in self._contexts:
            context._give_up()
        if self._interruption is not None:
            self._interruption.interrupt()

    def line(self) -> int | None:
        """Return the line of the script's file that the thread is in, None if in none."""
        frame = None if self._ident is None else sys._current_frames().get(self._ident)
        while frame is not None and frame.f_code.co_filename != str(self.script.path):
            frame = frame.f_back
        return None if frame is None else frame.f_lineno
