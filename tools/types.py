"""`deployd types`: the types of rooms for TypeScript, from their classes; no pod is asked."""

import os
import sys
from pathlib import Path

import click

from ..actors import load_room_classes
from .common import ToolError, config_option, read_settings
from .typescript import declarations

__all__ = ["NoRoomsBound", "types"]


class NoRoomsBound(ToolError):
    """The settings bind no class of rooms, so there is nothing to be typed."""


@click.command()
@config_option
def types(file: Path) -> None:
    r"""Print what rooms take and answer as types for TypeScript.

    \b
    deployd types > rooms.d.ts
    dpd.room<Auction>("auction-1").emit("bid", { amount: 15 })
    """
    sys.path.insert(0, os.getcwd())  # where room classes are found, as with serve
    bindings = load_room_classes(read_settings(file, os.environ).config.rooms)
    if not bindings:
        raise NoRoomsBound(
            f'No class of rooms is bound in {file}; bind one: "rooms": {{"chat-*": "rooms:Chat"}}.'
        )
    click.echo(declarations(bindings), nl=False)
