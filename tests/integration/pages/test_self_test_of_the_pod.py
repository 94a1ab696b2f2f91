"""The self-test page: the tree, crashes, traffic and stress."""

from __future__ import annotations

from playwright.sync_api import expect

from support import running_pod
from support.browser import Browser, Visit
from support.clients import KEYS
from support.self_test import ROOM, TICK, arrive, dev_pod, emit, join, sign_in_with, stressed_pod

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
