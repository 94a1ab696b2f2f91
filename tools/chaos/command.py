"""`deployd chaos`: its commands, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

__all__ = ["chaos"]

COMMANDS: Final = {
    "inject": ".inject",
    "proxy": ".proxy.command",
    "status": ".inject",
    "stop": ".inject",
}
"""Where each command is; it is called as its module's own name for it."""


class LazyCommands(click.Group):
    """A group that imports a command when it is asked for: what is beside it takes a while."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them all."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = import_module(COMMANDS[cmd_name], __package__)
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=LazyCommands)
def chaos() -> None:
    """Make things fail on purpose."""
