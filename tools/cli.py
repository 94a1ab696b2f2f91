"""The command `deployd`: its group, and how its failures are told."""

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
from .backup import backup, restore
from .chaos.command import chaos
from .check import check
from .common import ToolError
from .config import config
from .pods import pods
from .serve import serve
from .simulator.command import simulate
from .stress.command import stress
from .token import token
from .tree import tree

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


class Commands(click.Group):
    """A group whose commands never end in a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; raise what it raised as a sentence."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            raise failure(error) from error


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


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deployd", prog_name="deployd", message="%(prog)s %(version)s")
def cli() -> None:
    """Real-time pods: WebSocket connections and rooms as supervised actors."""


for command in (serve, token, tree, pods, config, check, backup, restore, stress, simulate, chaos):
    cli.add_command(command)


def main() -> None:
    """Run `deployd` with the arguments of this process."""
    cli.main(prog_name="deployd")


if __name__ == "__main__":
    main()
