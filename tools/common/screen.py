"""Where commands print for people."""

from typing import Final

from rich.console import Console

PIPE_WIDTH: Final = 1000
"""Characters of a line where no terminal says how wide it is, so that nothing is cut."""


def screen() -> Console:
    """Return standard output, as wide as the terminal, or wide enough for any line."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def printable(text: str) -> str:
    """Keep what a pod says from steering the terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)
