"""What a stress test came to, as a page to keep: the table, and plots as SVG. Pure."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from .plan import Plan
from .plot import STYLE, decades, plot, times
from .report import rows
from .tally import STEP, Second, Tally

__all__ = ["html_report"]

MOST_STEPS: Final = 300
"""Steps of a plot over time: more could not be told apart, and would make the page a large one."""

PAGE: Final = """
:root{color-scheme:light dark;--ink:#1c2024;--soft:#5a6169;--paper:#fbfbfa;--line:#dfe2e5;
--good:#1a7340;--bad:#b3261e;--first:#0b5cad;--second:#b34700;--tint:#0b5cad22}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--soft:#9aa2aa;--paper:#14171a;
--line:#2c3238;--good:#6cc48d;--bad:#f2938c;--first:#7cb7f5;--second:#f0a868;--tint:#7cb7f533}}
body{margin:0 auto;max-width:48rem;padding:1.5rem 1rem 3rem;color:var(--ink);
background:var(--paper);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{margin:0;font-size:1.5rem;font-weight:600;line-height:1.3}p{margin:.25rem 0}
table{width:100%;margin-top:1rem;border-collapse:collapse;font-size:.9375rem}
th,td{padding:.25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{padding-right:1rem;text-align:left;font-weight:400}
td{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.soft{color:var(--soft);font-size:.875rem}.good{color:var(--good)}.bad{color:var(--bad)}
"""


def html_report(plan: Plan, tally: Tally, when: datetime) -> str:
    """Return a page that needs nothing else; `when` is the test's end."""
    title = html.escape(f"Stress test of {plan.shown_url}")
    load = (
        f"{plan.connections:,} connections in {min(plan.rooms, plan.connections):,} rooms, "
        f"{plan.rate:,g} messages a second of {plan.size:,} bytes for {plan.duration:,g} s; "
        f"ended {when:%Y-%m-%d %H:%M:%S %Z}"
    )
    verdict = (
        '<p class="good">Everybody got in, and everything arrived.</p>'
        if tally.good
        else '<p class="bad">Somebody did not get in, or something went wrong or missing.</p>'
    )
    table = "".join(
        f"<tr{_mark(what)}><th>{html.escape(what)}</th><td>{html.escape(figure)}</td></tr>"
        for what, figure in rows(tally)
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{PAGE}{STYLE}</style>"
        f'<h1>{title}</h1><p class="soft">{html.escape(load)}</p>{verdict}'
        f"<table>{table}</table>{_plots(tally)}</html>\n"
    )


def _mark(what: str) -> str:
    return ' class="bad"' if what.startswith(("closed with", "error:")) else ""


def _plots(tally: Tally) -> str:
    spread = tally.latencies.distribution()
    if not spread:
        return "<p>Nothing was delivered, so there is nothing to plot.</p>"
    size = math.ceil(len(tally.seconds) / MOST_STEPS)
    steps = [tally.seconds[at : at + size] for at in range(0, len(tally.seconds), size)]
    axis = times(size * len(steps))
    each = "each second" if size == 1 else f"the worst second of each {size}"
    when = f"in {each}, by when their message was due"
    deliveries = [min(second.received for second in step) for step in steps]
    taken = {f"p{percent}": [_longest(step, percent) for step in steps] for percent in (50, 99)}
    counts = [count for _, count in spread]
    logarithmic = decades(spread[0][0] / STEP, spread[-1][0])
    return (
        plot("Deliveries", f"a second, {when}", {"deliveries": deliveries}, axis)
        + plot("Latency", f"milliseconds, {when}", taken, axis)
        + plot(
            "Distribution of latencies",
            f"deliveries by how long they took, in steps of {STEP - 1:.0%}",
            {"deliveries": counts},
            logarithmic,
        )
    )


def _longest(step: Sequence[Second], percent: float) -> float | None:
    """Return the highest of these seconds' percentiles in ms; None where nothing was heard."""
    known = [second.latencies.percentile(percent) for second in step]
    return max((taken * 1e3 for taken in known if taken is not None), default=None)
