"""The strip of all pods on the dashboard, and who hears whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from support import running_pod
from support.browser import Browser, Visit
from support.clients import until
from support.contrast import CONTRAST
from support.fake_broker import FakeBus

HOSTILE = "<img/src=x/onerror=alert(1)>"
PATH = "**/_dashboard/api/pods"


def seen(name: str, state: str = "heard", hears: str = "", **more: Any) -> dict[str, Any]:
    return {
        "id": f"id-{name}",
        "name": name,
        "version": "1.0",
        "state": state,
        "connections": 1200,
        "rooms": 14,
        "load": 0.25,
        "hears": [f"id-{other}" for other in hears.split()],
        **more,
    }


class Cluster:
    """What the pod answers when it is asked for all pods; it may be changed meanwhile."""

    def __init__(self, *pods: dict[str, Any], breaker: str | None = "closed") -> None:
        self.pods = list(pods)
        self.breaker = breaker

    def answer(self, route: Route) -> None:
        own = self.pods[0]["id"]
        route.fulfill(json={"pod": own, "breaker": self.breaker, "pods": self.pods})

    def shown_to(self, visit: Visit) -> Page:
        visit.context.route(PATH, self.answer)
        page = visit.open("/_dashboard/")
        expect(page.locator("#pods li").first).to_be_visible()
        return page


def card(page: Page, name: str) -> Any:
    return page.locator("#pods li").filter(has=page.get_by_text(name, exact=True))


def hearing(page: Page) -> list[list[str]]:
    """Return the words of the matrix, a row a pod."""
    rows = page.locator("#hearing tbody tr")
    return [rows.nth(n).locator(".unseen").all_inner_texts() for n in range(rows.count())]


async def test_both_pods_are_shown_and_one_that_is_gone_stays_in_sight(browser: Browser) -> None:
    bus = FakeBus()

    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        mine, theirs = card(page, visit.pod.pod_id), card(page, other.pod_id)
        expect(mine).to_contain_text("this pod")
        expect(mine).to_contain_text("heard by 1 of 1")
        expect(theirs).to_contain_text("0 connections")
        expect(theirs).to_have_attribute("data-state", "heard")
        expect(page.locator("#hearing")).to_be_visible()
        assert sorted(hearing(page)) == [["itself", "yes"], ["yes", "itself"]]
        [*_, last] = bus.brokers
        for side, state in ((1, "missing"), (0, "heard")):
            last.side = side
            expect(theirs).to_have_attribute("data-state", state)
            expect(page.locator("#alarms li", has_text="Not heard")).to_have_count(side)
        visit.in_pod(other.request_stop, "it was told to")
        expect(theirs).to_have_attribute("data-state", "gone")
        expect(page.locator("#hearing")).to_be_hidden()

    async with (
        running_pod(dev=True, broker=bus.make) as pod,
        running_pod(broker=bus.make) as other,
    ):
        await until(lambda: pod.link is not None and len(pod.link.state.peers) == 1)
        await browser.visit(pod, story)


async def test_a_pod_that_is_alone_says_so(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/_dashboard/")
        expect(page.locator("#pods li")).to_have_count(1)
        expect(page.locator("#pods-more")).to_have_text("No broker: this pod is alone.")
        expect(page.locator("#hearing")).to_be_hidden()

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


async def test_who_does_not_hear_whom_is_marked_and_said(browser: Browser) -> None:
    missing = {"since": 1_764_072_000.0, "heard_seconds": 12.4}
    cluster = Cluster(
        seen("ann", "self", "bob", name_taken_by="f00d", wanted_name="anna"),
        seen("bob", hears=""),
        seen("cid", "missing", "ann bob", **missing),
    )

    def story(visit: Visit) -> None:
        page = cluster.shown_to(visit)
        expect(page.locator("#pods li")).to_have_count(3)
        expect(card(page, "ann")).to_contain_text("f00d has its name, anna")
        expect(card(page, "ann")).to_contain_text("heard by 0 of 1")
        expect(card(page, "bob")).to_contain_text("does not hear ann")
        expect(card(page, "bob")).to_contain_text("1.0 · 1,200 connections · 14 rooms · load 25 %")
        expect(card(page, "cid")).to_contain_text("missing since")
        expect(card(page, "cid")).to_contain_text("last heard 12 s ago")
        expect(page.locator("#hearing tbody th")).to_have_text(["1 ann", "3 bob"])
        assert hearing(page) == [["itself", "no", "yes"], ["no", "no", "itself"]]
        cluster.pods = [seen("ann", "self", "bob cid"), seen("bob", hears="ann cid")]
        expect(card(page, "cid")).to_have_attribute("data-state", "gone")
        expect(page.locator("#hearing tbody td")).to_have_count(4)
        assert hearing(page) == [["itself", "yes"], ["yes", "itself"]]

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


async def test_what_is_old_is_called_so(browser: Browser) -> None:
    cluster = Cluster(seen("ann", "self"))

    def story(visit: Visit) -> None:
        page = cluster.shown_to(visit)
        visit.context.unroute(PATH)
        visit.context.route(PATH, lambda route: route.fulfill(status=500))
        expect(page.locator("#pods-note")).to_have_text(
            "The pods are old: the pod answers HTTP 500."
        )
        visit.complaints.clear()  # Chromium's own words on 500

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1360])
@pytest.mark.parametrize("count", [12, 100])
async def test_many_pods_of_hostile_names_are_text_and_fit(
    browser: Browser, artifacts: Path, scheme: str, width: int, count: int
) -> None:
    names = [f"{HOSTILE}-{n}" for n in range(count)]
    pods = [seen(name, hears=" ".join(names[2:])) for name in names]
    pods[0]["state"], pods[-1]["state"] = "self", "missing"
    pods[1] |= {"version": HOSTILE, "name": "n" * 64}
    cluster = Cluster(*pods)

    def story(visit: Visit) -> None:
        page = cluster.shown_to(visit)
        expect(page.locator("#pods li")).to_have_count(min(count, 60))
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) >= 4.5
        if count == 12:
            expect(page.get_by_role("region", name="Who hears whom")).to_be_visible()
            expect(page.locator("#hearing tbody td")).to_have_count(11 * 12)
        else:
            expect(page.locator("#hearing")).to_be_hidden()
            expect(page.locator("#pods-more")).to_contain_text("and 40 more")
        shot = artifacts / f"dashboard-pods-{count}-{width}-{scheme}.png"
        page.locator("section", has=page.locator("#pods")).screenshot(path=shot)

    size = {"width": width, "height": 900}
    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story, viewport=size, color_scheme=scheme)


async def test_what_is_shown_is_of_one_pod_also_where_a_proxy_spreads_requests(
    browser: Browser,
) -> None:
    stranger = {"pod": "other", "breaker": "closed", "pods": [seen("stranger", "self")]}
    asked = 0

    def spread(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked % 3:
            route.fulfill(json=stranger, headers={"X-Pod": "other"})
        else:
            route.continue_()

    def story(visit: Visit) -> None:
        visit.context.route(PATH, spread)
        page = visit.open("/_dashboard/")
        expect(card(page, visit.pod.pod_id)).to_be_visible()
        assert asked >= 3
        assert page.get_by_text("stranger").count() == 0

    async with running_pod(dev=True) as pod:
        await browser.visit(pod, story)
