"""What is logged while a test runs, as the lines of JSON that machines read."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import structlog

from deployd.config import LoggingSettings, configure_logging

__all__ = ["Logged", "logged"]


class Logged:
    """The lines so far."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        """All of them, as they were written."""
        return self._stream.getvalue()

    def lines(self, **fields: object) -> list[dict[str, Any]]:
        """Return those lines that have these fields."""
        everything = [orjson.loads(line) for line in self.text.splitlines()]
        return [line for line in everything if fields.items() <= line.items()]


@contextmanager
def logged() -> Iterator[Logged]:
    """Log to memory for the length of the block."""
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    configure_logging(LoggingSettings(format="json"), tty=False, stream=stream)
    try:
        yield Logged(stream)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
