"""What a stress test came to, as a table for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from .plan import Plan
from .tally import PERCENTILES, Tally

__all__ = ["print_report", "rows"]


def print_report(plan: Plan, tally: Tally, console: Console) -> None:
    """Print the table."""
    what = f"{plan.shown_url}: {plan.connections} connections, {plan.rate:g} messages/s"
    table = Table(title=what)
    table.add_column("what")
    table.add_column("figure", justify="right")
    for what, figure in rows(tally):
        table.add_row(what, figure)
    console.print(table)


def rows(tally: Tally) -> list[tuple[str, str]]:
    """Return the lines of the report."""
    seconds = tally.elapsed or 1.0
    found = [
        ("connected", f"{tally.connected:,} of {tally.wanted:,}"),
        ("in their rooms", f"{tally.joined:,} of {tally.wanted:,}"),
        ("connections a second", f"{tally.connect_rate:,.0f}"),
        ("told to come again later", f"{tally.told_to_wait:,}"),
        ("messages sent", f"{tally.sent:,} ({tally.sent / seconds:,.0f} a second)"),
        ("deliveries", f"{tally.received:,} of {tally.expected:,}"),
        ("deliveries a second", f"{tally.received / seconds:,.0f}"),
    ]
    for name, percent in PERCENTILES.items():
        taken = tally.latencies.percentile(percent)
        if taken is not None:
            found.append((f"latency p{name if name != '999' else '99.9'}", _milliseconds(taken)))
    if tally.latencies.count:
        found.append(("longest", _milliseconds(tally.latencies.longest)))
    found += [(f"closed with {code}", f"{n:,}") for code, n in sorted(tally.closed.items())]
    found += [(f"error: {kind}", f"{n:,}") for kind, n in tally.errors.most_common()]
    return found


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms"
