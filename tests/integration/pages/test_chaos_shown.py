"""Faults on purpose, as the dashboard and the self-test page show them."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve
from playwright.sync_api import expect
from structlog.testing import capture_logs

from deployd.config import Chaos
from deployd.tools.demo_room import DEMO_ROOMS
from support import pod_config, running_pod
from support.browser import Browser, Visit
from support.self_test import ROOM, arrive, join

CONFIG = evolve(pod_config(), chaos=Chaos(enabled=True))


async def test_the_dashboard_says_that_chaos_is_on_and_what_is_broken(
    browser: Browser, artifacts: Path
) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        banner = page.locator("#chaos")
        expect(banner).to_have_text("Chaos is on: no fault is active now.")
        chaos = visit.pod.chaos
        assert chaos is not None
        wanted = {"path": "pod/everyone", "seconds": 60}
        begun = visit.in_pod(lambda: chaos.inject("actor.hang", **wanted))
        expect(banner).to_contain_text("actor.hang pod/everyone, for")
        page.screenshot(path=artifacts / "chaos-dashboard.png")
        visit.in_pod(chaos.stop, begun.number)
        expect(banner).to_have_text("Chaos is on: no fault is active now.")

    with capture_logs():
        async with running_pod(CONFIG, dev=True) as pod:
            await browser.visit(pod, story)


async def test_the_dashboard_of_a_pod_without_chaos_says_nothing_of_it(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.locator("#panels")).to_be_visible()
        expect(page.locator("#chaos")).to_be_hidden()

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


async def test_the_self_test_crashes_a_room_and_ends_what_hangs(
    browser: Browser, artifacts: Path
) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        join(page)
        form = page.locator("#fault")
        form.locator("[name=path]").fill(f"pod/rooms/{ROOM}")
        form.get_by_role("button", name="Inject").click()
        expect(page.locator("#chaos-note")).to_contain_text(f"actor.crash pod/rooms/{ROOM}")
        row = page.locator(f'[data-path="pod/rooms/{ROOM}"]')
        expect(row.locator("td").nth(2)).to_have_text("1")
        form.locator("[name=fault]").select_option("store.fail")
        expect(form.locator("[name=path]")).to_be_disabled()
        form.get_by_label("Seconds").fill("60")
        form.get_by_role("button", name="Inject").click()
        expect(page.locator("#faults li")).to_have_count(2)
        page.locator("#chaos").screenshot(path=artifacts / "chaos-self-test.png")
        page.get_by_role("button", name="Stop all").click()
        expect(page.locator("#chaos-note")).to_have_text("2 stopped.")
        expect(page.locator("#faults li")).to_have_count(0)
        assert visit.pod.chaos is not None
        assert visit.in_pod(visit.pod.chaos.active) == []

    with capture_logs():
        async with running_pod(CONFIG, rooms=DEMO_ROOMS, dev=True) as pod:
            await browser.visit(pod, story)
