"""Draws a timeline as SVG: as wide as there is room, with words that do not stretch. Pure.

What goes from left to right is in percent of the whole and what goes down in pixels, so that one
drawing serves a telephone, a desk and paper.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import define, field

from ...stress.plot import times
from .figures import plural
from .moments import Band, BandKind, FaultSpan, HoleMark, Timeline

__all__ = ["DEFINITIONS", "draw", "moments"]

MOST_FAULTS: Final = 6
"""Faults that have a line of their own; more are shaded, and told in words."""
MOST_LANES: Final = 12
"""Pods that have a lane; more are told in words."""
FAULT: Final = 20
CHART: Final = 52
GAP: Final = 10
LANE: Final = 14
HOLES: Final = 40
AXIS: Final = 22
"""Pixels down that a line takes: of a fault, a chart, between parts, of a pod, holes, time."""
USUAL: Final = 0.95
SPARE: Final = 1.25
"""So many of all bins are drawn in full, and what is so many times as high."""
MIDDLE: Final = 0.5
"""From here on words stand on the left of what they are about."""

DEFINITIONS: Final = (
    '<svg class="unseen" aria-hidden="true"><defs>'
    '<pattern id="stripes" width="5" height="5" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect class="stripe" width="2.5" height="5"/></pattern>'
    "</defs></svg>"
)
"""What all drawings of a page share."""


@define
class _Canvas:
    """A drawing that grows downwards: the `names` of its lines beside it, and the `parts` of it."""

    seconds: float
    top: float = 0.0
    names: list[str] = field(factory=list)
    parts: list[str] = field(factory=list)

    def x(self, at: float) -> str:
        """Return where a time is."""
        return f"{100 * max(0.0, min(1.0, at / self.seconds)):.2f}%"

    def width(self, begin: float, end: float) -> str:
        """Return how wide the time between two is."""
        begin, end = (max(0.0, min(self.seconds, at)) for at in (begin, end))
        return f"{100 * max(0.0, end - begin) / self.seconds:.2f}%"

    def name(self, word: str, middle: float) -> None:
        """Write a word beside the drawing, so far down."""
        self.names.append(f'<span style="top:{middle:g}px">{html.escape(word)}</span>')


def draw(timeline: Timeline) -> str:
    """Return the figure: names of lines, the drawing, and what reads it out under a pointer."""
    canvas = _Canvas(timeline.seconds)
    _draw_fault_lines(canvas, timeline.faults)
    begin = canvas.top
    top = _ceiling([*timeline.here, *timeline.elsewhere])
    _draw_scale(canvas, timeline, top)
    _draw_chart(canvas, "here", timeline.here, top)
    _draw_chart(canvas, "elsewhere", timeline.elsewhere, top)
    _draw_lanes(canvas, timeline)
    _draw_holes(canvas, timeline.holes)
    shades = "".join(_shade(canvas, fault, begin) for fault in timeline.faults)
    height = canvas.top
    _draw_axis(canvas)
    said = html.escape(" ".join(moments(timeline)[:MOST_FAULTS]))
    bins = " ".join(f"{here},{there}" for here, there in _pairs(timeline))
    return (
        f'<div class="timeline"><div class="names" aria-hidden="true">{"".join(canvas.names)}</div>'
        f'<svg role="img" aria-label="Timeline. {said}" height="{canvas.top:g}" '
        f'data-step="{timeline.step:g}" data-seconds="{timeline.seconds:g}" data-bins="{bins}">'
        f'{shades}{"".join(canvas.parts)}<line class="cursor" y1="0" y2="{height:g}"/></svg></div>'
    )


def moments(timeline: Timeline) -> list[str]:
    """Tell all that is drawn but the deliveries, in the order of time."""
    told = [(fault.begin, _fault_words(fault)) for fault in timeline.faults]
    told += [(band.begin, _band_words(band)) for band in timeline.bands]
    told += [(hole.begin, _hole_words(hole)) for hole in timeline.holes]
    return [sentence for _, sentence in sorted(told, key=lambda each: each[0])]


# Faults ---------------------------------------------------------------------------------------


def _draw_fault_lines(canvas: _Canvas, faults: Sequence[FaultSpan]) -> None:
    for fault in faults[:MOST_FAULTS]:
        left = fault.begin / canvas.seconds > MIDDLE
        title = f"<title>{html.escape(_fault_words(fault))}</title>"
        middle = canvas.top + FAULT / 2
        shape = f'y="{canvas.top + 2:g}" height="{FAULT - 4}"'
        if fault.end > fault.begin:
            width = canvas.width(fault.begin, fault.end)
            canvas.parts.append(
                f'<rect class="fault" x="{canvas.x(fault.begin)}" width="{width}" {shape}>'
                f"{title}</rect>"
            )
        canvas.parts.append(
            f'<text class="fault" x="{canvas.x(fault.begin)}" dx="{-6 if left else 6}" '
            f'y="{middle + 4:g}" text-anchor="{"end" if left else "start"}">'
            f"{html.escape(fault.words or fault.fault)}{title}</text>"
        )
        canvas.top += FAULT
    if faults:
        canvas.name("fault" if len(faults) == 1 else "faults", FAULT / 2)
    left_out = len(faults) - MOST_FAULTS
    if left_out > 0:
        canvas.name(f"{left_out} more", 1.5 * FAULT)
    canvas.top += GAP / 2


def _shade(canvas: _Canvas, fault: FaultSpan, top: float) -> str:
    title = f"<title>{html.escape(_fault_words(fault))}</title>"
    x, height = canvas.x(fault.begin), canvas.top
    # Also a moment is seen, and where a fault begins: whatever follows is to be held against it.
    edge = f'<line class="edge" x1="{x}" x2="{x}" y1="0" y2="{height:g}">{title}</line>'
    if fault.end <= fault.begin:
        return edge
    width = canvas.width(fault.begin, fault.end)
    return f'<rect class="shade" x="{x}" y="0" width="{width}" height="{height:g}"/>{edge}'


def _fault_words(fault: FaultSpan) -> str:
    span = f"From {fault.begin:.2f} to {fault.end:.2f} s"
    when = span if fault.end > fault.begin else f"At {fault.begin:.2f} s"
    return f"{when}: {fault.words or fault.fault}."


# Deliveries -----------------------------------------------------------------------------------


def _ceiling(counts: Sequence[int]) -> int:
    """Return how many in a bin are drawn at most.

    A pod that wakes delivers in a moment what has waited for it; beside that in its full height
    nothing could be told from nought.
    """
    some = sorted(count for count in counts if count > 0)
    if not some:
        return 1
    return min(some[-1], math.ceil(SPARE * some[int(USUAL * (len(some) - 1))]))


def _draw_scale(canvas: _Canvas, timeline: Timeline, top: int) -> None:
    most = max([*timeline.here, *timeline.elsewhere, 0])
    said = f"{top / timeline.step:,.0f} a second"
    said += f", bursts up to {most / timeline.step:,.0f}" if most > top else ""
    canvas.parts.append(
        f'<text class="soft" x="100%" y="{canvas.top - 3:g}" text-anchor="end">{said}</text>'
    )


def _draw_chart(canvas: _Canvas, name: str, bins: Sequence[int], top: int) -> None:
    """Draw bins as steps up to `top`; what goes beyond it has a cap."""
    canvas.name(name, canvas.top + CHART / 2)
    heights = [max(0, min(top, count)) for count in bins]
    path = "".join(f"V{top - height}H{at}" for at, height in enumerate(heights, start=1))
    foot, size = canvas.top + CHART, max(1, len(bins))
    caps = "".join(
        f'<rect class="beyond" x="{100 * at / size:.2f}%" width="{100 / size:.2f}%" '
        f'y="{canvas.top - 2:g}" height="3"/>'
        for at, count in enumerate(bins)
        if count > top
    )
    canvas.parts.append(
        f'<line class="ceiling" x1="0" x2="100%" y1="{canvas.top:g}" y2="{canvas.top:g}"/>'
        f'<svg x="0" y="{canvas.top:g}" width="100%" height="{CHART}" '
        f'viewBox="0 0 {size} {top}" preserveAspectRatio="none">'
        f'<path class="{name}" d="M0 {top}{path}V{top}"/></svg>{caps}'
        f'<line class="base" x1="0" x2="100%" y1="{foot:g}" y2="{foot:g}"/>'
    )
    canvas.top += CHART + GAP


def _pairs(timeline: Timeline) -> Iterator[tuple[int, int]]:
    return zip(timeline.here, timeline.elsewhere, strict=False)


# Bands ----------------------------------------------------------------------------------------


def _draw_lanes(canvas: _Canvas, timeline: Timeline) -> None:
    pods = max(timeline.pods, 1 + max((band.pod for band in timeline.bands), default=-1))
    for pod in range(min(pods, MOST_LANES)):
        canvas.name(f"pod {pod}", canvas.top + LANE / 2)
        middle = canvas.top + LANE / 2
        canvas.parts.append(
            f'<line class="lane" x1="0" x2="100%" y1="{middle:g}" y2="{middle:g}"/>'
        )
        bands = [band for band in timeline.bands if band.pod == pod]
        # What says more is drawn over what says less.
        order = [BandKind.LIFE, BandKind.MEMBERSHIP, BandKind.BREAKER]
        for band in sorted(bands, key=lambda band: (band.sampled, order.index(band.kind))):
            canvas.parts.append(_band(canvas, band))
        canvas.top += LANE + GAP / 2
    canvas.top += GAP / 2


def _band(canvas: _Canvas, band: Band) -> str:
    top, height = (canvas.top + LANE - 2, 3) if band.sampled else (canvas.top + 1, LANE - 2)
    kind = band.state if band.kind is BandKind.LIFE else band.kind.value
    return (
        f'<rect class="band {html.escape(kind)}" x="{canvas.x(band.begin)}" y="{top:g}" '
        f'width="{canvas.width(band.begin, band.end)}" height="{height}">'
        f"<title>{html.escape(_band_words(band))}</title></rect>"
    )


def _band_words(band: Band) -> str:
    who = f"pod {band.pod}"
    what = {
        "cut_off": f"clients of {who} are told that it is cut off",
        "starting": f"clients of {who} are told that it has not reached the others yet",
        "partitioned": f"clients of {who} are told that other pods are not heard",
        "down": f"{who} is down",
        "paused": f"{who} does nothing",
    }.get(band.state, f"{who}: {band.state}")
    source = " (as the pod says)" if band.sampled else ""
    return f"From {band.begin:.2f} to {band.end:.2f} s: {what}{source}."


# Holes ----------------------------------------------------------------------------------------


def _draw_holes(canvas: _Canvas, holes: Sequence[HoleMark]) -> None:
    if not holes:
        return
    lost, told = canvas.top + 8, canvas.top + HOLES - 10
    canvas.name("lost", lost)
    canvas.name("told", told)
    for hole in holes:
        x, title = canvas.x(hole.begin), f"<title>{html.escape(_hole_words(hole))}</title>"
        if hole.told is None:
            canvas.parts.append(
                f'<svg class="never" x="{x}" y="{lost:g}">'
                f'<rect x="-5" y="-5" width="10" height="10"/>{title}</svg>'
            )
            continue
        # Who had been told before misses nothing unawares: its dot is right below.
        end = canvas.x(max(hole.begin, hole.told))
        canvas.parts.append(
            f'<g class="hole"><line x1="{x}" y1="{lost:g}" x2="{end}" y2="{told:g}"/>'
            f'<circle class="lost" cx="{x}" cy="{lost:g}" r="3.5"/>'
            f'<circle class="told" cx="{end}" cy="{told:g}" r="3.5"/>{title}</g>'
        )
    canvas.top += HOLES


def _hole_words(hole: HoleMark) -> str:
    whom = plural(hole.clients, "client")
    rooms = ", ".join(hole.rooms)
    what = f"{plural(hole.missed, 'delivery', 'deliveries')} to {whom} in {rooms} did not come"
    if hole.told is None:
        return f"At {hole.begin:.2f} s: {what}, and nobody was told."
    told = "told at" if hole.told > hole.begin else "they had been told at"
    return f"At {hole.begin:.2f} s: {what}; {told} {hole.told:.2f} s."


# Time -----------------------------------------------------------------------------------------


def _draw_axis(canvas: _Canvas) -> None:
    for tick in times(canvas.seconds):
        anchor = "start" if tick.at < 0.02 else "end" if tick.at > 0.96 else "middle"
        x = f"{tick.at:.2%}"
        canvas.parts.append(
            f'<line class="tick" x1="{x}" x2="{x}" y1="{canvas.top:g}" y2="{canvas.top + 4:g}"/>'
            f'<text class="soft" x="{x}" y="{canvas.top + 17:g}" text-anchor="{anchor}">'
            f"{tick.word}</text>"
        )
    canvas.top += AXIS
