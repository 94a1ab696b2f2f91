"""What a report's page tells of scenarios: the table of all, and each with its timeline. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from ...oracle import FaultWindow
from .drawing import draw, moments
from .figures import FIGURES, NOUGHT, VERDICTS, label, troubles, value
from .result import ScenarioResult, ScenarioVerdict, SystemRun

__all__ = ["again", "article", "cell", "facts", "legend", "run_table", "scroll", "verdict"]

GLYPHS: Final = {
    ScenarioVerdict.PASSED: ("✓", "good"),
    ScenarioVerdict.FAILED: ("✗", "bad"),
    ScenarioVerdict.NOT_APPLICABLE: ("–", "soft"),
    ScenarioVerdict.NOT_INJECTABLE: ("–", "soft"),
    ScenarioVerdict.BROKEN: ("✗", "bad"),
}
MOST_TOLD: Final = 10
"""Violations of a scenario that are told; JSON has more."""
LEGEND: Final = (
    ('<rect class="shade" width="24" height="12"/><line class="edge" y2="12"/>', "a fault"),
    ('<rect class="breaker" width="24" height="12"/>', "clients know: cut off from the broker"),
    ('<rect class="membership" width="24" height="12"/>', "clients know: other pods are not heard"),
    ('<rect class="breaker" y="9" width="24" height="3"/>', "the same, as the pod itself says"),
    ('<rect class="down" width="24" height="12"/>', "the pod is down"),
    ('<rect class="paused" width="24" height="12"/>', "it does nothing"),
    ('<g class="hole"><circle class="lost" cx="12" cy="6" r="3.5"/></g>', "deliveries were lost"),
    ('<g class="hole"><circle class="told" cx="12" cy="6" r="3.5"/></g>', "the client was told"),
    ('<g class="never"><rect x="7" y="1" width="10" height="10"/></g>', "it was never told"),
)


def facts(look: str, rows: Iterable[tuple[str, str, bool]]) -> str:
    """Return figures with what they are of, and whether they are bad."""
    told = "".join(
        f"<div{_mark(figure, bad)}><dt>{html.escape(name)}</dt><dd>{html.escape(figure)}</dd></div>"
        for figure, name, bad in rows
    )
    return f'<dl class="{look}">{told}</dl>'


def _mark(figure: str, bad: bool) -> str:
    look = "bad" if bad else "nought" if figure in NOUGHT else ""
    return f' class="{look}"' if look else ""


def again(command: str, key: str) -> str:
    """Return the command that repeats something, and what copies it."""
    if not command:
        return ""
    # A line may end between two words of it, and not after the hyphen of an option.
    words = " ".join(f"<span>{html.escape(word)}</span>" for word in command.split(" "))
    return (
        f'<p class="again"><code id="{key}-again">{words}</code>'
        f'<button type="button" data-copies="{key}-again" hidden>Copy</button></p>'
    )


def verdict(scenario: ScenarioResult) -> str:
    """Return what became of it, as a word with a sign of its own."""
    glyph, tone = GLYPHS[scenario.verdict]
    word = VERDICTS[scenario.verdict]
    return (
        f'<span class="verdict {tone}"><span aria-hidden="true">{glyph}</span> '
        f'<span class="word">{word}</span></span>'
    )


def scroll(label: str, table: str) -> str:
    """Return a table that is moved sideways where it has no room, by the keyboard too."""
    return (
        f'<div class="scroll" role="region" aria-label="{html.escape(label)}" tabindex="0">'
        f"<table>{table}</table></div>"
    )


# The table ------------------------------------------------------------------------------------


def run_table(run: SystemRun, key: str) -> str:
    """Return a row for each scenario that ran."""
    heads = "".join(
        f'<th scope="col" title="{html.escape(fact.words)}">{label(fact)}</th>' for fact in FIGURES
    )
    rows = "".join(
        _row(each, f"{key}-{number}") for number, each in enumerate(run.scenarios) if each.ran
    )
    first = '<th scope="col">scenario</th><th scope="col" class="words">verdict</th>'
    table = f"<thead><tr>{first}{heads}</tr></thead><tbody>{rows}</tbody>"
    return scroll(f"All scenarios of {run.name}", table) if rows else "<p>None ran.</p>"


def _row(scenario: ScenarioResult, key: str) -> str:
    bad = troubles(scenario.measures)
    cells = "".join(cell(value(scenario.measures, fact), bad=fact in bad) for fact in FIGURES)
    return (
        f'<tr><th scope="row"><a href="#{key}">{html.escape(scenario.name)}</a></th>'
        f'<td class="words">{verdict(scenario)}</td>{cells}</tr>'
    )


def left_out(run: SystemRun) -> str:
    """Say why scenarios did not run, and which: many have one reason."""
    names: dict[tuple[ScenarioVerdict, str], list[str]] = {}
    for each in run.scenarios:
        if not each.ran:
            names.setdefault((each.verdict, each.reason), []).append(each.name)
    rows = "".join(
        f"<div><dt>{_said(*why)}</dt><dd>{html.escape(', '.join(of))}</dd></div>"
        for why, of in sorted(names.items())
    )
    return f'<dl class="left-out" aria-label="What did not run">{rows}</dl>' if rows else ""


def _said(ended: ScenarioVerdict, reason: str) -> str:
    glyph, tone = GLYPHS[ended]
    why = f": {html.escape(reason)}" if reason else ""
    word = f'<span aria-hidden="true">{glyph}</span> {VERDICTS[ended]}'
    return f'<span class="{tone}">{word}</span>{why}'


def cell(figure: str, *, bad: bool = False) -> str:
    """Return a figure of a table."""
    return f"<td{_mark(figure, bad)}>{figure}</td>"


# One scenario ---------------------------------------------------------------------------------


def article(scenario: ScenarioResult, key: str) -> str:
    """Tell of one: its figures, its timeline, what it broke, and how to have it again."""
    about = ", ".join(
        part
        for part in (
            scenario.title,
            f"no. {', '.join(map(str, scenario.catalogue))}" if scenario.catalogue else "",
            f"seed {scenario.seed}",
        )
        if part
    )
    figures = [
        (value(scenario.measures, fact), label(fact), fact in troubles(scenario.measures))
        for fact in FIGURES
    ]
    drawn = "" if scenario.timeline is None else draw(scenario.timeline)
    return (
        f'<article id="{key}" class="{scenario.verdict}" aria-labelledby="{key}-name"><header>'
        f'<h3 id="{key}-name">{html.escape(scenario.name)}</h3>{verdict(scenario)}'
        f'<p class="soft">{html.escape(about)}</p><p class="read" aria-hidden="true"></p></header>'
        f"{_violations(scenario)}{drawn}{facts('figures', figures)}"
        f'<div class="below">{again(scenario.command, key)}{_moments(scenario)}</div></article>'
    )


def _violations(scenario: ScenarioResult) -> str:
    if scenario.verdict is ScenarioVerdict.PASSED:  # it may break what it has broken
        return ""
    told = [f"{html.escape(str(each))}" for each in scenario.violations[:MOST_TOLD]]
    left = max(0, len(scenario.violations) - MOST_TOLD) + scenario.further
    told += [f"and {left:,} more"] if left else []
    lines = "".join(f"<li>{line}</li>" for line in told)
    return f'<ul class="violations" aria-label="What it broke">{lines}</ul>' if told else ""


def _moments(scenario: ScenarioResult) -> str:
    told = [] if scenario.timeline is None else moments(scenario.timeline)
    told += [] if scenario.measures is None else map(_window, scenario.measures.windows)
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in told)
    return f"<details><summary>In words</summary><ol>{lines}</ol></details>" if told else ""


def _window(window: FaultWindow) -> str:
    """Say how long it took until a fault was noticed, told, and all was well."""
    parts = [
        (window.detected, "noticed after {:.2f} s"),
        (window.told, "told after {:.2f} s"),
        (window.healed, "all well {:.2f} s after its end"),
    ]
    said = ", ".join(text.format(seconds) for seconds, text in parts if seconds is not None)
    return f"{window.fault} at {window.begin:.2f} s: {said or 'nobody noticed'}."


def legend() -> str:
    """Say what is drawn how."""
    return (
        '<ul class="legend soft">'
        + "".join(f'<li><svg aria-hidden="true">{drawn}</svg>{word}</li>' for drawn, word in LEGEND)
        + "</ul>"
    )
