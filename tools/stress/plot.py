"""Plots of a page: lines in an SVG that stretches, and around it words that do not. Pure."""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import attrs

__all__ = ["STYLE", "Tick", "decades", "plot", "times"]

MOST_TICKS: Final = 6
"""Words along an axis that a telephone has room for."""
LEAST_GAP: Final = 0.18
"""The part of an axis that a word like "100 ms" takes there."""
TIMES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200)
"""Seconds between two ticks of an axis of time."""
UNITS: Final = ((3600, "h"), (60, "min"), (1, "s"))

STYLE: Final = """
figure{margin:2rem 0 0}figcaption{margin-bottom:.75rem}
h2{margin:0;font-size:1rem;font-weight:600}
.plot{display:grid;grid-template-columns:4rem minmax(0,1fr);font-size:.75rem;color:var(--soft);
font-variant-numeric:tabular-nums}
.up{position:relative}.up span{position:absolute;right:.5rem;transform:translateY(50%)}
.across{grid-column:2;position:relative;height:1.5rem;margin-top:.25rem}
.across span{position:absolute;white-space:nowrap}
svg{display:block;width:100%;height:11rem;overflow:visible}
path{fill:none;stroke:var(--first);stroke-width:1.5;vector-effect:non-scaling-stroke}
path.grid{stroke:var(--line);stroke-width:1}path.area{fill:var(--tint)}
path.second{stroke:var(--second);stroke-dasharray:5 3}
.key{margin-left:1rem;font-size:.875rem;white-space:nowrap}
.key::before{content:"";display:inline-block;width:1.5rem;margin-right:.375rem;
vertical-align:middle;border-top:2px solid var(--first)}
.key.second::before{border-top:2px dashed var(--second)}
"""


@attrs.frozen
class Tick:
    """A word beside an axis; `at` is where, from 0 to 1."""

    at: float
    word: str


def plot(
    title: str, unit: str, lines: Mapping[str, Sequence[float | None]], across: Sequence[Tick]
) -> str:
    """Draw lines by their names, all of one length: a step for each value, a gap for None."""
    values = [value for line in lines.values() for value in line if value is not None]
    top = _ceiling(max(values, default=0.0))
    up = [Tick(part, f"{top * part:,.10g}") for part in (0.0, 0.5, 1.0)]
    kinds = ("area",) if len(lines) == 1 else ("first", "second")
    drawn = "".join(
        f'<path class="{kind}" d="{_steps(line, top, filled=kind == "area")}"/>'
        for kind, line in zip(kinds, lines.values(), strict=True)
    )
    keys = "".join(
        f' <span class="key {kind}">{html.escape(name)}</span>'
        for kind, name in zip(kinds, lines, strict=True)
        if kind != "area"
    )
    said = html.escape(f"{title}, {unit}: at most {max(values, default=0.0):,.4g}")
    grid = "".join(f"M0 {100 * (1 - tick.at):g}H100" for tick in up)
    beside = "".join(f'<span style="bottom:{tick.at:.0%}">{tick.word}</span>' for tick in up)
    below = "".join(
        # A word lies to the left of its place by as much as it is far along: none leaves the page.
        f'<span style="left:{tick.at:.2%};transform:translateX(-{tick.at:.0%})">{tick.word}</span>'
        for tick in across
    )
    return (
        f"<figure><figcaption><h2>{html.escape(title)}</h2>"
        f'<span class="soft">{html.escape(unit)}</span>{keys}</figcaption>'
        f'<div class="plot"><div class="up">{beside}</div>'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{said}">'
        f'<path class="grid" d="{grid}"/>{drawn}</svg>'
        f'<div class="across">{below}</div></div></figure>'
    )


def times(seconds: float) -> list[Tick]:
    """Return the ticks of an axis from the start to so many seconds."""
    step = next((step for step in TIMES if seconds / step < MOST_TICKS), TIMES[-1])
    size, unit = next(each for each in UNITS if step >= each[0])
    return [Tick(at / seconds, f"{at / size:g} {unit}") for at in range(0, int(seconds) + 1, step)]


def decades(shortest: float, longest: float) -> list[Tick]:
    """Return the ticks of a logarithmic axis from one duration to another."""
    span = math.log10(longest / shortest)
    first, last = math.floor(math.log10(shortest)), math.ceil(math.log10(longest))
    found: list[float] = []
    for parts, step in (((1, 2, 5), 1), ((1,), 1), ((1,), 2)):
        marks = [part * 10.0**power for power in range(first, last + 1, step) for part in parts]
        found = [mark for mark in marks if shortest <= mark <= longest]
        gaps = (math.log10(after / before) for before, after in pairwise(found))
        if all(gap >= LEAST_GAP * span for gap in gaps):
            break
    if len(found) < 2:
        found = [shortest, longest]
    return [Tick(math.log10(mark / shortest) / span, _duration(mark)) for mark in found]


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def _ceiling(value: float) -> float:
    """Return the next number that is good to read, for the upper end of an axis."""
    if value < sys.float_info.min:  # below it, powers of ten are no longer exact
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * part for part in (1, 2, 4, 5, 6, 8, 10) if value <= power * part)


def _steps(line: Sequence[float | None], top: float, *, filled: bool) -> str:
    width = 100 / max(1, len(line))
    return "".join(_run(run, start, width, top, filled=filled) for start, run in _runs(line))


def _runs(line: Sequence[float | None]) -> Iterator[tuple[int, list[float]]]:
    """Yield where values begin after a gap, and those up to the next one."""
    run: list[float] = []
    for at, value in enumerate([*line, None]):
        if value is not None:
            run.append(value)
        elif run:
            yield at - len(run), run
            run = []


def _run(run: Sequence[float], start: int, width: float, top: float, *, filled: bool) -> str:
    heights = [f"{100 * (1 - value / top):.2f}" for value in run]
    ends = [f"{(start + number) * width:.2f}" for number in range(1, len(run) + 1)]
    path = "".join(f"V{height}H{end}" for height, end in zip(heights, ends, strict=True))
    return f"M{start * width:.2f} {'100' if filled else heights[0]}{path}{'V100' if filled else ''}"
