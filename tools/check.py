"""`deployd check`: what `deployd serve` would refuse, found without starting anything.

Each check is what serve does with that part of its settings, done and undone; nothing is made, and
a pod that runs is left in peace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs
import click
import orjson
from rich.table import Table
from rich.text import Text

from ..actors import load_room_classes
from ..config import Config, ConfigError, Misconfiguration, SecretsError, load_secrets
from ..transport import Certificate
from ..transport.brokers import load_broker
from ..transport.sockets import bind
from .common import config_option, data_option, printable, read_settings, screen
from .failures import failure

__all__ = ["CHECKS", "Finding", "check", "findings"]


@attrs.frozen
class Finding:
    """What became of one check: `problem` is a sentence with the remedy, None where all is well."""

    check: str
    problem: str | None


@click.command(
    epilog="""\b
Exit codes:
  0  serve would start
  1  it would refuse what is said
  2  wrong usage"""
)
@click.option("--host", help="Address to listen on, instead of server.host.")
@click.option("--port", type=int, help="Port, instead of server.port.")
@click.option("--beside", is_flag=True,
              help="A pod of these settings runs here: its ports need not be free.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@config_option
@data_option
def check(
    host: str | None, port: int | None, beside: bool, as_json: bool, file: Path, data: str | None
) -> None:
    """Say what `deployd serve` would refuse, and start nothing."""
    sys.path.insert(0, os.getcwd())  # where room classes are found, as with serve
    given = {"server.host": host, "server.port": port, "server.data": data}
    found = list(findings(file, given, os.environ, beside=beside))
    if as_json:
        rows = [{**attrs.asdict(one), "ok": one.problem is None} for one in found]
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    else:
        screen().print(_table(found))
    sys.exit(any(one.problem is not None for one in found))


def findings(
    file: Path, given: Mapping[str, object], environ: Mapping[str, str], *, beside: bool
) -> Iterator[Finding]:
    """Do every check; after settings that cannot be, none of the others."""
    loaded: list[Config] = []
    yield _done("settings", lambda: loaded.append(read_settings(file, environ, given).config))
    if not loaded:
        return
    (config,) = loaded
    yield _done("secrets", lambda: _secrets(config, environ))
    for name, does in CHECKS.items():
        if not (beside and name in _TAKEN_BY_A_POD):
            yield _done(name, lambda does=does: does(config))  # type: ignore[misc]


def _done(name: str, does: Callable[[], None]) -> Finding:
    try:
        does()
    except Exception as error:  # noqa: BLE001 - the next check is none the worse for it
        return Finding(name, failure(error).message)
    return Finding(name, None)


# The checks ----------------------------------------------------------------------------------


def _secrets(config: Config, environ: Mapping[str, str]) -> None:
    """Read the secrets; where there are none yet, look whether they could be made."""
    folder = Path(config.server.data)
    try:
        load_secrets(folder, environ, make=False)
    except SecretsError:
        if (folder / "secrets.json").exists() or not _may_be_made(folder):
            raise


def _rooms(config: Config) -> None:
    load_room_classes(config.rooms)


def _broker(config: Config) -> None:
    load_broker(config.broker, config.message_ttl)


def _certificate(config: Config) -> None:
    if config.tls.cert_file:
        Certificate(config.tls.cert_file, config.tls.key_file)


def _port(config: Config) -> None:
    bind(config.server.host, config.server.port, 1).close()


def _metrics_port(config: Config) -> None:
    host, _, port = config.metrics.bind.rpartition(":")
    if port:
        bind(host, int(port), 1, options=("metrics.bind", "metrics.bind")).close()


def _log_file(config: Config) -> None:
    if config.logging.file:
        file = Path(config.logging.file)
        if not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
            sentence = f"logging.file cannot be written: {file}"
            raise ConfigError(Misconfiguration(sentence, ("logging.file",)))


def _may_be_made(folder: Path) -> bool:
    """Whether somebody may write into a folder, or make it."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


CHECKS: Final[Mapping[str, Callable[[Config], None]]] = {
    "rooms": _rooms,
    "broker": _broker,
    "certificate": _certificate,
    "port": _port,
    "metrics.bind": _metrics_port,
    "logging.file": _log_file,
}
"""By what they look at; each raises what serve would."""

_TAKEN_BY_A_POD: Final = frozenset(("port", "metrics.bind"))


def _table(found: list[Finding]) -> Table:
    table = Table("Check", "", box=None, header_style="bold", pad_edge=False, show_header=False)
    for one in found:
        said = Text("well", "green") if one.problem is None else Text(printable(one.problem), "red")
        table.add_row(one.check, said)
    return table
