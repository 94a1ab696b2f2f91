"""`deployd config`: what is in force, and where each value came from."""

import os
from collections.abc import Sequence
from pathlib import Path

import attrs
import click
import orjson
from rich.table import Table
from rich.text import Text

from ..config import Row, explain, json_schema, text_of
from .common import config_option, read_settings, screen, settings_file


@click.command()
@config_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def config(file: Path, schema: bool, as_json: bool) -> None:
    """Show the settings in force and where each of them was set; secrets are masked."""
    if schema:
        click.echo(_json(json_schema()))
        return
    rows = explain(read_settings(file, os.environ))
    if as_json:
        click.echo(_json([attrs.asdict(row) for row in rows]))
        return
    console = screen()
    console.print(settings_table(rows))
    if settings_file(file) is None:
        console.print(f"There is no {file}; deployd serve writes it.", style="dim")


def settings_table(rows: Sequence[Row]) -> Table:
    """Draw the settings, those that somebody set in bold."""
    table = Table("Key", "Value", "Unit", "From", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        style = "dim" if row.source == "default" else "bold"
        cells = (row.path, text_of(row.value), row.unit, row.source)
        table.add_row(*(Text(cell, style) for cell in cells))
    return table


def _json(document: object) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
