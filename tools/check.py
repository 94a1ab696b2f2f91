"""`deployd check`: what is to be mended before a pod runs with these settings and documents."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import click
import orjson

from ..documents.collections import CollectionFit, fits
from ..documents.store import database_url
from .common import config_option, data_option, printable, read_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
@data_option
@config_option
@click.pass_context
def check(context: click.Context, as_json: bool, data: str | None, file: Path) -> None:
    """Hold the documents that are there against the definitions that are to be; it changes nothing.

    Documents that do not fit stay readable, and each of their properties can be changed. Exit
    code: 0 when everything fits, 1 when something does not or cannot be read.
    """
    config = read_settings(file, os.environ, {"server.data": data}).config
    url = database_url(config.store, Path(config.server.data))
    found = fits(Path(config.collections.folder), url, config.store)
    if as_json:
        click.echo(orjson.dumps([attrs.asdict(each) for each in found]))
    else:
        click.echo("\n".join(map(printable, lines(found))))
    context.exit(0 if all(each.fits for each in found) else 1)


def lines(found: Sequence[CollectionFit]) -> Iterator[str]:
    """Yield what is said of each collection."""
    for each in found:
        if each.problem:
            yield f"{each.name}: cannot be read: {each.problem}"
            continue
        fit = f"{each.unfit} of {each.documents} do not fit" if each.unfit else "all fit"
        yield f"{each.name}: {fit if each.documents else 'no documents'}"
        yield from (f"  {sentence}" for sentence in each.clashes)
        yield from (f"  {one.id}: {'; '.join(one.sentences)}" for one in each.named)
        if each.unfit > len(each.named):
            yield f"  and {each.unfit - len(each.named)} more"
