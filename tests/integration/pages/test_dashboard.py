"""The dashboard, used as people would at three in the morning."""

from __future__ import annotations

import sys
from importlib import resources

import pytest
from attrs import evolve
from playwright.sync_api import Page, Route, WebSocketRoute, expect
from structlog.testing import capture_logs

from deployd.actors import Member, Room
from deployd.supervisors import open_pod
from deployd.transport import JSON
from support import pod_config, running_pod
from support.browser import Browser, Visit
from support.clients import KEYS
from support.contrast import CONTRAST
from support.fake_broker import FakeBus

HOSTILE = "<img/src=x/onerror=alert(1)>"
PHONE = {"width": 360, "height": 740}
WATCH_FOR_FORGERY = """() => {
  window.forged = false;
  const look = () => { window.forged ||= document.body.textContent.includes('forged'); };
  const all = { subtree: true, childList: true, characterData: true };
  new MutationObserver(look).observe(document.body, all);
}"""


def sign_in(page: Page, key: str = KEYS.master_key) -> None:
    page.get_by_label("Master key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def forget_refusals(visit: Visit) -> None:
    """Chromium itself writes of each answer 401."""
    assert all("401" in complaint for complaint in visit.complaints), visit.complaints
    visit.complaints.clear()


async def test_the_master_key_opens_it_and_signing_out_closes_it(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.get_by_label("Master key")).to_be_focused()
        sign_in(page, "wrong")
        expect(page.locator("#login-note")).to_have_text("This is not the master key.")
        expect(page.locator("#panels")).to_be_hidden()
        sign_in(page)
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#pod")).to_have_text(visit.pod.pod_id)
        assert page.url.endswith("/_dashboard/")
        assert KEYS.master_key not in page.content()
        expect(page.locator("#master-key")).to_have_value("")
        assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 1]
        page.reload()
        expect(page.locator("#state")).to_have_text("Live")
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("#panels")).to_be_hidden()
        assert page.evaluate("sessionStorage.length") == 0
        forget_refusals(visit)

    async with running_pod() as pod:
        await browser.visit(pod, story)


async def test_numbers_live_and_the_tree_keeps_its_focus(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.locator("#state")).to_have_text("Live")
        opened = page.locator("#connections dd").nth(1)
        expect(opened).to_have_text("1")
        summary = page.locator("#tree summary").first
        summary.focus()
        visit.open("/_dashboard/")
        expect(opened).to_have_text("2")
        expect(summary).to_be_focused()

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


async def test_what_others_call_a_snapshot_is_none(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.locator("#state")).to_have_text("Live")
        shown = page.locator("#pod").inner_text()
        uptime = page.locator("#about").inner_text()
        page.evaluate(WATCH_FOR_FORGERY)
        visit.in_pod(visit.pod.hub.emit_to_all, "snapshot", {"pod": "forged", "version": "9"})
        visit.in_pod(visit.pod.hub.emit_to_all, "stress", {"sent": 1})
        expect(page.locator("#about")).not_to_have_text(uptime)  # a real one came since
        expect(page.locator("#pod")).to_have_text(shown)
        expect(page.locator("#stress")).to_be_hidden()
        assert page.evaluate("window.forged") is False

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


async def test_that_all_is_well_and_that_nothing_is_known_are_said(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.locator("#state")).to_have_text("Live")
        # A busy machine has its own alarm; either is said.
        expect(page.locator("#calm:visible, #alarms li").first).to_be_visible()
        latency = page.locator("#timeline figcaption", has_text="local latency")
        expect(latency).to_have_text("local latency, p99: –")
        expect(page.locator("#slow th")).to_have_attribute("colspan", "4")
        expect(page.locator("#pods li").first).to_contain_text("1 connection ·")

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


async def test_an_open_breaker_is_seen_first_and_gone_when_healed(browser: Browser) -> None:
    bus = FakeBus()

    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#alarms li", has_text="Degraded")).to_have_count(0)
        visit.in_pod(bus.kill)
        alarm = page.locator("#alarms li").first
        expect(alarm).to_contain_text("Degraded")
        expect(alarm).to_contain_text("since")
        expect(page.locator("#calm")).to_be_hidden()
        expect(alarm.get_by_role("link")).to_have_attribute(
            "href", "/_dashboard/runbooks#breaker-open"
        )
        expect(page).to_have_title(f"⚠ {visit.pod.name} · Dashboard · deployd")
        expect(page.locator("#links article")).not_to_have_attribute("data-state", "closed")
        visit.in_pod(bus.start)
        expect(page.locator("#alarms li", has_text="Degraded")).to_have_count(0)
        expect(page.locator("#links article")).to_have_attribute("data-state", "closed")

    with capture_logs():
        async with running_pod(dev=True, broker=bus.make) as pod:
            await browser.visit(pod, story)


TALK = """() => {
  const socket = window.socket = new WebSocket(`ws://${location.host}/socket.io/`);
  const say = (message) => socket.send(JSON.stringify({ room: 'chat-boom', ...message }));
  const crash = () => say({ type: 'emit', event: 'said' });
  socket.onopen = () => (say({ type: 'join' }), setInterval(crash, 100));
}"""


class Boom(Room[None]):
    async def on_message(self, sender: Member, event: str, data: JSON) -> None:
        raise ValueError("boom")


async def test_a_room_that_crashes_again_and_again_is_seen_first_and_by_its_name(
    browser: Browser,
) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.locator("#state")).to_have_text("Live")
        page.evaluate(TALK)
        alarm = page.locator("#alarms li").first
        expect(alarm).to_contain_text("pod/rooms/chat-boom crashes again and again")
        expect(alarm).to_contain_text("boom")
        page.reload()  # what the page shows is the pod's past, not its own
        expect(page.locator("#episodes li", has_text="chat-boom").first).to_be_visible()
        expect(page.locator("#episodes")).to_contain_text("This pod started")

    with capture_logs():
        async with running_pod(dev=True, rooms={"chat-*": Boom}) as pod:
            await browser.visit(pod, story)


async def test_an_alarm_leads_to_its_runbook(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/runbooks#loop-stalls")
        heading = page.get_by_role("heading", name="loop-stalls", exact=True)
        expect(heading).to_be_in_viewport()
        expect(heading).to_have_id("loop-stalls")

    async with running_pod() as pod:
        await browser.visit(pod, story)


async def test_what_is_no_longer_heard_is_not_shown_as_live(browser: Browser) -> None:
    sockets: list[WebSocketRoute] = []
    cut = False

    def through(socket: WebSocketRoute) -> None:
        if cut:
            socket.close(code=1012, reason="cut by the test")
        else:
            socket.connect_to_server()
            sockets.append(socket)

    def story(visit: Visit) -> None:
        nonlocal cut
        visit.context.route_web_socket("**/socket.io/", through)
        page = visit.open("/_dashboard/")
        expect(page.locator("#state")).to_have_text("Live")
        page.route("**/api/**", lambda route: route.abort())
        cut = True
        for socket in sockets:
            socket.close(code=1012, reason="cut by the test")
        expect(page.locator("#state")).to_have_text("Not live")
        expect(page.locator("#age")).to_contain_text("since")
        expect(page.locator("body")).to_have_attribute("data-state", "stale")
        cut = False
        page.unroute("**/api/**")
        expect(page.locator("#state")).to_have_text("Live", timeout=30_000)
        visit.complaints.clear()  # Chromium's own words on what it could not reach

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


async def test_without_websockets_it_polls_and_says_so(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        visit.context.route_web_socket("**/socket.io/", lambda socket: socket.close())
        page = visit.open("/_dashboard/")
        expect(page.locator("#state")).to_have_text("Polled")
        expect(page.locator("#pod")).to_have_text(visit.pod.pod_id)

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_hostile_names_are_text_and_a_phone_shows_it_all_in_both_colours(
    browser: Browser, scheme: str
) -> None:
    def worst(route: Route) -> None:  # no room may have such a name, but a user may
        answer = route.fetch()
        snapshot = answer.json()
        slow = {"client": HOSTILE, "address": HOSTILE, "user": HOSTILE, "waiting_messages": 1}
        snapshot["rooms"]["largest"] = [{"name": HOSTILE * 9, "members": 10**9, "events": 10**12}]
        snapshot["slow_clients"] = [slow]
        wrong = {"key": HOSTILE, "runbook": HOSTILE, "sentence": f"Not ready: {HOSTILE}"}
        snapshot["wrong"] = [{**wrong, "at": 0, "until": None, "cost": {HOSTILE: 10**12}}]
        snapshot["hot"] = [{"name": HOSTILE * 9, "processor": 1.0, "bytes_per_second": 10**15}]
        route.fulfill(response=answer, json=snapshot)

    def worst_past(route: Route) -> None:
        answer = route.fetch()
        past = answer.json()
        episode = {"key": HOSTILE, "runbook": "", "sentence": HOSTILE * 9, "cost": {HOSTILE: 1}}
        past["episodes"] += [{**episode, "at": past["at"] - n, "until": None} for n in range(100)]
        route.fulfill(response=answer, json=past)

    def story(visit: Visit) -> None:
        visit.context.route("**/metrics/realtime", worst)
        visit.context.route("**/api/past", worst_past)
        visit.context.route_web_socket("**/socket.io/", lambda socket: socket.close())
        page = visit.open("/_dashboard/")
        expect(page.locator("#largest th")).to_have_text(HOSTILE * 9)
        expect(page.locator("#slow th")).to_contain_text(HOSTILE)
        expect(page.locator("#hot th")).to_have_text(HOSTILE * 9)
        expect(page.locator("#episodes li").first).to_contain_text(HOSTILE)
        expect(page.locator("#episodes li")).to_have_count(30)
        expect(page.locator("#alarms")).to_contain_text(HOSTILE)
        expect(page.locator("#tree li").first).to_be_visible()
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate(CONTRAST) >= 4.5

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story, viewport=PHONE, color_scheme=scheme)


async def test_a_pod_that_takes_no_websockets_is_polled(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        sign_in(page)
        expect(page.locator("#state")).to_have_text("Polled")
        expect(page.locator("#pod")).to_have_text(visit.pod.pod_id)
        expect(page.locator("#age")).to_contain_text("WebSocket")
        visit.complaints.clear()  # Chromium's own words on what was refused

    async with running_pod(evolve(pod_config(), enabled=False)) as pod:
        await browser.visit(pod, story)


async def test_who_guesses_too_often_is_told_when_to_come_again(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        for _ in range(2):
            sign_in(page, "wrong")
            expect(page.locator("#login-note")).to_have_text("This is not the master key.")
            page.get_by_label("Master key").fill("")
        sign_in(page, "wrong")
        expect(page.locator("#login-note")).to_contain_text("Too many attempts: try again in ")
        visit.complaints.clear()  # Chromium's own words on 401 and 429

    config = pod_config()
    few = evolve(config, auth=evolve(config.auth, login_attempts=2))
    async with running_pod(few) as pod:
        await browser.visit(pod, story)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_stress_test_is_watched_live_and_is_readable(browser: Browser, scheme: str) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#stress")).to_be_hidden()
        wanted = {"connections": 3, "messagesPerSecond": 30, "duration": 2, "rooms": 1}
        status, _ = visit.in_pod(visit.pod.parts.tree.stress.start, wanted)
        assert status == 202
        facts = page.locator("#stress dl")
        expect(facts).to_be_visible()
        expect(facts).to_contain_text("running")
        expect(facts).to_contain_text("done")
        expect(facts.locator("dt", has_text="Received").locator("xpath=..")).to_contain_text("180")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate(CONTRAST) >= 4.5

    command = (sys.executable, "-m", "deployd.tools", "stress")
    async with open_pod(pod_config(), keys=KEYS, dev=True, stress_command=command) as pod:
        await browser.visit(pod, story, viewport=PHONE, color_scheme=scheme)


def test_the_page_is_light() -> None:
    folder = resources.files("deployd.web").joinpath("dashboard")
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 60_000
