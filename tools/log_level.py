"""`deployd log-level`: what a running pod logs, and changing it while it runs."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from ..config import LEVELS
from .common import Asked, pod_options, structured

PATH = "/_dashboard/api/log-level"


@attrs.frozen
class LevelAnswer:
    """The answer of a pod."""

    level: str


@click.command("log-level")
@click.argument("level", required=False, type=click.Choice(LEVELS, case_sensitive=False))
@click.option("--trace", is_flag=True, help="Trace each message's way too (REALTIME_DEBUG).")
@pod_options
def log_level(
    level: str | None,
    trace: bool,
    url: str,
    key: str | None,
    as_json: bool,
    data: str | None,
    file: Path,
) -> None:
    """Show the least level that a running pod logs, or set LEVEL.

    It lasts until it is set again, the pod reads its settings anew (SIGHUP), or ends.
    """
    wanted = ({"level": level} if level else {}) | ({"realtimeDebug": True} if trace else {})
    method, body = ("PUT", wanted) if wanted else ("GET", None)
    asked = Asked(PATH, url, key, data, file, method=method, body=body)
    if as_json:
        asked.print_json()
        return
    click.echo(structured(asked.answer, LevelAnswer, asked.address, "log level").level)
