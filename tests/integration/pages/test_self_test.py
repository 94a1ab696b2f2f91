"""The self-test page: connections, rooms, its log, and what it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.browser import Browser, Visit
from support.clients import KEYS
from support.self_test import ROOM, arrive, dev_pod, emit, join, sign_in_with

# -- the connection --------------------------------------------------------------------------


async def test_a_page_connects_disconnects_and_connects_again(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        first = page.locator("#client-id").inner_text()
        assert list(visit.in_pod(lambda: list(visit.pod.members))) == [first]
        expect(page.locator("#pod")).to_have_text(visit.pod.pod_id)
        page.get_by_role("button", name="Disconnect").click()
        expect(page.locator("#state")).to_have_text("not connected")
        expect(page.get_by_role("button", name="Disconnect")).to_be_disabled()
        visit.until(lambda: not visit.pod.members)
        page.get_by_role("button", name="Connect", exact=True).click()
        expect(page.locator("#state")).to_have_text("connected")
        assert page.locator("#client-id").inner_text() != first

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_what_needs_a_connection_says_so_without_one(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        page.get_by_role("button", name="Disconnect").click()
        page.get_by_role("button", name="Join").click()
        expect(page.locator("#rooms-note")).to_have_text("Not connected: press Connect first.")
        page.get_by_role("button", name="Crash the demo room").click()
        expect(page.locator("#crash-note")).to_have_text("Not connected: press Connect first.")

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_the_master_key_makes_root_of_a_visitor(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        sign_in_with(page, "master key", masterKey=KEYS.master_key)
        expect(page.locator("#identity")).to_contain_text("as root, who is root")
        assert all(visit.in_pod(lambda: [m.is_root for m in visit.pod.members.values()]))
        expect(page.locator("[name=masterKey]")).to_have_value("")
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("#identity")).to_have_text("as nobody")
        expect(page.locator("#state")).to_have_text("connected")
        # The page says so when it hangs up, and the pod hears of it then.
        visit.until(
            lambda: not any(visit.in_pod(lambda: [m.is_root for m in visit.pod.members.values()]))
        )

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_a_token_signs_in_and_a_wrong_one_is_told_why_not(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        token = visit.in_pod(lambda: visit.pod.tokens.sign("ann", ttl=60))
        sign_in_with(page, "token", token=token)
        expect(page.locator("#identity")).to_have_text("as ann")
        assert token not in page.content()
        sign_in_with(page, "token", token="nonsense")
        expect(page.locator("#connection-note")).to_contain_text("You are signed out.")
        expect(page.locator("#identity")).to_have_text("as nobody")

    async with dev_pod() as pod:
        await browser.visit(pod, story)


# -- rooms -----------------------------------------------------------------------------------


async def test_what_one_tab_says_the_other_hears_and_both_say_how_long_it_took(
    browser: Browser,
) -> None:
    def story(visit: Visit) -> None:
        one, two = arrive(visit), arrive(visit)
        join(one)
        join(two)
        emit(one, "greeting", '{"text": "from one"}')
        sent = one.locator("#log li.out", has_text="greeting")
        expect(sent.locator(".latency")).to_contain_text("local")
        expect(sent.locator(".latency")).to_contain_text("ms")
        for page in (one, two):
            heard = page.locator("#log li.in", has_text="greeting")
            expect(heard.locator(".room")).to_have_text(ROOM)
            expect(heard.locator(".data")).to_have_text('{"text":"from one"}')
            expect(heard.locator(".latency")).to_contain_text("ms")

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_who_has_left_a_room_hears_it_no_more(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        join(page, "self-test-a")
        page.get_by_role("button", name="Leave self-test-a").click()
        expect(page.locator("#joined li")).to_have_count(0)
        emit(page, "unheard", "1", "self-test-a")
        expect(page.locator("#log li.out.bad", has_text="unheard")).to_contain_text("Join the room")
        expect(page.locator("#log li.in", has_text="unheard")).to_have_count(0)

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_data_that_is_not_json_is_told_and_not_sent(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        join(page)
        emit(page, "wrong", "{text: 'x'}")
        expect(page.locator("#rooms-note")).to_contain_text("The data is not JSON")
        expect(page.get_by_label("Data, as JSON")).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label("Data, as JSON")).to_be_focused()
        emit(page, "right", "[1]")
        expect(page.locator("#log li.out", has_text="right")).to_contain_text("local")
        expect(page.locator("#rooms-note")).to_have_text("")
        assert page.get_by_label("Data, as JSON").get_attribute("aria-invalid") is None
        expect(page.locator("#log li", has_text="wrong")).to_have_count(0)

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_what_the_pod_refuses_stands_in_the_log_and_in_a_sentence(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        emit(page, "mine", "1", "collection:todos")
        expect(page.locator("#rooms-note")).to_contain_text("written by the server alone")
        expect(page.locator("#log li.out.bad")).to_contain_text("written by the server alone")

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_the_log_keeps_its_last_two_hundred_lines_as_text(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        join(page)
        emit(page, "evil", '"<img src=x onerror=alert(1)>"')
        heard = page.locator("#log li.in", has_text="evil").locator(".data")
        expect(heard).to_have_text('"<img src=x onerror=alert(1)>"')
        visit.in_pod(say, 250)
        expect(page.locator("#log li").first).to_contain_text('"last"')
        expect(page.locator("#log li")).to_have_count(200)
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#log li")).to_have_count(0)

    async with dev_pod() as pod:

        def say(count: int) -> None:
            for n in range(count - 1):
                pod.hub.emit_to_room(ROOM, "news", n)
            pod.hub.emit_to_room(ROOM, "news", "last")

        await browser.visit(pod, story)


# -- what it looks like ----------------------------------------------------------------------


async def test_the_theme_follows_the_system_until_somebody_chooses(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        assert background(page) == "rgb(20, 23, 26)"
        page.get_by_role("button", name="Theme").click()
        assert background(page) == "rgb(251, 251, 250)"
        page.reload()
        expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
        assert background(page) == "rgb(251, 251, 250)"

    def background(page: Page) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    async with dev_pod() as pod:
        await browser.visit(pod, story, color_scheme="dark")


@pytest.mark.parametrize(
    ("name", "width", "colours"),
    [("light", 1360, "light"), ("dark", 1360, "dark"), ("phone", 390, "light")],
)
async def test_it_fits_the_window_and_can_be_looked_at(
    browser: Browser, artifacts: Path, name: str, width: int, colours: str
) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        join(page)
        emit(page, "hello", '{"text": "Hello from this tab"}')
        page.locator("#send-ticks").click()
        page.locator("#crash").click()
        expect(page.locator("#crash-note")).to_contain_text("It is back")
        page.get_by_role("button", name="Send", exact=True).click()
        page.get_by_role("button", name="Run").click()
        expect(page.locator("#output")).to_contain_text("receipt")
        expect(page.locator("#plot-latency path")).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        unnamed = "[...document.querySelectorAll('input, select, textarea, button')]"
        assert page.evaluate(f"{unnamed}.filter((e) => !e.labels?.length && !e.textContent"
                             " && !e.ariaLabel).length") == 0  # fmt: skip
        page.screenshot(path=artifacts / f"self-test-{name}.png", full_page=True)

    async with dev_pod() as pod:
        window = {"width": width, "height": 900}
        await browser.visit(pod, story, viewport=window, color_scheme=colours)
