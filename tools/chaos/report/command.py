"""`deployd chaos report`: tell again what a run came to, or several beside each other."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ...common import ToolError, screen
from .junit import junit_xml
from .page import html_page
from .result import merged
from .stored import load
from .table import print_result

__all__ = ["BadOutput", "keep", "report"]

_File = click.Path(dir_okay=False, path_type=Path)


class BadOutput(ToolError):
    """A file cannot be written; the sentence says why."""


@click.command()
@click.argument("results", nargs=-1, required=True, type=_File, metavar="RESULT.json…")
@click.option("--html", "page", type=_File, help="Write one page that needs nothing else.")
@click.option("--junit", type=_File, help="Write JUnit's XML, for CI.")
def report(results: tuple[Path, ...], page: Path | None, junit: Path | None) -> None:
    """Tell what a chaos run came to, from what `deployd chaos run --json` wrote.

    Several results become one report that compares them. Exits with 1 where a scenario failed.
    """
    result = merged(map(load, results))
    print_result(result, screen())
    if page is not None:
        keep(page, html_page(result).encode())
    if junit is not None:
        keep(junit, junit_xml(result))
    sys.exit(0 if result.good else 1)


def keep(path: Path, text: bytes) -> None:
    """Write a file; raises `BadOutput` where that cannot be."""
    try:
        path.write_bytes(text)
    except OSError as error:
        raise BadOutput(f"{path} cannot be written: {error.strerror or error}.") from None
