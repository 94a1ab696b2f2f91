"""A report in a real browser: dark and light, on a desk, a telephone and paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from playwright.sync_api import Page, expect

from deployd.tools.chaos.report import Result
from deployd.tools.chaos.report.page import html_page
from support.browser import Browser
from support.chaos_results import FAILED, RESULT, RUN
from support.contrast import CONTRAST

LONG = "a-name-that-is-long-enough-to-need-more-than-a-telephone-has-" * 2
SYSTEMS = Result(tuple(evolve(RUN, system=f"{LONG}{number}") for number in range(3)))
ALONE = Result((evolve(RUN, scenarios=(*RUN.scenarios, evolve(FAILED, name=LONG))),))
WIDTHS = (390, 1360)
WRITING = """() => [...document.querySelectorAll('svg text')].every((one) => {
  const text = one.getBoundingClientRect();
  const drawing = one.closest('.timeline > svg').getBoundingClientRect();
  return text.right <= document.documentElement.clientWidth && text.left >= drawing.left - 1;
})"""
"""Whether all words of all drawings lie within them and the page."""


def page_in(folder: Path, result: Result) -> Path:
    file = folder / "report.html"
    file.write_text(html_page(result))
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("result", [ALONE, SYSTEMS], ids=["one", "several"])
def test_it_can_be_read_in_both_lights_and_at_both_widths(
    browser: Browser, tmp_path: Path, result: Result, width: int, scheme: str
) -> None:
    def story(page: Page) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) >= 4.5
        assert page.evaluate(WRITING)
        expect(page.get_by_role("row")).not_to_have_count(0)

    viewport = {"width": width, "height": 900}
    browser.read(page_in(tmp_path, result), story, viewport=viewport, color_scheme=scheme)


def test_it_can_be_read_without_scripts(browser: Browser, tmp_path: Path) -> None:
    def story(page: Page) -> None:
        expect(page.get_by_role("heading", level=1)).to_contain_text("2 deliveries were lost")
        expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        expect(page.locator("article svg[role=img]").first).to_be_visible()
        drawing = page.get_by_role("img", name="broker.freeze node 0").first
        expect(drawing).to_be_visible()

    browser.read(page_in(tmp_path, RESULT), story, java_script_enabled=False)


def test_a_command_is_copied(browser: Browser, tmp_path: Path) -> None:
    def story(page: Page) -> None:
        page.get_by_role("button", name="Copy").first.click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == RUN.command

    permissions = ["clipboard-read", "clipboard-write"]
    browser.read(page_in(tmp_path, RESULT), story, permissions=permissions)


def test_a_pointer_reads_out_what_was_delivered(browser: Browser, tmp_path: Path) -> None:
    def story(page: Page) -> None:
        drawing = page.locator("article svg[role=img]").first
        drawing.scroll_into_view_if_needed()
        box = drawing.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
        expect(page.locator(".read").first).to_contain_text("4 here and 0 elsewhere")
        page.mouse.move(1, 1)
        expect(page.locator(".read").first).to_have_text("")

    browser.read(page_in(tmp_path, RESULT), story)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_is_light_and_cuts_no_timeline(browser: Browser, tmp_path: Path, scheme: str) -> None:
    def story(page: Page) -> None:
        page.emulate_media(media="print")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert page.evaluate(CONTRAST) >= 4.5
        assert page.evaluate("document.documentElement.scrollWidth") <= 718
        assert page.evaluate(
            "[...document.querySelectorAll('article')]"
            ".every((one) => getComputedStyle(one).breakInside === 'avoid')"
        )
        expect(page.get_by_role("button")).to_have_count(0)

    viewport = {"width": 718, "height": 1000}  # A4 within its margins, in CSS pixels
    browser.read(page_in(tmp_path, RESULT), story, viewport=viewport, color_scheme=scheme)
