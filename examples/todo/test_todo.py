"""The todo list in a real pod: two tabs of a real browser, driven as people would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from attrs import evolve
from playwright.sync_api import Page, expect

from deployd.config import DrainSettings, Secrets, ServerSettings, load
from deployd.supervisors import Pod, open_pod
from support.browser import Browser, Visit

HERE = Path(__file__).parent
KEYS = Secrets(master_key="a-master-key-for-tests", jwt_secret="a-secret-for-tests-of-32-bytes!!")


@asynccontextmanager
async def running_pod(data: Path) -> AsyncIterator[Pod]:
    """Run a pod with the example's own configuration on a free port."""
    config = load(HERE / "realtime.json", environ={}).config
    config = evolve(
        config,
        server=ServerSettings(port=0, data=str(data), public=str(HERE / config.server.public)),
        collections=evolve(config.collections, folder=str(HERE / config.collections.folder)),
        drain=DrainSettings(window=0.0),
    )
    async with open_pod(config, keys=KEYS) as pod:
        yield pod


def open_list(visit: Visit) -> Page:
    page = visit.open("/")
    expect(page.get_by_role("status")).to_have_text("live")
    return page


def add(page: Page, title: str) -> None:
    page.get_by_label("What is to be done").fill(title)
    page.get_by_role("button", name="Add").click()


def titles(page: Page) -> Any:
    return expect(page.locator("li span"))


async def test_two_windows_show_the_same_list_whoever_changes_it(
    tmp_path: Path, browser: Browser
) -> None:
    def story(visit: Visit) -> None:
        mine, yours = open_list(visit), open_list(visit)
        add(mine, "Buy milk")
        titles(yours).to_have_text(["Buy milk"])
        add(yours, "  Water   the plants ")
        for page in (mine, yours):
            titles(page).to_have_text(["Buy milk", "Water the plants"])
        mine.get_by_label("Buy milk").check()
        expect(yours.get_by_label("Buy milk")).to_be_checked()
        expect(yours.get_by_text("1 of 2 left")).to_be_visible()
        yours.get_by_role("listitem").filter(has_text="Buy milk").get_by_title("Remove").click()
        titles(mine).to_have_text(["Water the plants"])
        later = open_list(visit)
        titles(later).to_have_text(["Water the plants"])

    async with running_pod(tmp_path) as pod:
        await browser.visit(pod, story)


async def test_what_the_script_refuses_is_said_and_changes_nothing(
    tmp_path: Path, browser: Browser
) -> None:
    def story(visit: Visit) -> None:
        page = open_list(visit)
        add(page, "   ")
        expect(page.get_by_role("alert")).to_have_text("title must say what is to be done")
        add(page, "x" * 81)
        expect(page.get_by_role("alert")).to_have_text("title must have 80 characters at most")
        expect(page.get_by_text("Nothing to do.")).to_be_visible()
        add(page, "Buy milk")
        titles(page).to_have_text(["Buy milk"])
        expect(page.get_by_role("alert")).to_be_empty()
        visit.complaints.clear()  # Chromium complains of each 400

    async with running_pod(tmp_path) as pod:
        await browser.visit(pod, story)


async def test_what_others_write_over_http_is_shown_and_cannot_be_a_script(
    tmp_path: Path, browser: Browser
) -> None:
    def story(visit: Visit) -> None:
        page = open_list(visit)
        url = f"{visit.origin}/todos"
        evil = "<img src=x onerror=document.title='owned'>"
        made = httpx.post(url, json={"title": evil}).json()
        titles(page).to_have_text([evil])
        assert page.title() == "Todos"
        assert httpx.put(f"{url}/{made['id']}", json={"colour": "red"}).status_code == 400
        httpx.put(f"{url}/{made['id']}", json={"done": True})
        expect(page.locator("li.done")).to_have_count(1)

    async with running_pod(tmp_path) as pod:
        await browser.visit(pod, story)
