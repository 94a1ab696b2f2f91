"""`deployd check`: what is to be mended before a pod runs with these settings and documents.

Each check is what serve does with that part of its settings, done and undone; nothing is made, and
a pod that runs is left in peace. What documents are held against is the definitions that are to be.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs
import click
import orjson
from rich.table import Table
from rich.text import Text

from ..actors import load_room_classes
from ..config import Config, ConfigError, Misconfiguration, load_secrets
from ..documents.collections import CollectionFit, fits
from ..documents.store import database_url
from ..transport import Certificate, TransportError
from ..transport.brokers import load_broker
from ..transport.sockets import bind
from .common import ToolError, config_option, data_option, printable, read_settings, screen
from .failures import failure

__all__ = ["CHECKS", "Finding", "Report", "UnfitCollections", "check", "examine"]


@attrs.frozen
class Finding:
    """What became of one check: `problem` is a sentence with the remedy, None where all is well."""

    check: str
    problem: str | None


@attrs.frozen
class Report:
    """All that was looked at; `collections` are the check of documents at length."""

    checks: Sequence[Finding]
    collections: Sequence[CollectionFit]

    @property
    def ok(self) -> bool:
        """Whether there is nothing to be mended."""
        return all(one.problem is None for one in self.checks)


class UnfitCollections(ToolError):
    """Collections cannot be read, or have documents that do not fit their definitions."""


@click.command(
    epilog="""\b
Exit codes:
  0  serve would start, and all documents fit
  1  something is to be mended, as is said
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
    """Say what `deployd serve` would refuse and which documents do not fit; start nothing.

    Documents that do not fit the definitions that are to be stay readable, and each of their
    properties can be changed.
    """
    sys.path.insert(0, os.getcwd())  # where room classes are found, as with serve
    given = {"server.host": host, "server.port": port, "server.data": data}
    report = examine(file, given, os.environ, beside=beside)
    if as_json:
        told = {"ok": report.ok, **attrs.asdict(report)}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    else:
        screen().print(_table(report.checks))
        for line in _lines(report.collections):
            click.echo(printable(line))
    sys.exit(not report.ok)


def examine(
    file: Path, given: Mapping[str, object], environ: Mapping[str, str], *, beside: bool
) -> Report:
    """Do every check; after settings that cannot be, none of the others."""
    loaded: list[Config] = []
    collections: list[CollectionFit] = []
    found = [_done("settings", lambda: loaded.append(read_settings(file, environ, given).config))]
    for config in loaded:
        found.append(_done("secrets", partial(_secrets, config, environ)))
        for name, does in CHECKS.items():
            if not (beside and name in _TAKEN_BY_A_POD):
                found.append(_done(name, partial(does, config)))
        found.append(_done("documents", partial(_documents, config, collections)))
    return Report(found, collections)


def _done(name: str, does: Callable[[], None]) -> Finding:
    try:
        does()
    except Exception as error:  # noqa: BLE001 - the next check is none the worse for it
        return Finding(name, failure(error).message)
    return Finding(name, None)


# The checks ----------------------------------------------------------------------------------


def _secrets(config: Config, environ: Mapping[str, str]) -> None:
    """Read the secrets; where there are none yet, have them made elsewhere if they could be."""
    folder = Path(config.server.data)
    if (folder / "secrets.json").exists() or not _may_be_made(folder):
        load_secrets(folder, environ, make=False)
    else:
        with TemporaryDirectory() as elsewhere:
            load_secrets(Path(elsewhere), environ)


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
    """Listen on it while the other port is listened on too, as far as it can be."""
    host, _, port = config.metrics.bind.rpartition(":")
    if not port:
        return
    with ExitStack() as held:
        with suppress(TransportError):
            held.enter_context(bind(config.server.host, config.server.port, 1))
        held.enter_context(bind(host, int(port), 1, options=("metrics.bind", "metrics.bind")))


def _log_file(config: Config) -> None:
    if not config.logging.file:
        return
    file = Path(config.logging.file)
    try:
        if file.exists():
            os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
        elif not _may_be_made_in(file.absolute().parent):
            raise FileNotFoundError(errno.ENOENT, "No folder that may be written")
    except OSError as error:
        sentence = f"logging.file cannot be opened: {error.strerror}: {file}"
        raise ConfigError(Misconfiguration(sentence, ("logging.file",))) from error


def _documents(config: Config, collections: list[CollectionFit]) -> None:
    url = database_url(config.store, Path(config.server.data))
    collections += fits(Path(config.collections.folder), url, config.store)
    unfit = [each.name for each in collections if not each.fits]
    if unfit:
        raise UnfitCollections(
            f"cannot be read, or have documents that do not fit: {', '.join(unfit)}"
        )


def _may_be_made(folder: Path) -> bool:
    """Whether somebody may write into a folder, or make it."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return _may_be_made_in(there)


def _may_be_made_in(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


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


def _table(found: Sequence[Finding]) -> Table:
    table = Table("Check", "", box=None, header_style="bold", pad_edge=False, show_header=False)
    for one in found:
        said = Text("well", "green") if one.problem is None else Text(printable(one.problem), "red")
        table.add_row(one.check, said)
    return table


def _lines(found: Sequence[CollectionFit]) -> Iterator[str]:
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
