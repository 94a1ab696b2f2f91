"""`deployd backup` and `deployd restore`: all documents in one file, and back."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import click

from ..config import Config
from ..documents.store import database_url, format_date, restore_backup, write_backup
from .common import config_option, data_option, read_settings

file_argument = click.argument("backup_file", metavar="FILE", type=click.Path(path_type=Path))


@click.command()
@file_argument
@data_option
@config_option
def backup(backup_file: Path, data: str | None, file: Path) -> None:
    """Write all documents into FILE, as they are at one moment; pods go on meanwhile.

    FILE holds what nobody is shown, such as the hashes of passwords: its owner alone may read it.
    It can be restored into SQLite and PostgreSQL alike. Exit code: 0 when it is whole, else 1.
    """
    config = _settings(file, data)
    counts = write_backup(_url(config), config.store, backup_file, now=format_date(time.time()))
    click.echo(f"{backup_file}: {_told(counts)}")


@click.command()
@file_argument
@click.option("--replace", is_flag=True, help="Remove the documents that are there first.")
@data_option
@config_option
def restore(backup_file: Path, replace: bool, data: str | None, file: Path) -> None:
    """Put the documents of FILE into the database: all of them, or nothing is changed.

    Stop the pods of the database first. Exit code: 0 when it is done, else 1.
    """
    config = _settings(file, data)
    counts = restore_backup(_url(config), config.store, backup_file, replace=replace)
    click.echo(f"restored {_told(counts)}")


def _settings(file: Path, data: str | None) -> Config:
    return read_settings(file, os.environ, {"server.data": data}).config


def _url(config: Config) -> str:
    return database_url(config.store, Path(config.server.data))


def _told(counts: Mapping[str, int]) -> str:
    words = [f"{count} of {name}" for name, count in sorted(counts.items())]
    return f"{sum(counts.values())} documents" + (f" ({', '.join(words)})" if words else "")
