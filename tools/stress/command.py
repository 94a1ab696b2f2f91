"""`deployd stress`: put a pod under load and say what became of it."""

from __future__ import annotations

import resource
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click
import orjson
import trio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..common import BadAddress, screen
from .load import put_under_load
from .page import html_report
from .plan import ARRIVAL, Plan
from .report import print_report
from .tally import Tally

__all__ = ["stress"]

SPARE: Final = 100
"""Descriptors beside those of the clients."""


@click.command(
    epilog="""\b
Exit codes:
  0  all got in and every delivery came
  1  somebody did not, or something is missing
  2  wrong usage"""
)
@click.option("--url", default="ws://localhost:2403", show_default=True, help="The pod; with "
              "wss:// SSL_CERT_FILE may name authorities to trust.")  # fmt: skip
@click.option("--connections", type=click.IntRange(1, 50_000), default=100, show_default=True)
@click.option("--rate", type=click.FloatRange(0, 1e6, min_open=True), default=100.0,
              show_default=True, help="Messages a second, of all clients together.")  # fmt: skip
@click.option("--duration", type=click.FloatRange(0, 86_400, min_open=True), default=30.0,
              show_default=True, help="Seconds.")  # fmt: skip
@click.option("--rooms", type=click.IntRange(1, 50_000), default=10, show_default=True)
@click.option("--size", type=click.IntRange(0, 60_000), default=64, show_default=True,
              help="Bytes of a message.")  # fmt: skip
@click.option("--arrival", type=click.FloatRange(0, 3600, min_open=True), default=ARRIVAL,
              show_default=True, help="Seconds for all to get into their rooms.")  # fmt: skip
@click.option("--token", envvar="DEPLOYD_STRESS_TOKEN", default="", help="Token to sign in with "
              "(also DEPLOYD_STRESS_TOKEN).")  # fmt: skip
@click.option("--prefix", default="stress", show_default=True, help="What rooms' names begin with.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path),
              help="Write a page with plots.")  # fmt: skip
@click.option("--json", "lines", is_flag=True, help="A line of JSON a second, for programs.")
def stress(page: Path | None, lines: bool, **settings: object) -> None:
    """Put a pod under load: clients in rooms that speak on schedule. Ctrl-C ends it early.

    Exits with 1 when somebody did not get in, an error came, or a delivery is missing.
    """
    plan = Plan(**settings)  # type: ignore[arg-type]
    try:
        plan.endpoint  # noqa: B018 - a wrong URL is told before anything else
    except BadAddress as error:
        raise click.UsageError(str(error)) from error
    tally, console = Tally(), screen()
    note = raise_file_limit(plan.connections + SPARE)
    if note:
        click.echo(note, err=True)
    try:
        trio.run(partial(run, plan, tally, None if lines else console))
    except* KeyboardInterrupt:
        # It comes out of a nursery, in a group. What was counted until then is told as ever.
        pass
    if lines:
        say(tally)
    else:
        print_report(plan, tally, console)
    if tally.connected == 0 and any(what.startswith("no connection") for what in tally.errors):
        click.echo(
            f"No pod answers at {plan.shown_url}; start one with deployd serve, or name another "
            "with --url.",
            err=True,
        )
    if page is not None:
        page.write_text(html_report(plan, tally, datetime.now(UTC)), encoding="utf-8")
    sys.exit(0 if tally.good else 1)


async def run(plan: Plan, tally: Tally, console: Console | None) -> None:
    """Run the test, and show how it goes: on a console, or in lines of JSON."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(show, tally, console))
        await put_under_load(plan, tally)
        nursery.cancel_scope.cancel()


async def show(tally: Tally, console: Console | None) -> None:
    """Show once a second how it goes, until cancelled."""
    if console is None:
        while True:
            await trio.sleep(1)
            say(tally)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(Text(line(tally)), refresh=True)
            await trio.sleep(1)


def say(tally: Tally) -> None:
    """Write a line of JSON."""
    sys.stdout.write(orjson.dumps(tally.progress()).decode() + "\n")
    sys.stdout.flush()


def line(tally: Tally) -> str:
    """Return how it goes, in a line."""
    p99 = tally.latencies.percentile(99)
    shown = "" if p99 is None else f", p99 {p99 * 1e3:.1f} ms"
    return (
        f"{tally.elapsed:5.0f} s  {tally.open_now:,} of {tally.wanted:,} connected, "
        f"{tally.sent:,} sent, {tally.received:,} delivered{shown}, "
        f"{tally.errors.total() + tally.closed.total():,} errors"
    )


def raise_file_limit(wanted: int) -> str | None:
    """Let this process have so many descriptors; return a sentence when it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    possible = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    if possible >= wanted:
        return None
    return f"This user may open {hard} files and {wanted} are needed; raise `ulimit -Hn`."
