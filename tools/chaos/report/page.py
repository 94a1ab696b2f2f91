"""A result as one page that needs nothing else: no file, no server, no script to be read. Pure."""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Final

from .drawing import DEFINITIONS
from .figures import FIGURES
from .result import Result, ScenarioVerdict, SystemRun
from .sections import article, left_out, legend, run_table
from .style import SCRIPT, STYLE
from .summary import summary, summary_of_many

__all__ = ["html_page"]

SCRIPT_HASH: Final = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    f"form-action 'none'; script-src 'sha256-{SCRIPT_HASH}'"
)
"""What the page may do: run its own script, and nothing that a name has smuggled in."""


def html_page(result: Result) -> str:
    """Return the page."""
    runs = result.runs
    one = runs[0] if len(runs) == 1 else None
    title = html.escape(one.name if one else f"{len(runs)} systems") + " · deployd chaos"
    top = summary(one, "r0", 1) if one else summary_of_many(result)
    rest = "".join(
        _run(run, f"r{number}", alone=one is not None) for number, run in enumerate(runs)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>{DEFINITIONS}<main>"
        f"{top}{rest}{_meaning()}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _run(run: SystemRun, key: str, *, alone: bool) -> str:
    top = "" if alone else summary(run, key, 2)
    ran = [(number, each) for number, each in enumerate(run.scenarios) if each.ran]
    ran.sort(key=lambda pair: pair[1].verdict is ScenarioVerdict.PASSED)
    told = "".join(article(each, f"{key}-{number}") for number, each in ran)
    level = 2 if alone else 3
    return (
        f'<section id="{key}">{top}<h{level}>All scenarios</h{level}>{run_table(run, key)}'
        f"{left_out(run)}</section><section><h{level}>When what happened</h{level}>"
        f"{legend()}{told}</section>"
    )


def _meaning() -> str:
    rows = "".join(
        f"<div><dt>{fact.short}</dt><dd>{fact.words}{f', in {fact.unit}' if fact.unit else ''}</dd>"
        "</div>"
        for fact in FIGURES
    )
    return f'<section><h2>What the figures mean</h2><dl class="meaning">{rows}</dl></section>'
