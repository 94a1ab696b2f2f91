"""The command `deployd`: its group."""

import click

from .backup import backup, restore
from .chaos.command import chaos
from .check import check
from .completion import completion
from .config import config
from .failures import failure
from .log_level import log_level
from .new import new
from .pods import pods
from .publish import publish
from .serve import serve
from .simulator.command import simulate
from .stress.command import stress
from .token import token
from .tree import tree
from .types import types

EXIT_CODES = """\b
Exit codes:
  0  all went well
  1  it did not: a sentence on stderr says why
  2  wrong usage"""
"""What the help of a command ends with that has no codes of its own."""


class Commands(click.Group):
    """A group whose commands never end in a traceback, and say what they exit with."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, or a group of them."""
        _say_codes(cmd)
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; raise what it raised as a sentence."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            raise failure(error) from error


def _say_codes(command: click.Command) -> None:
    if command.epilog is None:
        command.epilog = EXIT_CODES
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _say_codes(inner)


@click.group(cls=Commands, epilog=EXIT_CODES,
             context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@click.version_option(package_name="deployd", prog_name="deployd", message="%(prog)s %(version)s")
def cli() -> None:
    """Real-time pods: WebSocket connections and rooms as supervised actors."""


for command in (
    *(new, serve, check, config, token, types),
    *(backup, restore),
    *(tree, pods, log_level, publish),
    *(stress, simulate, chaos, completion),
):
    cli.add_command(command)


def main() -> None:
    """Run `deployd` with the arguments of this process."""
    cli.main(prog_name="deployd")


if __name__ == "__main__":
    main()
