"""Which settings a command works with: the options that all of them share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from ...config import Loaded, load, write_default

DEFAULT_FILE: Final = Path("config/realtime.json")

config_option = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=DEFAULT_FILE,
    show_default=True,
    help="File of settings, JSON or YAML.",
)
data_option = click.option(
    "--data", metavar="FOLDER", help="Folder of secrets and documents, instead of server.data."
)


def settings_file(file: Path) -> Path | None:
    """Return the file to read; None when it is the default one and missing.

    A missing file that somebody chose is an error, which `load` words.
    """
    return None if file == DEFAULT_FILE and not file.exists() else file


def read_settings(
    file: Path, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Loaded:
    """Load the settings from a file, the environment and the command line.

    `overrides` are values by dotted path; None is an option that was not given. Raises
    `ConfigError`.
    """
    return load(settings_file(file), environ=environ, overrides=overrides)


def make_default_file(file: Path) -> bool:
    """Write the basic settings where the default file is missing; tell whether it was done.

    Raises `ConfigError`.
    """
    return file == DEFAULT_FILE and write_default(file)
