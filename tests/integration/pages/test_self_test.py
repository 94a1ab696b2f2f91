"""The self-test page, used as people would."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from structlog.testing import capture_logs

from deployd.supervisors import Pod, open_pod
from deployd.tools.demo_room import DEMO_ROOMS
from support import MASTER, pod_config, running_collections, running_pod, write_collection
from support.browser import Browser, Visit
from support.clients import KEYS

ROOM = "self-test-demo"
TICK = "self-test:tick"


@asynccontextmanager
async def dev_pod() -> AsyncIterator[Pod]:
    """Run a pod as `deployd serve --dev` does."""
    with capture_logs():  # a room crashes on purpose: not into the tests' output
        async with running_pod(rooms=DEMO_ROOMS, dev=True) as pod:
            yield pod


@asynccontextmanager
async def stressed_pod(*, dev: bool = False) -> AsyncIterator[Pod]:
    """Run a pod that root may put under load, as `deployd serve` does."""
    command = (sys.executable, "-m", "deployd.tools", "stress")
    async with open_pod(pod_config(), keys=KEYS, dev=dev, stress_command=command) as pod:
        yield pod


def arrive(visit: Visit, *, clock: bool = False) -> Page:
    page = visit.open("/self-test.html", clock=clock)
    expect(page.locator("#state")).to_have_text("connected")
    return page


def join(page: Page, room: str = ROOM) -> None:
    page.locator("#join").get_by_label("Room").fill(room)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("button", name=f"Leave {room}")).to_be_visible()


def emit(page: Page, event: str, data: str = "", room: str = ROOM) -> None:
    page.get_by_label("Event").fill(event)
    page.get_by_label("To room").fill(room)
    page.get_by_label("Data, as JSON").fill(data)
    page.get_by_role("button", name="Emit").click()


def sign_in_with(page: Page, way: str, **fields: str) -> None:
    page.get_by_role("radio", name=way).check()
    form = page.locator("form[data-way]:visible")
    for name, value in fields.items():
        form.locator(f"[name={name}]").fill(value)
    form.get_by_role("button", name="Sign in").click()


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


# -- the tree, and the crash -----------------------------------------------------------------


async def test_the_tree_shows_a_crash_and_that_everybody_stays(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        one, two = arrive(visit), arrive(visit)
        join(two)
        row = one.locator(f'[data-path="pod/rooms/{ROOM}"]')
        expect(row).to_contain_text("DemoRoom · 1 in it")
        expect(row.locator("td").nth(2)).to_have_text("–")
        one.get_by_role("button", name="Crash the demo room").click()
        expect(one.locator("#crash-note")).to_contain_text(
            "It is back as incarnation 2 with all 2 members"
        )
        expect(row).to_have_class("rose")
        expect(row.locator("td").nth(2)).to_have_text("1")
        expect(row).to_contain_text("2 in it")
        emit(two, "after", '"still in it"')
        expect(one.locator("#log li.in", has_text="after")).to_contain_text("still in it")

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_the_tree_folds(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        client = page.locator(
            f'[data-path="pod/connections/{page.locator("#client-id").inner_text()}"]'
        )
        expect(client).to_be_visible()
        fold = page.get_by_role("button", name="Children of pod/connections")
        fold.click()
        expect(client).to_have_count(0)
        expect(fold).to_have_attribute("aria-expanded", "false")
        expect(page.locator('[data-path="pod/connections"]')).to_contain_text("1 below")
        fold.click()
        expect(client).to_be_visible()

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_a_pod_without_dev_says_what_is_missing_until_root_signs_in(
    browser: Browser,
) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit, clock=True)
        expect(page.locator("#tree-note")).to_contain_text("deployd serve --dev")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("button", name="Crash the demo room").click()
        expect(page.locator("#crash-note")).to_contain_text("deployd serve --dev")
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 5)
        assert asked == []
        sign_in_with(page, "master key", masterKey=KEYS.master_key)
        expect(page.locator('[data-path="pod/rooms"]')).to_be_visible()
        expect(page.locator("#tree-note")).to_have_text("")
        read = len(asked)
        page.clock.run_for(1000)
        visit.until(lambda: len(asked) > read)
        assert visit.complaints
        assert all("401" in complaint for complaint in visit.complaints)  # Chromium's own words
        visit.complaints.clear()

    async with running_pod() as pod:
        await browser.visit(pod, story)


async def test_a_wrong_master_key_is_told_so(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        sign_in_with(page, "master key", masterKey="wrong")
        expect(page.locator("#connection-note")).to_have_text("This is not the master key.")
        expect(page.locator("#identity")).to_have_text("as nobody")
        assert all("401" in complaint for complaint in visit.complaints)  # Chromium's own words
        visit.complaints.clear()

    async with dev_pod() as pod:
        await browser.visit(pod, story)


# -- traffic, REST, the scratchpad -----------------------------------------------------------


async def test_traffic_is_drawn_and_stops_when_told(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        button = page.locator("#send-ticks")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#plot-rate rect").nth(3)).to_be_attached()
        expect(page.locator("#plot-rate [data-value]")).not_to_have_text("0")
        expect(page.locator("#plot-latency path")).to_be_attached()
        expect(page.locator("#plot-latency [data-value]")).not_to_have_text("–")
        expect(page.locator("#log")).not_to_contain_text(TICK)
        button.click()
        expect(page.locator("#ticks-note")).to_contain_text("Stopped after")
        sent = int(page.locator("#ticks-note").inner_text().split()[2])
        assert sent > 40  # more than may be unanswered: the answers count
        expect(page.locator("#plot-rate [data-value]")).to_have_text("0")

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_what_is_counted_by_the_second_and_what_paces_the_ticks(
    browser: Browser,
) -> None:
    program = """async () => {
      const { Meter, p99 } = await import('/self-test/meter.js');
      const { niceTop } = await import('/self-test/plot.js');
      const { Pace } = await import('/self-test/pace.js');
      const meter = new Meter();
      for (const at of [0, 1000, 1999, 2000]) meter.count(at);
      for (let n = 1; n <= 200; n += 1) meter.time(n, 1500);
      const shown = [3000, 61_999, 62_000].map((now) => meter.lastMinute(now));
      const flooded = new Meter();
      for (let n = 1; n <= 600; n += 1) flooded.time(n, 0);
      const pace = new Pace();
      const asked = Array.from({ length: 42 }, () => pace.next());
      pace.answered();
      asked.push(pace.next(), pace.next());
      for (let n = pace.sent; n < 1200; n += 1) { pace.answered(); pace.next(); }
      pace.answered();
      return {
        kept: flooded.lastMinute(1000).p99,
        asked: [...asked.slice(38), pace.sent, pace.next()],
        ends: shown.map(({ messages }) => messages.slice(-3)),
        sums: shown.map(({ messages }) => messages.reduce((a, b) => a + b)),
        lengths: shown.map(({ messages }) => messages.length),
        p99s: shown.map(({ p99 }) => p99),
        each: shown[0].p99s.slice(-3),
        ranks: [p99([]), p99([5]), p99([3, 1, 2])],
        tops: [0, 1, 1.5, 5, 6, 40, 101].map(niceTop),
      };
    }"""

    def story(visit: Visit) -> None:
        assert arrive(visit).evaluate(program) == {
            "kept": 495,
            "asked": ["send", "send", "wait", "wait", "send", "wait", 1200, "over"],
            "ends": [[1, 2, 1], [0, 0, 0], [0, 0, 0]],
            "sums": [4, 3, 1],
            "lengths": [60, 60, 60],
            "p99s": [198, 198, None],
            "each": [None, 198, None],
            "ranks": [None, 5, 3],
            "tops": [1, 1, 2, 5, 10, 50, 200],
        }

    async with dev_pod() as pod:
        await browser.visit(pod, story)


async def test_a_stress_test_is_started_watched_and_stopped(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        note, panel = page.locator("#load-note"), page.locator("#stress")
        for label, value in {"Connections": "4", "Messages a second": "20", "Seconds": "2"}.items():
            panel.get_by_label(label).fill(value)
        panel.get_by_label("Rooms").fill("2")
        start = panel.get_by_role("button", name="Start the test")
        start.click()
        expect(start).to_be_disabled()
        expect(note).to_contain_text("80 of 80 deliveries to 4 of 4 clients")
        expect(note).to_contain_text("It is over")
        expect(note).to_contain_text("no errors")
        expect(note).to_have_class("note good")
        expect(page.locator("#load-rate rect").first).to_be_attached()
        expect(page.locator("#load-latency path")).to_be_attached()
        expect(page.locator("#load-latency [data-value]")).to_contain_text("ms")
        panel.get_by_label("Seconds").fill("500")
        start.click()
        expect(note).to_contain_text("It runs for 1 s")
        expect(note).to_have_class("note")
        other = arrive(visit)  # another tab finds it
        expect(other.locator("#load-note")).to_contain_text("It runs for")
        other.locator("#stop-load").click()
        expect(note).to_contain_text("It is over")
        expect(start).to_be_enabled()
        assert not visit.in_pod(lambda: len(visit.pod.parts.tree.stress.supervisor))

    async with stressed_pod(dev=True) as pod:
        await browser.visit(pod, story)


async def test_a_stress_test_that_may_not_be_says_why(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = arrive(visit)
        note, panel = page.locator("#load-note"), page.locator("#stress")
        expect(note).to_have_text("Only root may: sign in with the master key above.")
        start = panel.get_by_role("button", name="Start the test")
        start.click()
        expect(note).to_have_class("note bad")
        expect(start).to_be_enabled()
        sign_in_with(page, "master key", masterKey=KEYS.master_key)
        expect(page.locator("#identity")).to_contain_text("who is root")
        panel.get_by_label("Connections").fill("100000")
        start.click()
        expect(note).to_contain_text("connections be a number above 0 and of at most")
        panel.get_by_label("Connections").fill("many")
        start.click()
        expect(note).to_contain_text("connections be a number above 0 and of at most")
        own_words = ("401", "400")  # Chromium's
        assert all(any(one in said for one in own_words) for said in visit.complaints)
        visit.complaints.clear()

    async with stressed_pod() as pod:
        await browser.visit(pod, story)


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
