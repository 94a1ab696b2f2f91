"""The directory of rooms over HTTP: who sees what of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve

from deployd.actors import JSON, Member, Room
from deployd.config import Access, Rule, Who
from deployd.supervisors import Pod
from deployd.transport import RoomRights
from support import MASTER, connected, pod_config, running_pod
from support.clients import until


class Game(Room):
    """Is listed, as it was asked to be by who came in."""

    listed = True

    async def authorize_join(self, member: Member, params: dict[str, JSON]) -> bool:
        self.describe(**params)
        return True

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        raise RuntimeError("it crashes")


class Secret(Room):
    """Is in no directory."""


@asynccontextmanager
async def lobby(
    rules: Mapping[str, Rule] | None = None, **limits: Any
) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    config = evolve(pod_config(**limits), access=Access(rules=rules or {}))
    async with (
        running_pod(config, {"game-*": Game, "secret-*": Secret}) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as http,
        connected(pod, 1) as [client],
    ):
        for name, mode in ("game-1", "ranked"), ("game-2", "casual"), ("secret-1", ""):
            data: Any = {"mode": mode}
            await client.send("join", room=name, data=data if mode else None, id=1)
            await client.expect("join")
        yield pod, http


async def listed(
    http: httpx.AsyncClient, headers: dict[str, str] | None = None, **query: str
) -> list[tuple[str, int, Any]]:
    answer = await http.get("/api/rooms", params=query, headers=headers or {})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["pods"], body["of"]) == (1, 1)
    return [(room["name"], room["members"], room["meta"]) for room in body["rooms"]]


GAME_1, GAME_2 = ("game-1", 1, {"mode": "ranked"}), ("game-2", 1, {"mode": "casual"})


async def test_root_sees_the_rooms_that_are_listed_and_what_they_say_of_themselves() -> None:
    async with lobby() as (pod, http):
        assert await listed(http, MASTER) == [GAME_1, GAME_2]
        assert await listed(http, MASTER, pattern="*-2") == [GAME_2]
        assert await listed(http, MASTER, where='{"mode": "ranked"}') == [GAME_1]
        assert await listed(http, MASTER, after="game-1") == [GAME_2]
        here = pod.hub.rooms_here("game-*")
        assert [each.name for each in here.rooms] == ["game-1", "game-2"]
        assert here.next is None
        assert (await pod.hub.rooms("game-*")) == here


@pytest.mark.parametrize(
    ("who", "anonymous", "user"),
    [(Who.ANYONE, 1, 1), (Who.AUTHENTICATED, None, 1), (Who.ROOT, None, None)],
)
async def test_a_rule_says_who_sees_its_rooms_and_nobody_else_sees_any(
    who: Who, anonymous: int | None, user: int | None
) -> None:
    async with lobby({"game-1": Rule(list=who)}) as (pod, http):
        token = {"Authorization": f"Bearer {pod.tokens.sign('ann', ttl=60)}"}
        for headers, seen in ({}, anonymous), (token, user):
            if seen is None:
                answer = await http.get("/api/rooms", headers=headers)
                expected = (403, "forbidden") if headers else (401, "auth_required")
                assert (answer.status_code, answer.json()["code"]) == expected
            else:
                assert await listed(http, headers) == [GAME_1]
        assert await listed(http, MASTER) == [GAME_1, GAME_2]


async def test_a_token_for_it_sees_what_it_names() -> None:
    async with lobby({"game-1": Rule(list=Who.NOBODY)}) as (pod, http):

        def bearer(rooms: RoomRights) -> dict[str, str]:
            return {"Authorization": f"Bearer {pod.tokens.sign('shop', ttl=60, rooms=rooms)}"}

        assert await listed(http, bearer(RoomRights(list=("*",)))) == [GAME_2]
        assert await listed(http, bearer(RoomRights(list=("*-1",)))) == []
        answer = await http.get("/api/rooms", headers=bearer(RoomRights(publish=("*",))))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "query",
    [{"where": "[]"}, {"where": "{"}, {"were": "{}"}, {"pattern": "x" * 2000}, {"limit": "5"}],
)
async def test_what_says_nothing_is_refused(query: dict[str, str]) -> None:
    async with lobby() as (_, http):
        answer = await http.get("/api/rooms", params=query, headers=MASTER)
        assert answer.status_code == 400
        assert answer.json()["error"].endswith(".")


async def test_who_asks_too_often_waits() -> None:
    async with lobby({"*": Rule(list=Who.ANYONE)}, message_rate_limit=5.0) as (_, http):
        answers = [await http.get("/api/rooms") for _ in range(6)]
        assert [each.status_code for each in answers] == [200] * 5 + [429]


async def test_what_a_room_says_of_itself_outlives_its_crash_and_goes_with_the_room() -> None:
    async with (
        lobby(room_cleanup_interval=0.05) as (pod, http),
        connected(pod, 1) as [client],
    ):
        await client.send("join", room="game-1", data={"mode": "late"}, id=1)
        await client.expect("join")
        await client.send("emit", room="game-1", event="x", id=2)
        assert (await client.expect("error"))["data"]["code"] == "room_crashed"
        assert await listed(http, MASTER, pattern="game-1") == [("game-1", 2, {"mode": "late"})]
        for member in list(pod.members.values()):
            for seat in list(member.seats.values()):
                seat.leave("left", freely=True)
        await until(lambda: not pod.hub.rooms_here().rooms)


async def test_other_threads_may_ask_too() -> None:
    async with lobby() as (pod, _):
        hub = pod.hub.from_thread
        here = await trio.to_thread.run_sync(lambda: hub.rooms_here("game-1"))
        assert [each.name for each in here.rooms] == ["game-1"]
        everywhere = await trio.to_thread.run_sync(lambda: hub.rooms("game-1", {"mode": "ranked"}))
        assert everywhere == here
