"""`deployd new`: the folder of a project with a room, its test, a page and an image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Final

import click

from .common import ToolError, screen

__all__ = ["FolderThere", "new"]

_FILES: Final[Mapping[str, str]] = {
    "README.md": "README.md.txt",
    "pyproject.toml": "pyproject.toml.txt",
    "rooms.py": "rooms.py.txt",
    "test_rooms.py": "test_rooms.py.txt",
    "config/realtime.json": "realtime.json.txt",
    "public/index.html": "index.html.txt",
    "Dockerfile": "Dockerfile.txt",
    ".dockerignore": "dockerignore.txt",
    ".gitignore": "gitignore.txt",
}
"""Where each file of `new_project/` goes."""

_NAME: Final = re.compile(r"[a-z](?:[a-z0-9_-]{0,62}[a-z0-9])?", re.ASCII)


class FolderThere(ToolError):
    """There is something of that name already, or no folder can be made of it."""


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Make a folder NAME with a room that runs, its test, a page and a Dockerfile."""
    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            f"{name!r} is no name; take 1 to 64 small letters, digits, - and _, a letter first, "
            "and a letter or digit last.",
            param_hint="'NAME'",
        )
    folder = Path(name)
    try:
        folder.mkdir()
        for place, text in _project(name).items():
            file = folder / place
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except FileExistsError as error:
        sentence = f"There is something called {name} here already; take another name."
        raise FolderThere(sentence) from error
    except OSError as error:
        sentence = f"{error.filename or folder} cannot be written: {error.strerror}."
        raise FolderThere(sentence) from error
    screen().print(f"cd {name}")
    screen().print("deployd serve --dev    # http://localhost:2403")
    screen().print("pytest")


def _project(name: str) -> Mapping[str, str]:
    """Return the texts of the files by where they go."""
    templates = resources.files("deployd.tools").joinpath("new_project")
    filled = {"__NAME__": name, "__VERSION__": metadata.version("deployd")}

    def text(template: str) -> str:
        written = templates.joinpath(template).read_text(encoding="utf-8")
        return re.sub("|".join(filled), lambda found: filled[found[0]], written)

    return {place: text(template) for place, template in _FILES.items()}
