"""`deployd chaos`: the group of its commands."""

import click

from .inject import inject, status, stop

__all__ = ["chaos"]


@click.group()
def chaos() -> None:
    """Break pods on purpose, and see what becomes of their clients."""


for command in (inject, status, stop):
    chaos.add_command(command)
