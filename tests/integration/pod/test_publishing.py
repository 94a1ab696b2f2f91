"""Something said in a room over HTTP, by who is in none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from attrs import evolve
from structlog.testing import capture_logs

from deployd.actors import JSON, Refuse, Room
from deployd.config import Access, Config, Rule, Who
from deployd.supervisors import Pod
from deployd.transport import RoomRights
from support import MASTER, connected, pod_config, running_pod

PATH = "/api/rooms/auction-1/events"


class Auction(Room):
    """Takes bids that are whole numbers, and fails on 13."""

    async def on_server_emit(self, event: str, data: JSON) -> None:
        if data == 13:
            raise RuntimeError("bad luck")
        if not isinstance(data, int):
            raise Refuse("Bid a whole number.", code="no_bid", least=1)
        self.broadcast(event, data)


@asynccontextmanager
async def served(
    config: Config | None = None, rule: Rule | None = None, pattern: str = "auction-*"
) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    access = Access(rules={} if rule is None else {pattern: rule})
    config = evolve(config or pod_config(), access=access)
    async with (
        running_pod(config, {"auction-*": Auction}) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as http,
    ):
        yield pod, http


def bearer(pod: Pod, user: str = "shop", rooms: RoomRights | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {pod.tokens.sign(user, ttl=60, rooms=rooms)}"}


def said(answer: httpx.Response) -> tuple[int, str]:
    """Return the status, and the code or the scope."""
    body = answer.json()
    return answer.status_code, body.get("code") or body["scope"]


async def test_members_hear_what_root_says_over_http_and_the_answer_is_the_receipt() -> None:
    async with served() as (pod, http), connected(pod, 1) as [ann]:
        await ann.join("auction-1")
        answer = await http.post(PATH, json={"event": "bid", "data": 5}, headers=MASTER)
        assert answer.status_code == 200
        heard = await ann.expect("emit", event="bid", data=5, room="auction-1")
        assert answer.json() == {"scope": "local", "id": heard["meta"]["id"]}


async def test_a_room_may_refuse_it_or_fail_and_the_answer_says_so() -> None:
    async with served() as (_, http):
        refused = await http.post(PATH, json={"event": "bid", "data": "5"}, headers=MASTER)
        assert refused.status_code == 409
        assert refused.json() == {"error": "Bid a whole number.", "code": "no_bid", "least": 1}
        crashed = await http.post(PATH, json={"event": "bid", "data": 13}, headers=MASTER)
        assert said(crashed) == (500, "room_crashed")
        assert said(await http.post(PATH, json={"event": "bid", "data": 5}, headers=MASTER)) == (
            200,
            "local",
        )


async def test_what_nobody_could_hear_is_an_error_and_opens_no_room() -> None:
    async with served() as (pod, http):
        answer = await http.post("/api/rooms/plain/events", json={"event": "x"}, headers=MASTER)
        assert said(answer) == (404, "unheard")
        assert pod.rooms.find("plain") is None


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (PATH, {"data": 1}, (400, "bad_body")),
        (PATH, {"event": 5}, (400, "bad_body")),
        (PATH, {"event": "bid", "date": 1}, (400, "bad_body")),
        (PATH, {"event": "two words"}, (400, "bad_event")),
        (PATH, {"event": "system:x"}, (403, "event_reserved")),
        ("/api/rooms/a%20b/events", {"event": "x"}, (400, "bad_room")),
        ("/api/rooms//events", {"event": "x"}, (400, "bad_room")),
        ("/api/rooms/collection:todos/events", {"event": "created"}, (403, "room_reserved")),
        (PATH, {"event": "bid", "data": "x" * 5000}, (413, "too_large")),
    ],
)
async def test_bad_input_gets_a_sentence_and_its_code(
    path: str, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    async with served(pod_config(max_buffer_bytes=4096, max_message_bytes=1024)) as (_, http):
        answer = await http.post(path, json=body, headers=MASTER)
        assert said(answer) == expected
        assert answer.json()["error"].endswith(".")


async def test_without_a_rule_nobody_but_root_publishes() -> None:
    async with served() as (pod, http):
        body = {"event": "bid", "data": 1}
        answer = await http.post(PATH, json=body)
        assert said(answer) == (401, "auth_required")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert said(await http.post(PATH, json=body, headers=bearer(pod))) == (403, "forbidden")
        assert (await http.post(PATH, content=json.dumps(body))).status_code == 415


@pytest.mark.parametrize(
    ("who", "anonymous", "user", "root"),
    [
        (Who.ANYONE, 200, 200, 200),
        (Who.AUTHENTICATED, 401, 200, 200),
        (Who.ROOT, 401, 403, 200),
        (Who.NOBODY, 403, 403, 403),
    ],
)
async def test_a_rule_says_who_publishes(who: Who, anonymous: int, user: int, root: int) -> None:
    async with served(rule=Rule(publish=who)) as (pod, http):
        body = {"event": "bid", "data": 1}
        for headers, status in ({}, anonymous), (bearer(pod), user), (MASTER, root):
            assert (await http.post(PATH, json=body, headers=headers)).status_code == status


async def test_a_token_for_rooms_is_good_for_those_and_for_nothing_else() -> None:
    async with served(rule=Rule(publish=Who.NOBODY), pattern="auction-9") as (pod, http):
        token = bearer(pod, rooms=RoomRights(publish=("auction-*",)))
        body = {"event": "bid", "data": 1}
        assert said(await http.post(PATH, json=body, headers=token)) == (200, "local")
        elsewhere = await http.post("/api/rooms/chat/events", json=body, headers=token)
        assert said(elsewhere) == (403, "forbidden")
        closed = await http.post("/api/rooms/auction-9/events", json=body, headers=token)
        assert said(closed) == (403, "forbidden")
        assert (await http.get("/auth/me", headers=token)).status_code == 401
        async with connected(pod, 1) as [client]:
            await client.send("auth", token=token["Authorization"].removeprefix("Bearer "))
            assert (await client.expect("error"))["data"]["code"] == "bad_token"


async def test_who_publishes_too_fast_waits_and_others_do_not() -> None:
    config = pod_config(message_rate_limit=2.0)
    async with served(config, Rule(publish=Who.AUTHENTICATED)) as (pod, http):
        body = {"event": "bid", "data": 1}
        ann, ben = bearer(pod, "ann"), bearer(pod, "ben")
        answers = [await http.post(PATH, json=body, headers=ann) for _ in range(3)]
        assert [said(each) for each in answers] == [
            (200, "local"),
            (200, "local"),
            (429, "too_fast"),
        ]
        assert answers[2].headers["Retry-After"] == "1"
        assert said(await http.post(PATH, json=body, headers=ben)) == (200, "local")
        for _ in range(4):
            assert said(await http.post(PATH, json=body, headers=MASTER)) == (200, "local")


async def test_however_many_rooms_are_named_no_more_are_opened_than_clients_may_open() -> None:
    config = pod_config(max_client_rooms=4, address_share=1.0, message_rate_limit=0)
    async with (
        served(config, Rule(publish=Who.ANYONE)) as (pod, http),
        connected(pod, 1) as [ann],
    ):
        await ann.join("auction-1")
        for number in range(2, 12):
            path = f"/api/rooms/auction-{number}/events"
            assert (await http.post(path, json={"event": "bid", "data": 1})).status_code == 200
        assert len(pod.rooms) <= 4
        assert pod.rooms.find("auction-1") is not None


async def test_a_developer_of_this_machine_needs_no_key() -> None:
    async with (
        running_pod(rooms={"auction-*": Auction}, dev=True) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as http,
    ):
        body = {"event": "bid", "data": 1}
        with capture_logs() as lines:
            assert said(await http.post(PATH, json=body)) == (200, "local")
        assert [line["user"] for line in lines if line["event"] == "root acted"] == [
            "a developer of this machine"
        ]
        # Who shows a token is who it says.
        assert said(await http.post(PATH, json=body, headers=bearer(pod))) == (403, "forbidden")
