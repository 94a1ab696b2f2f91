"""`deployd chaos`: its commands, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

__all__ = ["chaos"]

COMMANDS: Final = {
    "describe": ".scenario.command:describe",
    "inject": ".inject:inject",
    "list": ".scenario.command:listing",
    "new": ".scenario.command:new",
    "proxy": ".proxy.command:proxy",
    "replay": ".replaying:replay",
    "report": ".report.command:report",
    "run": ".running:run",
    "schema": ".scenario.command:schema",
    "status": ".inject:status",
    "stop": ".inject:stop",
}
"""Where each command is."""


class LazyCommands(click.Group):
    """A group that imports a command when it is asked for: what is beside it takes a while."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them all."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module, __package__), name)
        return command


@click.group(cls=LazyCommands)
def chaos() -> None:
    """Break brokers, ways and pods on purpose, and see what becomes of their clients."""
