"""A connection to PostgreSQL that gives up a server which has stopped answering.

The server itself ends a query that takes too long (`statement_timeout`), but one that is frozen,
or cut off by a network that swallows everything, ends nothing: psycopg waits for its answer for
ever, and a thread of the pod's with it.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

__all__ = ["TimeoutConnection"]

T = TypeVar("T")


class TimeoutConnection(psycopg.Connection[Any]):
    """Waits `answer_timeout` seconds at most for an answer; then it is closed: an error."""

    answer_timeout: float = 60.0

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **options: Any) -> T:
        """Drive one of psycopg's conversations with the server to its end."""
        end = time.monotonic() + self.answer_timeout
        return super().wait(self._until(end, gen), *arguments, **options)

    def _until(self, end: float, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass on what is waited for, and what became ready: nothing, ten times a second."""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > end:
                    self.close()
                    raise psycopg.OperationalError("the server has stopped answering")
                wanted = gen.send(ready)
        except StopIteration as stop:
            result: T = stop.value
            return result
