"""The page of a stress test as a browser shows it, on a desk and on a telephone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployd.tools.stress import Plan, Tally, html_report
from support import running_pod
from support.browser import Browser, Visit

OUTSIDE = """() => [...document.querySelectorAll('h1, p, td, th, figcaption, .plot span')]
  .filter((one) => one.getBoundingClientRect().right > innerWidth
    || one.getBoundingClientRect().left < 0).map((one) => one.textContent)"""
SMALLEST = """() => Math.min(...[...document.querySelectorAll('.plot span')]
  .map((one) => one.getBoundingClientRect().height))"""

COLLIDING = """() => [...document.querySelectorAll('.across span + span')]
  .filter((one) => one.getBoundingClientRect().left
    < one.previousElementSibling.getBoundingClientRect().right + 4).map((one) => one.textContent)"""


def report() -> str:
    """Return the page of a test that went badly, with everything that one may show."""
    tally = Tally(wanted=2000, connected=2000, joined=1990, elapsed=30.0, connecting_seconds=1.0)
    for number in range(3000):
        second = number // 100
        if second not in (11, 12):
            tally.heard(second, 0.003 * (1 + number % 7) * (9 if second == 20 else 1))
        tally.said(1)
    tally.failed("certificate not trusted: unable to get local issuer certificate", 3)
    tally.failed("not in its room: told room_forbidden", 7)
    return html_report(Plan(f"ws://{'pods.' * 12}example:2403"), tally, datetime.now(UTC))


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_a_report_fits_its_window_and_its_axes_can_be_read(
    browser: Browser, artifacts: Path, width: int, colours: str
) -> None:
    def story(visit: Visit) -> None:
        page = visit.context.new_page()
        page.set_content(report())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(COLLIDING) == []
        assert page.evaluate(SMALLEST) >= 12
        page.screenshot(path=artifacts / f"stress-{width}-{colours}.png", full_page=True)

    async with running_pod() as pod:
        window = {"width": width, "height": 900}
        await browser.visit(pod, story, viewport=window, color_scheme=colours)
