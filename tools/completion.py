"""`deployd completion`: what a shell runs to complete commands, options and their values."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

SHELLS: Final = ("bash", "zsh", "fish")
VARIABLE: Final = "_DEPLOYD_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print the completion of all commands for a SHELL.

    \b
    bash: deployd completion bash > ~/.local/share/bash-completion/completions/deployd
    zsh:  deployd completion zsh > "${fpath[1]}/_deployd"
    fish: deployd completion fish > ~/.config/fish/completions/deployd.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has all three
    click.echo(kind(context.find_root().command, {}, "deployd", VARIABLE).source())
