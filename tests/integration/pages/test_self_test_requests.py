"""The self-test page: REST, documents and the scratchpad."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import expect

from support import MASTER, running_collections, write_collection
from support.browser import Browser, Visit
from support.clients import KEYS
from support.self_test import arrive, dev_pod, join, sign_in_with


async def test_a_request_shows_status_time_and_a_readable_body(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        panel = page.locator("#rest")
        panel.get_by_role("button", name="Send").click()
        expect(page.locator("#rest-note")).to_contain_text("200")
        expect(page.locator("#rest-note")).to_contain_text(" ms · ")
        shown = json.loads(page.locator("#answer").inner_text())
        assert shown == {"status": "live", "pod": visit.pod.pod_id}
        for path in ("//elsewhere.example/", "health/live"):
            panel.get_by_label("Path").fill("/health/live")
            panel.get_by_role("button", name="Send").click()
            expect(page.locator("#answer")).to_be_visible()
            panel.get_by_label("Path").fill(path)
            panel.get_by_role("button", name="Send").click()
            expect(page.locator("#rest-note")).to_contain_text("Begin the path with '/'")
            expect(page.locator("#answer")).to_be_hidden()

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_a_request_carries_its_headers_and_who_one_is(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        sign_in_with(page, "master key", masterKey=KEYS.master_key)
        expect(page.locator("#identity")).to_contain_text("root")
        panel = page.locator("#rest")
        panel.get_by_label("Path").fill("/auth/me")
        panel.get_by_text("Body and headers").click()
        panel.get_by_role("button", name="Send").click()
        expect(page.locator("#answer")).to_contain_text('"isRoot": true')
        panel.get_by_label("with what you signed in with").uncheck()
        panel.get_by_role("button", name="Send").click()
        expect(page.locator("#rest-note")).to_contain_text("401")
        panel.get_by_label("Headers, one a line").fill(f"X-Master-Key: {KEYS.master_key}")
        panel.get_by_role("button", name="Send").click()
        expect(page.locator("#answer")).to_contain_text('"isRoot": true')
        panel.get_by_label("Headers, one a line").fill("nonsense")
        panel.get_by_role("button", name="Send").click()
        expect(page.locator("#rest-note")).to_have_text(
            "Write a header as 'Name: value', not 'nonsense'."
        )
        assert len(visit.complaints) == 1  # Chromium's own, about the answer 401
        visit.complaints.clear()

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_a_collection_is_written_over_rest_and_heard_of_in_its_room(
    browser: Browser, tmp_path: Path
) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        join(page, "collection:todos")
        panel = page.locator("#rest")
        panel.get_by_label("Method").select_option("POST")
        panel.get_by_label("Path").fill("/todos")
        panel.get_by_text("Body and headers").click()
        panel.get_by_label("Body, as JSON").fill('{"title": "Water"')
        panel.get_by_role("button", name="Send").click()
        expect(page.locator("#rest-note")).to_contain_text("The body is not JSON")
        panel.get_by_label("Body, as JSON").fill('{"title": "Water"}')
        panel.get_by_role("button", name="Send").click()
        expect(page.locator("#answer")).to_contain_text('"title": "Water"')
        heard = page.locator("#log li.in", has_text="created")
        expect(heard.locator(".room")).to_have_text("collection:todos")
        expect(heard.locator(".data")).to_contain_text('"title":"Water"')
        page.get_by_label("Example").select_option("A todo from its creation to its end")
        page.get_by_role("button", name="Run").click()
        for told in ("created {", "updated {", "deleted {", "all of them ["):
            expect(page.locator("#output")).to_contain_text(told)
        expect(page.locator("#output .printed-error")).to_have_count(0)

    write_collection(tmp_path, "todos", {"properties": {"title": {"type": "string"}}})
    async with running_collections(tmp_path, dev=True) as (pod, _):
        await browser.visit(pod, story)


async def test_a_user_signs_in_by_name(browser: Browser, tmp_path: Path) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        sign_in_with(page, "user and password", username="ann", password="wrong words")
        expect(page.locator("#connection-note")).to_contain_text("password")
        sign_in_with(page, "user and password", username="ann", password="right words")
        expect(page.locator("#identity")).to_contain_text("as ")
        expect(page.locator("#identity")).not_to_have_text("as nobody")
        expect(page.locator("[name=password]")).to_have_value("")
        visit.complaints.clear()  # Chromium's own, about the answer 401

    user = {"username": "ann", "email": "ann@example.com", "password": "right words"}
    async with running_collections(tmp_path, dev=True) as (pod, http):
        made = await http.post("/_admin/auth/create-user", json={"userData": user}, headers=MASTER)
        assert made.status_code == 201
        await browser.visit(pod, story)


async def test_the_scratchpad_runs_an_example_against_the_pod(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        join(page)
        page.get_by_role("button", name="Run").click()
        expect(page.locator("#output")).to_contain_text('receipt {"scope":"local"')
        expect(page.locator("#output")).to_contain_text("heard in self-test-demo")
        expect(page.locator("#log li.in", has_text="the scratchpad")).to_be_visible()
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator("#scratchpad-note")).to_have_text("Stopped.")
        visit.until(lambda: len(visit.pod.members) == 1)  # its connection is gone

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_every_example_runs_to_its_end(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        titles = page.locator("#example option").all_inner_texts()
        assert len([title for title in titles if "specification" in title]) == 3
        for title in titles:
            if "todo" in title:  # needs a collection
                continue
            page.get_by_label("Example").select_option(title)
            page.get_by_role("button", name="Run").click()
            expect(page.locator("#scratchpad-note")).to_contain_text("Ran to its end")
            if "Raw" in title:
                expect(page.locator("#output")).to_contain_text('Received: {"type":"connect"')
            if "Crash" in title:
                expect(page.locator("#output")).to_contain_text("this message was lost: The room")
            expect(page.locator("#output .printed-error")).to_have_count(0)

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_the_scratchpad_shows_what_comes_of_code(browser: Browser) -> None:
    outcomes = {
        "return 6 * 7": "→ 42",
        "const x = ;": "SyntaxError",
        "nothing.at.all": "ReferenceError: nothing is not defined",
        "setTimeout(() => { throw new Error('later') })": "Error: later",
        "Promise.reject(new Error('unseen'))": "Error: unseen",
        "await dpd.socket.join('system:x')": "Send an 'auth' message first",
        "for (let n = 1; ; n += 1) console.log(n)": "nothing more is printed",
        "return [typeof document, typeof localStorage]": '["undefined","undefined"]',
        "await fetch('https://elsewhere.example/')": "Failed to fetch",
    }

    def story(visit: Visit) -> None:
        page = arrive(visit)
        for code, shown in outcomes.items():
            page.locator("#code").fill(code)
            page.locator("#code").press("Control+Enter")
            expect(page.locator("#output")).to_contain_text(shown)
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.get_by_role("button", name="Stop", exact=True)).to_be_disabled()
        # Nothing but the browser's word that the request was forbidden.
        assert all("connect-src 'self'" in complaint for complaint in visit.complaints)
        visit.complaints.clear()

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_text_is_code_in_the_scratchpad_alone(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        # Added as a script of the page's own would be: Playwright's evaluate is above any policy.
        page.evaluate("setTimeout('window.evaluated = true')")
        visit.until(lambda: any("unsafe-eval" in complaint for complaint in visit.complaints))
        assert page.evaluate("window.evaluated") is None
        visit.complaints.clear()

    async with dev_pod() as pod:
        await browser.visit(pod, story)
