"""How the failures of commands are told: a sentence for the operator, or that it is a bug."""

import os
import sys
import traceback
from collections.abc import Iterator
from typing import IO

import click

from ..actors import ActorError
from ..config import ConfigurationError
from ..documents import DocumentError
from ..supervisors import SupervisorError
from ..transport import TransportError
from .common import ToolError

__all__ = ["Failure", "failure"]

FOR_OPERATORS = (
    ActorError,
    ConfigurationError,
    DocumentError,
    SupervisorError,
    ToolError,
    TransportError,
)
"""Errors whose messages are sentences for the operator."""


class Failure(click.ClickException):
    """An error on its way to the terminal; exit code 1. `cause` is set for one of our own bugs."""

    def __init__(self, message: str, cause: Exception | None = None) -> None:
        super().__init__(message)
        self.cause = cause

    def show(self, file: IO[str] | None = None) -> None:
        """Print the sentence, and above it the traceback for those who look for a bug."""
        if self.cause is not None and os.environ.get("LOG_LEVEL", "").upper() == "DEBUG":
            traceback.print_exception(self.cause, file=file or sys.stderr)
        super().show(file)


def failure(error: Exception) -> Failure:
    """Word an error for the operator: a line for each thing to mend, or that it is a bug."""
    leaves = [_root(leaf) for leaf in _leaves(error)]
    if all(isinstance(leaf, FOR_OPERATORS) for leaf in leaves):
        return Failure("\n".join(dict.fromkeys(map(str, leaves))))
    bug = next(leaf for leaf in leaves if not isinstance(leaf, FOR_OPERATORS))
    words = " ".join(f"{type(bug).__name__}: {bug}".split())
    hint = "please report it, with what LOG_LEVEL=DEBUG prints in addition"
    return Failure(f"This is a bug of deployd ({words}); {hint}.", error)


def _leaves(error: Exception) -> Iterator[Exception]:
    """Take trio's groups apart."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _root(error: Exception) -> Exception:
    """Find the error that can be mended: a supervisor that gave up names its child's as cause."""
    cause = error.__cause__
    while isinstance(error, SupervisorError) and isinstance(cause, Exception):
        error, cause = cause, cause.__cause__
    return error
