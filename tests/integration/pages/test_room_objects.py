"""`dpd.room` in a real browser: two tabs in one room, that a pod loses and finds again."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve
from playwright.sync_api import Page

from deployd.actors import Member, Room, on
from deployd.config import Config
from support import pod_config, running_pod
from support.browser import Browser, Visit

PAGE = '<link rel="icon" href="data:,"><script src="/dpd.js"></script>'


class Tally(Room[list[str]]):
    def initial_state(self) -> list[str]:
        return []

    @on("vote")
    def vote(self, member: Member, name: str) -> int:
        self.state.append(name)
        self.broadcast("voted", name)
        return len(self.state)


def config_with_page(folder: Path) -> Config:
    (folder / "index.html").write_text(PAGE)
    config = pod_config()
    return evolve(config, server=evolve(config.server, public=str(folder)))


def enter(visit: Visit) -> Page:
    page = visit.open("/")
    page.evaluate("""async () => {
        window.dpd = new Deployd();
        window.room = dpd.room('tally-1');
        window.heard = [];
        room.on('voted', (name) => heard.push(name));
        await room.join();
    }""")
    return page


async def test_two_tabs_in_one_room_emit_are_answered_and_hear(
    browser: Browser, tmp_path: Path
) -> None:
    def story(visit: Visit) -> None:
        one, two = enter(visit), enter(visit)
        assert one.evaluate("room.emit('vote', 'tea')") == 1
        assert two.evaluate("room.emit('vote', 'milk')") == 2
        for page in (one, two):
            page.wait_for_function("heard.length === 2")
            assert page.evaluate("heard") == ["tea", "milk"]
        told = "room.emit('vote', 5).then(() => '', ({ code, data }) => [code, data.path])"
        assert one.evaluate(told) == ["wrong_data", ""]
        one.evaluate("room.leave()")
        visit.until(lambda: visit.in_pod(members) == 1)
        assert one.evaluate("room.state") == "out"

    async with running_pod(config_with_page(tmp_path), {"tally-*": Tally}) as pod:

        def members() -> int:
            return sum("tally-1" in one.rooms for one in pod.members.values())

        await browser.visit(pod, story)


async def test_a_room_is_found_again_when_the_connection_was_cut(
    browser: Browser, tmp_path: Path
) -> None:
    def story(visit: Visit) -> None:
        page = enter(visit)
        lost = """() => new Promise((done) => {
            dpd.once('disconnect', () => done(room.state));
            dpd.socket._link.close();
        })"""
        assert page.evaluate(lost) == "joining"
        page.wait_for_function("room.state === 'in'")
        assert page.evaluate("room.emit('vote', 'tea')") == 1
        page.wait_for_function("heard.length === 1")

    async with running_pod(config_with_page(tmp_path), {"tally-*": Tally}) as pod:
        await browser.visit(pod, story)
