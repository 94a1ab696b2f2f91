"""What a pod says of its rooms: to programs as AsyncAPI, to people as a page."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, Literal

import httpx
from attrs import evolve, frozen
from jsonschema import Draft7Validator
from playwright.sync_api import expect

from deployd.actors import Member, Refuse, Room, on
from deployd.config import Access, Rule, Who
from support import connected, pod_config, running_pod
from support.browser import Browser, Visit
from support.clients import KEYS
from support.contrast import CONTRAST

MASTER = {"X-Master-Key": KEYS.master_key}


@frozen
class Move:
    """A step on the board."""

    to: str
    fast: bool = False


@frozen
class Board:
    cells: list[str | None]


class Game(Room[None]):
    """A game for two."""

    @on("move")
    def move(self, member: Member, move: Move) -> Board:
        """Go somewhere."""
        if move.to == "z9":
            raise Refuse("There is no such field.", code="no_field", most="h8")
        return Board([move.to, None])


class Hidden(Room[None]):
    """For root alone."""


ROOMS = {"game-*": Game, "hidden": Hidden}
CONFIG = evolve(pod_config(), access=Access(rules={"hidden": Rule(join=Who.ROOT)}))


async def documents_of(port: int) -> tuple[Any, Any]:
    async with httpx.AsyncClient(base_url=f"http://localhost:{port}", trust_env=False) as http:
        anybodys = await http.get("/api/docs/asyncapi.json")
        roots = await http.get("/api/docs/asyncapi.json", headers=MASTER)
        refused = await http.get("/api/docs/asyncapi.json", headers={"X-Master-Key": "no"})
        assert (anybodys.status_code, refused.status_code) == (200, 401)
        return anybodys.json(), roots.json()


async def test_what_a_room_says_over_the_socket_is_as_the_document_has_it() -> None:
    async with running_pod(CONFIG, ROOMS) as pod, connected(pod) as [client]:
        made, _ = await documents_of(pod.port)
        assert made["servers"]["pod"] == {
            "host": f"localhost:{pod.port}",
            "pathname": "/socket.io/",
            "protocol": "ws",
        }
        messages = made["channels"]["game"]["messages"]

        def judge(name: str, frame: object) -> None:
            payload = messages[name].get("payload")
            payload = payload or made["components"]["messages"]["refused"]["payload"]
            Draft7Validator({**payload, "components": made["components"]}).validate(frame)

        async def say(name: str, **frame: object) -> dict[str, Any]:
            judge(name, {**frame, "room": "game-1"})
            kind = str(frame.pop("type"))
            await client.send(kind, **frame, room="game-1")
            return await client.receive()

        judge("join.answer", await say("join", type="join", id=1))
        said = await say("emit.move", type="emit", event="move", data={"to": "e4"}, id=2)
        assert said["data"]["answer"] == {"cells": ["e4", None]}
        judge("emit.move.answer", said)
        said = await say("emit.move", type="emit", event="move", data={"to": "z9"}, id=3)
        assert said["data"] == {"code": "no_field", "most": "h8"}
        judge("refused", said)
        pod.hub.emit_to_room("game-1", "moved", 1)
        judge("hear", await client.receive())


async def test_rooms_that_one_may_not_join_are_not_told_of() -> None:
    async with running_pod(CONFIG, ROOMS) as pod:
        anybodys, roots = await documents_of(pod.port)
    assert set(anybodys["channels"]) == {"game"}
    assert set(roots["channels"]) == {"game", "hidden"}


async def test_the_page_shows_rooms_their_events_and_types(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/api/docs")
        game = page.locator("[data-room=game]")
        expect(game.locator("h2")).to_have_text("Game game-{name}")
        expect(game).to_contain_text("A game for two.")
        expect(game).to_contain_text('emit("move", Move) → Board')
        expect(game).to_contain_text("Go somewhere.")
        expect(page.locator("#types")).to_contain_text("to: string;\n  fast?: boolean;")
        expect(page.locator("#types")).to_contain_text("cells: (string | null)[];")
        expect(page.locator("[data-room=hidden]")).to_have_count(0)
        page.get_by_label("Token or master key").fill(KEYS.master_key)
        page.get_by_role("button", name="See what it opens").click()
        expect(page.locator("[data-room=hidden]")).to_contain_text("emit(event, data)")
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(CONTRAST) >= 4.5, scheme
        page.set_viewport_size({"width": 360, "height": 700})
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wide)

    async with running_pod(CONFIG, ROOMS) as pod:
        await browser.visit(pod, story)


def test_what_is_told_never_becomes_markup_and_nothing_comes_from_elsewhere() -> None:
    for file in resources.files("deployd.web").joinpath("api-docs").iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text)
        assert not re.search(r"https?://|<style|style=|\son\w+=", text)
        assert all(path.startswith("/") for path in re.findall(r'(?:src|href)="([^d][^"]*)"', text))


async def test_a_pod_without_room_classes_says_so(browser: Browser) -> None:
    def story(visit: Visit) -> None:
        page = visit.open("/api/docs")
        expect(page.get_by_role("status")).to_have_text("No room class is bound that you may join.")

    async with running_pod() as pod:
        await browser.visit(pod, story)
