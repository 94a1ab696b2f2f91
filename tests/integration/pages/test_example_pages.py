"""The pages of the examples in a real browser: two people at a whiteboard, and at a game."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from playwright.sync_api import Page, expect

from deployd.actors import RoomFactory, load_room_classes
from deployd.config import Config
from deployd.config import load as load_settings
from support import pod_config, running_pod
from support.browser import Browser, Visit

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Config, dict[str, RoomFactory]]:
    """Return settings that serve an example's page, and its rooms."""
    folder = EXAMPLES / name
    monkeypatch.syspath_prepend(folder)
    rooms = load_room_classes(load_settings(folder / "realtime.json", environ={}).config.rooms)
    config = pod_config()
    return evolve(config, server=evolve(config.server, public=str(folder / "public"))), {**rooms}


def draw(page: Page) -> None:
    """Draw a line over the board."""
    box = page.locator("#board").bounding_box()
    assert box is not None
    x, y, size = box["x"], box["y"], box["width"]
    page.mouse.move(x + size / 4, y + size / 4)
    page.mouse.down()
    page.mouse.move(x + size / 2, y + size / 2, steps=4)
    page.mouse.up()


INK = """() => document.getElementById('board').getContext('2d')
    .getImageData(0, 0, 1000, 1000).data.some((value) => value > 0)"""


@pytest.mark.parametrize("width", [1360, 390])
async def test_what_one_draws_on_the_whiteboard_another_sees_and_both_know_who_is_there(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, artifacts: Path, width: int
) -> None:
    def story(visit: Visit) -> None:
        one, two = visit.open("/"), visit.open("/")
        for page in (one, two):
            expect(page.locator("#people li")).to_have_count(2)
            expect(page.get_by_text("you", exact=True)).to_have_count(1)
        draw(one)
        two.wait_for_function(INK)
        one.screenshot(path=artifacts / f"whiteboard-{width}.png")
        three = visit.open("/")
        three.wait_for_function(INK)
        three.close()
        two.get_by_role("button", name="Wipe").click()
        one.wait_for_function(f"!({INK})()")
        expect(one.locator("#people li")).to_have_count(2)

    config, rooms = example("whiteboard", monkeypatch)
    async with running_pod(config, rooms) as pod:
        await browser.visit(pod, story, viewport={"width": width, "height": 800})


@pytest.mark.parametrize("width", [1360, 390])
async def test_who_loses_the_connection_in_a_game_plays_on(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, artifacts: Path, width: int
) -> None:
    def note(page: Page, text: str) -> None:
        expect(page.get_by_role("status")).to_have_text(text)

    def story(visit: Visit) -> None:
        one = visit.open("/")
        note(one, "You are X. Waiting for somebody else.")
        two = visit.open("/")
        note(two, "You are O. Wait for X.")
        one.get_by_label("Square 1").click()
        note(two, "You are O. It is your turn.")
        two.evaluate("dpd.socket._link.close(4100)")
        note(one, "O has lost the connection; 30 seconds to be back.")
        one.screenshot(path=artifacts / f"noughts-{width}.png")
        note(two, "You are O. It is your turn.")
        two.get_by_label("Square 5").click()
        note(one, "You are X. It is your turn.")
        for page, square in ((one, 2), (two, 9), (one, 3)):
            page.get_by_label(f"Square {square}").click()
            other = two if page is one else one
            expect(other.get_by_label(f"Square {square}")).not_to_have_text("")
        note(one, "You have won.")
        note(two, "You have lost.")

    config, rooms = example("noughts", monkeypatch)
    async with running_pod(config, rooms) as pod:
        await browser.visit(pod, story, viewport={"width": width, "height": 800})


async def test_whoever_bids_more_leads_and_who_bids_less_is_told_how_much_it_takes(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def story(visit: Visit) -> None:
        one, two = visit.open("/"), visit.open("/")
        for page in (one, two):
            page.wait_for_function("room.state === 'in'")
        one.get_by_label("Your bid").fill("5")
        one.get_by_role("button", name="Bid").click()
        expect(one.locator("#leading")).to_have_text("5, by you")
        expect(one.get_by_role("status")).to_contain_text("You lead")
        expect(two.locator("#leading")).to_contain_text("5, by ")
        two.get_by_label("Your bid").fill("3")
        two.get_by_role("button", name="Bid").click()
        expect(two.get_by_role("status")).to_have_text("Bid more. 6 at least.")
        two.get_by_label("Your bid").fill("7.5")
        two.get_by_role("button", name="Bid").click()
        expect(one.locator("#leading")).to_contain_text("7.5, by ")

    config, rooms = example("auction", monkeypatch)
    async with running_pod(config, rooms) as pod:
        await browser.visit(pod, story)
