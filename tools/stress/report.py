"""What a stress test came to: a table for a terminal, a page with plots to keep."""

from __future__ import annotations

import html
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .plan import Plan
from .tally import PERCENTILES, Tally

__all__ = ["html_report", "print_report"]

WIDTH, HEIGHT = 640, 160


def print_report(plan: Plan, tally: Tally, console: Console) -> None:
    """Print the table."""
    table = Table(title=f"{plan.url}: {plan.connections} connections, {plan.rate:g} messages/s")
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
        shown = "" if taken is None else f"{taken * 1e3:,.2f} ms"
        found.append((f"latency p{name if name != '999' else '99.9'}", shown))
    found.append(("longest", f"{tally.latencies.longest * 1e3:,.2f} ms"))
    found += [(f"closed with {code}", f"{n:,}") for code, n in sorted(tally.closed.items())]
    found += [(f"error: {kind}", f"{n:,}") for kind, n in tally.errors.most_common()]
    return found


def html_report(plan: Plan, tally: Tally) -> str:
    """Return a page that needs nothing else: the table, and plots as SVG."""
    p99 = [(each.latencies.percentile(99) or 0.0) * 1e3 for each in tally.seconds]
    p50 = [(each.latencies.percentile(50) or 0.0) * 1e3 for each in tally.seconds]
    table = "".join(
        f"<tr><th>{html.escape(what)}</th><td>{html.escape(figure)}</td></tr>"
        for what, figure in rows(tally)
    )
    title = html.escape(f"{plan.connections} connections to {plan.url}")
    spread = tally.latencies.distribution()
    plots = "".join(
        [
            plot("Deliveries a second", [[each.received for each in tally.seconds]]),
            plot("Latency by second, p50 and p99 (ms)", [p50, p99]),
            plot(
                "Distribution of latencies (count by bucket, "
                f"{spread[0][0] * 1e3:.2f} to {spread[-1][0] * 1e3:.2f} ms)"
                if spread
                else "Distribution of latencies",
                [[count for _, count in spread]],
            ),
        ]
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:16px system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem;"
        "color-scheme:light dark}th{text-align:left;padding-right:2rem;font-weight:normal}"
        "td{text-align:right}svg{width:100%;height:auto;border:1px solid #8884}"
        "polyline{fill:none;stroke:#2a78d0;stroke-width:2}polyline+polyline{stroke:#d0602a}"
        f"</style><h1>{title}</h1><table>{table}</table>{plots}</html>"
    )


def plot(title: str, lines: Sequence[Sequence[float]]) -> str:
    """Draw lines over their index, all to the scale of the largest value."""
    top = max((value for line in lines for value in line), default=0.0) or 1.0
    drawn = "".join(f'<polyline points="{_points(line, top)}"/>' for line in lines)
    caption = html.escape(f"{title}; at most {top:,.4g}")
    return (
        f"<h2>{html.escape(title)}</h2>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{caption}">{drawn}</svg>'
        f"<p>{caption}</p>"
    )


def _points(line: Sequence[float], top: float) -> str:
    step = WIDTH / max(1, len(line) - 1)
    return " ".join(
        f"{n * step:.1f},{HEIGHT - value / top * (HEIGHT - 8):.1f}" for n, value in enumerate(line)
    )
